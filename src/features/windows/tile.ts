import type { LogPosition } from '../../kernel/cloudevent.ts';
import { type Decimal, decimalOf, plus, times, toNumber } from './decimal.ts';
import { countDistinct, type Distinct, distinctOf, mergeDistinct } from './distinct.ts';
import type { AsOf, CompiledFeature, FeatureValue } from './state.ts';

/** The first or last value of a tile: by time, then by place in the log, as contributions are ordered. */
export interface Edge extends LogPosition {
  timeMs: number;
  item: number;
  value: FeatureValue;
}

/** What a feature keeps beyond numbers: its first or last value, or its different values. */
export type Kept = Edge | Distinct | null;

/**
 * Contributions merged over `[startMs, startMs + tile)`: per feature count, sum, min and max of what was not null. Two tiles of one
 * start merge to the tile of both, in whatever order and grouping: sums are exact decimals, the rest is a set or an extreme.
 */
export interface Tile {
  startMs: number;
  count: number;
  counts: number[];
  sums: Decimal[];
  mins: number[];
  maxs: number[];
  /** Sums of squares; empty in a view without `stddev`. */
  squares: Decimal[];
  /** Empty in a view without `first`, `last` or `distinct`. */
  kept: Kept[];
}

/** How the tiles of a view are made. */
export interface TilePlan {
  readonly tileMs: number;
  /** How late an event may come: a tile counts this long after its end, when nothing can be added any more. */
  readonly latenessMs: number;
  readonly features: readonly CompiledFeature[];
  readonly hasSquares: boolean;
  readonly hasKept: boolean;
}

export function tilePlan(tileMs: number, latenessMs: number, features: readonly CompiledFeature[]): TilePlan {
  return {
    tileMs,
    latenessMs,
    features,
    hasSquares: features.some(({ aggregate }) => aggregate === 'stddev'),
    hasKept: features.some(({ aggregate }) => KEEPS.has(aggregate)),
  };
}

const KEEPS: ReadonlySet<string> = new Set(['first', 'last', 'distinct']);

/** A tile of one contribution. */
export function tileOf(
  { tileMs, features, hasSquares, hasKept }: TilePlan,
  place: Omit<Edge, 'value'>,
  values: readonly FeatureValue[],
): Tile {
  const extreme = (value: FeatureValue, otherwise: number) => (typeof value === 'number' ? value : otherwise);
  const exact = (value: FeatureValue) => (typeof value === 'number' ? decimalOf(value) : 0);
  const sums = values.map(exact);
  return {
    startMs: Math.floor(place.timeMs / tileMs) * tileMs,
    count: 1,
    counts: values.map((value) => (value === null ? 0 : 1)),
    sums,
    mins: values.map((value) => extreme(value, Number.POSITIVE_INFINITY)),
    maxs: values.map((value) => extreme(value, Number.NEGATIVE_INFINITY)),
    squares: hasSquares ? sums.map((sum) => times(sum, sum)) : [],
    kept: hasKept ? values.map((value, index) => keptOf(features[index]!, place, value)) : [],
  };
}

function keptOf({ aggregate }: CompiledFeature, place: Omit<Edge, 'value'>, value: FeatureValue): Kept {
  if (value === null) return null;
  if (aggregate === 'distinct') return distinctOf(value);
  const { timeMs, partition, offset, item } = place;
  return KEEPS.has(aggregate) ? { timeMs, partition, offset, item, value } : null;
}

/** A tile of its own, to merge others into. */
export function copyTile<T extends Tile>(tile: T): T {
  const { counts, sums, mins, maxs, squares, kept } = tile;
  return {
    ...tile,
    counts: [...counts],
    sums: [...sums],
    mins: [...mins],
    maxs: [...maxs],
    squares: [...squares],
    kept: [...kept],
  };
}

/** Puts a tile in its place by start, or adds it to the one that is there. */
export function insertTile({ features }: TilePlan, tiles: Tile[], tile: Tile): void {
  let at = tiles.length;
  while (at > 0 && tiles[at - 1]!.startMs > tile.startMs) at--;
  const before = tiles[at - 1];
  if (before?.startMs === tile.startMs) mergeTile(features, before, tile);
  else tiles.splice(at, 0, tile);
}

/** Adds one tile to another of the same start. */
export function mergeTile(features: readonly CompiledFeature[], into: Tile, tile: Tile): void {
  into.count += tile.count;
  for (let i = 0; i < tile.sums.length; i++) {
    into.counts[i] = into.counts[i]! + tile.counts[i]!;
    into.sums[i] = plus(into.sums[i]!, tile.sums[i]!);
    into.mins[i] = Math.min(into.mins[i]!, tile.mins[i]!);
    into.maxs[i] = Math.max(into.maxs[i]!, tile.maxs[i]!);
  }
  for (let i = 0; i < tile.squares.length; i++) into.squares[i] = plus(into.squares[i]!, tile.squares[i]!);
  into.kept = mergeKept(features, into.kept, tile.kept);
}

