import type { LogPosition } from '../../kernel/cloudevent.ts';
import { type Decimal, decimalOf, plus, times, toNumber } from './decimal.ts';
import { countDistinct, type Distinct, distinctOf, mergeDistinct } from './distinct.ts';
import { deviation, finite } from './exact-sum.ts';
import type { Aggregate, AsOf, CompiledFeature, FeatureValue } from './state.ts';

/** The first or last value of a tile: by time, then by place in the log, as contributions are ordered. */
export interface Edge extends LogPosition {
  timeMs: number;
  item: number;
  value: FeatureValue;
}

/** What a feature keeps beyond numbers: its first or last value, or its different values. */
export type Kept = Edge | Distinct | null;

/**
 * Contributions merged over `[startMs, startMs + tile)`: what the features need of them, and no more; `TilePlan` says where. Two tiles of one
 * start merge to the tile of both, in whatever order and grouping: sums are exact decimals, the rest is a set or an extreme.
 */
export interface Tile {
  startMs: number;
  /** Of all contributions. */
  count: number;
  /** Of values that are not null. */
  counts: number[];
  sums: Decimal[];
  /** Sums of squares. */
  squares: Decimal[];
  mins: number[];
  maxs: number[];
  kept: Kept[];
}

/** Which places of a tile's lists a feature has; undefined where it needs none. */
interface Places {
  readonly count: number | undefined;
  readonly sum: number | undefined;
  readonly square: number | undefined;
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly kept: number | undefined;
}

/** How the tiles of a view are made. */
export interface TilePlan {
  readonly tileMs: number;
  /** How late an event may come: a tile counts this long after its end, when nothing can be added any more. */
  readonly latenessMs: number;
  readonly features: readonly CompiledFeature[];
  readonly places: readonly Places[];
  /** The lengths of the lists. */
  readonly sizes: Readonly<Record<'counts' | 'sums' | 'squares' | 'mins' | 'maxs', number>>;
  /** The aggregates of what is kept, in the order of the list. */
  readonly keptAs: readonly Aggregate[];
  /** The same for plans whose tiles hold lists of the same lengths: one statement writes those. */
  readonly shape: string;
}

type Need = keyof Places;
const NEEDS: Readonly<Record<Aggregate, readonly Need[]>> = {
  count: ['count'],
  sum: ['sum'],
  mean: ['count', 'sum'],
  stddev: ['count', 'sum', 'square'],
  min: ['min'],
  max: ['max'],
  first: ['kept'],
  last: ['kept'],
  distinct: ['kept'],
};

export function tilePlan(tileMs: number, latenessMs: number, features: readonly CompiledFeature[]): TilePlan {
  const next: Record<Need, number> = { count: 0, sum: 0, square: 0, min: 0, max: 0, kept: 0 };
  const places = features.map(({ aggregate, hasValue }) => {
    const place = (need: Need) =>
      NEEDS[aggregate].includes(need) && (need !== 'count' || hasValue) ? next[need]++ : undefined;
    return {
      count: place('count'),
      sum: place('sum'),
      square: place('square'),
      min: place('min'),
      max: place('max'),
      kept: place('kept'),
    };
  });
  const { count: counts, sum: sums, square: squares, min: mins, max: maxs } = next;
  const keptAs = features.flatMap(({ aggregate }, index) =>
    places[index]!.kept === undefined ? [] : [aggregate],
  );
  const shape = `${[counts, mins, maxs, sums, squares]}${keptAs.length > 0 ? ' kept' : ''}`;
  return {
    tileMs,
    latenessMs,
    features,
    places,
    sizes: { counts, sums, squares, mins, maxs },
    keptAs,
    shape,
  };
}

/** Where a view needs none of a kind: never written to. */
const NONE: never[] = [];

function zeros<T>(count: number, zero: T): T[] {
  return count === 0 ? NONE : new Array<T>(count).fill(zero);
}

/** A tile of no contribution. */
function emptyTile({ sizes, keptAs }: TilePlan, startMs: number): Tile {
  return {
    startMs,
    count: 0,
    counts: zeros(sizes.counts, 0),
    sums: zeros<Decimal>(sizes.sums, 0),
    squares: zeros<Decimal>(sizes.squares, 0),
    mins: zeros(sizes.mins, Number.POSITIVE_INFINITY),
    maxs: zeros(sizes.maxs, Number.NEGATIVE_INFINITY),
    kept: zeros<Kept>(keptAs.length, null),
  };
}

/** The tile of a start among those of an entity, in the order of their starts; made where there is none. */
function tileAt(plan: TilePlan, tiles: Tile[], startMs: number): Tile {
  let at = tiles.length;
  while (at > 0 && tiles[at - 1]!.startMs > startMs) at--;
  const before = tiles[at - 1];
  if (before?.startMs === startMs) return before;
  const made = emptyTile(plan, startMs);
  if (at === tiles.length) tiles.push(made);
  else tiles.splice(at, 0, made);
  return made;
}

/** Adds one contribution, in place: a tile of its own, merged after, is eight objects for each event. */
export function addContribution(
  plan: TilePlan,
  tiles: Tile[],
  place: Omit<Edge, 'value'>,
  values: readonly FeatureValue[],
): void {
  const { tileMs, places } = plan;
  const tile = tileAt(plan, tiles, Math.floor(place.timeMs / tileMs) * tileMs);
  tile.count++;
  for (let i = 0; i < places.length; i++) {
    const value = values[i]!;
    if (value !== null) addValue(plan, tile, places[i]!, place, value);
  }
}

function addValue(
  { keptAs }: TilePlan,
  tile: Tile,
  at: Places,
  place: Omit<Edge, 'value'>,
  value: string | number | boolean,
): void {
  if (at.count !== undefined) tile.counts[at.count]!++;
  if (typeof value === 'number') {
    if (at.sum !== undefined) {
      const sum = decimalOf(value);
      tile.sums[at.sum] = plus(tile.sums[at.sum]!, sum);
      if (at.square !== undefined) tile.squares[at.square] = plus(tile.squares[at.square]!, times(sum, sum));
    }
    if (at.min !== undefined && value < tile.mins[at.min]!) tile.mins[at.min] = value;
    if (at.max !== undefined && value > tile.maxs[at.max]!) tile.maxs[at.max] = value;
  }
  if (at.kept !== undefined) {
    const aggregate = keptAs[at.kept]!;
    const before = tile.kept[at.kept]!;
    const kept = keptOf(aggregate, place, value);
    tile.kept[at.kept] = before === null ? kept : mergedKept(aggregate, before, kept);
  }
}

function keptOf(
  aggregate: Aggregate,
  place: Omit<Edge, 'value'>,
  value: string | number | boolean,
): Edge | Distinct {
  if (aggregate === 'distinct') return distinctOf(value);
  const { timeMs, partition, offset, item } = place;
  return { timeMs, partition, offset, item, value };
}

/** Puts a tile in its place by start, or adds it to the one that is there. */
export function insertTile(plan: TilePlan, tiles: Tile[], tile: Tile): void {
  let at = tiles.length;
  while (at > 0 && tiles[at - 1]!.startMs > tile.startMs) at--;
  const before = tiles[at - 1];
  if (before?.startMs === tile.startMs) mergeTile(plan, before, tile);
  else tiles.splice(at, 0, tile);
}

/** Adds one tile to another of the same start. */
function mergeTile({ keptAs }: TilePlan, into: Tile, tile: Tile): void {
  into.count += tile.count;
  for (let i = 0; i < tile.counts.length; i++) into.counts[i] = into.counts[i]! + tile.counts[i]!;
  for (let i = 0; i < tile.sums.length; i++) into.sums[i] = plus(into.sums[i]!, tile.sums[i]!);
  for (let i = 0; i < tile.squares.length; i++) into.squares[i] = plus(into.squares[i]!, tile.squares[i]!);
  for (let i = 0; i < tile.mins.length; i++) into.mins[i] = Math.min(into.mins[i]!, tile.mins[i]!);
  for (let i = 0; i < tile.maxs.length; i++) into.maxs[i] = Math.max(into.maxs[i]!, tile.maxs[i]!);
  if (keptAs.length > 0) into.kept = mergeKept(keptAs, into.kept, tile.kept);
}

/** What two tiles of one start keep, together. */
export function mergeKept(keptAs: readonly Aggregate[], a: readonly Kept[], b: readonly Kept[]): Kept[] {
  return keptAs.map((aggregate, index) => {
    const kept = a[index] ?? null;
    const other = b[index] ?? null;
    if (kept === null || other === null) return kept ?? other;
    return mergedKept(aggregate, kept, other);
  });
}