/** What two tiles of one start keep, together. */
export function mergeKept(
  features: readonly CompiledFeature[],
  a: readonly Kept[],
  b: readonly Kept[],
): Kept[] {
  return a.map((kept, index) => {
    const other = b[index] ?? null;
    if (kept === null || other === null) return kept ?? other;
    const { aggregate } = features[index]!;
    if (aggregate === 'distinct') return mergeDistinct(kept as Distinct, other as Distinct);
    return isBeforeEdge(kept as Edge, other as Edge) === (aggregate === 'first') ? kept : other;
  });
}

function isBeforeEdge(a: Edge, b: Edge): boolean {
  return (a.timeMs - b.timeMs || a.offset - b.offset || a.partition - b.partition || a.item - b.item) < 0;
}

/** The values of a tiled view's features: the tiles that are complete at the time asked for, back to the window's length. */
export function evaluateTiled(
  { tileMs, latenessMs, features }: TilePlan,
  tiles: readonly Tile[],
  { timeMs, recordedByMs = Number.POSITIVE_INFINITY }: AsOf,
): FeatureValue[] {
  const end = Math.floor((Math.min(timeMs, recordedByMs) - latenessMs) / tileMs) * tileMs;
  return features.map((feature, index) => {
    const until = feature.tumbling ? Math.floor(end / feature.windowMs) * feature.windowMs : end;
    const from = until - feature.windowMs;
    let high = tiles.length;
    while (high > 0 && tiles[high - 1]!.startMs >= until) high--;
    let low = high;
    while (low > 0 && tiles[low - 1]!.startMs >= from) low--;
    return windowValue(feature, index, tiles, low, high);
  });
}

/** One feature over `tiles[low..high)`. */
function windowValue(
  { aggregate, hasValue }: CompiledFeature,
  index: number,
  tiles: readonly Tile[],
  low: number,
  high: number,
): FeatureValue {
  let count = 0;
  for (let at = low; at < high; at++) count += hasValue ? tiles[at]!.counts[index]! : tiles[at]!.count;
  if (aggregate === 'count') return count;
  const sumOf = (numbers: (tile: Tile) => readonly Decimal[]) => {
    let sum: Decimal = 0;
    for (let at = low; at < high; at++) sum = plus(sum, numbers(tiles[at]!)[index]!);
    return sum;
  };
  if (aggregate === 'sum') return toNumber(sumOf(({ sums }) => sums));
  if (aggregate === 'distinct') return distinctIn(tiles, index, low, high);
  if (count === 0) return null;
  switch (aggregate) {
    case 'mean':
      return toNumber(sumOf(({ sums }) => sums)) / count;
    case 'stddev':
      return deviation(
        count,
        sumOf(({ sums }) => sums),
        sumOf(({ squares }) => squares),
      );
    case 'first':
      for (let at = low; at < high; at++) {
        const edge = tiles[at]!.kept[index] as Edge | null;
        if (edge) return edge.value;
      }
      return null;
    case 'last':
      for (let at = high - 1; at >= low; at--) {
        const edge = tiles[at]!.kept[index] as Edge | null;
        if (edge) return edge.value;
      }
      return null;
    default:
      return extremeOf(aggregate, tiles, index, low, high);
  }
}

function extremeOf(
  aggregate: 'min' | 'max',
  tiles: readonly Tile[],
  index: number,
  low: number,
  high: number,
): number {
  let extreme = aggregate === 'min' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  for (let at = low; at < high; at++) {
    const { mins, maxs } = tiles[at]!;
    extreme = aggregate === 'min' ? Math.min(extreme, mins[index]!) : Math.max(extreme, maxs[index]!);
  }
  return extreme;
}

function distinctIn(tiles: readonly Tile[], index: number, low: number, high: number): number {
  let union: Distinct = [];
  for (let at = low; at < high; at++) {
    const distinct = tiles[at]!.kept[index] as Distinct | null;
    if (distinct) union = union.length === 0 ? distinct : mergeDistinct(union, distinct);
  }
  return countDistinct(union);
}

/**
 * The sample standard deviation, null for fewer than two values. `n·Σx² - (Σx)²` is exact in decimals: nothing cancels, which is why sums of squares
 * are kept here and not Welford's, whose merge depends on the order.
 */
function deviation(count: number, sum: Decimal, squares: Decimal): number | null {
  if (count < 2) return null;
  const spread = plus(times(count, squares), times(-1, times(sum, sum)));
  return Math.sqrt(toNumber(spread) / (count * (count - 1)));
}