function mergedKept(aggregate: Aggregate, a: Edge | Distinct, b: Edge | Distinct): Edge | Distinct {
  if (aggregate === 'distinct') return mergeDistinct(a as Distinct, b as Distinct);
  return isBeforeEdge(a as Edge, b as Edge) === (aggregate === 'first') ? a : b;
}

function isBeforeEdge(a: Edge, b: Edge): boolean {
  return (a.timeMs - b.timeMs || a.offset - b.offset || a.partition - b.partition || a.item - b.item) < 0;
}

/** The values of a tiled view's features: the tiles that are complete at the time asked for, back to the window's length. */
export function evaluateTiled(
  { tileMs, latenessMs, features, places }: TilePlan,
  tiles: readonly Tile[],
  { timeMs, recordedByMs = Number.POSITIVE_INFINITY }: AsOf,
): FeatureValue[] {
  const end = Math.floor((Math.min(timeMs, recordedByMs) - latenessMs) / tileMs) * tileMs;
  return features.map(({ aggregate, windowMs, tumbling }, index) => {
    const until = tumbling ? Math.floor(end / windowMs) * windowMs : end;
    const from = until - windowMs;
    let high = tiles.length;
    while (high > 0 && tiles[high - 1]!.startMs >= until) high--;
    let low = high;
    while (low > 0 && tiles[low - 1]!.startMs >= from) low--;
    return windowValue(aggregate, places[index]!, { tiles, low, high });
  });
}

/** The tiles of a window: `tiles[low..high)`. */
interface Span {
  readonly tiles: readonly Tile[];
  readonly low: number;
  readonly high: number;
}

function windowValue(aggregate: Aggregate, places: Places, span: Span): FeatureValue {
  switch (aggregate) {
    case 'count':
      return countIn(span, places.count);
    case 'sum':
      return finite(toNumber(sumIn(span, ({ sums }) => sums[places.sum!]!)));
    case 'mean': {
      const count = countIn(span, places.count);
      return count === 0 ? null : finite(toNumber(sumIn(span, ({ sums }) => sums[places.sum!]!)) / count);
    }
    case 'stddev':
      return deviation(
        countIn(span, places.count),
        sumIn(span, ({ sums }) => sums[places.sum!]!),
        sumIn(span, ({ squares }) => squares[places.square!]!),
      );
    case 'min':
      return extremeIn(span, Number.POSITIVE_INFINITY, Math.min, ({ mins }) => mins[places.min!]!);
    case 'max':
      return extremeIn(span, Number.NEGATIVE_INFINITY, Math.max, ({ maxs }) => maxs[places.max!]!);
    case 'distinct':
      return distinctIn(span, places.kept!);
    default:
      return edgeIn(span, places.kept!, aggregate);
  }
}

/** Without a place: of all contributions. */
function countIn({ tiles, low, high }: Span, place: number | undefined): number {
  let count = 0;
  for (let at = low; at < high; at++)
    count += place === undefined ? tiles[at]!.count : tiles[at]!.counts[place]!;
  return count;
}

function sumIn({ tiles, low, high }: Span, of: (tile: Tile) => Decimal): Decimal {
  let sum: Decimal = 0;
  for (let at = low; at < high; at++) sum = plus(sum, of(tiles[at]!));
  return sum;
}

function extremeIn(
  { tiles, low, high }: Span,
  none: number,
  pick: (a: number, b: number) => number,
  of: (tile: Tile) => number,
): number | null {
  let extreme = none;
  for (let at = low; at < high; at++) extreme = pick(extreme, of(tiles[at]!));
  return extreme === none ? null : extreme;
}

function distinctIn({ tiles, low, high }: Span, place: number): number {
  let union: Distinct = [];
  for (let at = low; at < high; at++) {
    const distinct = tiles[at]!.kept[place] as Distinct | null;
    if (distinct) union = union.length === 0 ? distinct : mergeDistinct(union, distinct);
  }
  return countDistinct(union);
}

/** Tiles do not overlap: the first value is that of the first tile with one, the last that of the last. */
function edgeIn({ tiles, low, high }: Span, place: number, aggregate: 'first' | 'last'): FeatureValue {
  const edges = tiles.slice(low, high).flatMap(({ kept }) => (kept[place] as Edge | null) ?? []);
  return edges.at(aggregate === 'first' ? 0 : -1)?.value ?? null;
}
