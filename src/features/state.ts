import type { LogPosition } from '../kernel/cloudevent.ts';
import type { Aggregate } from './definitions.ts';

/**
 * The place in time and in the log that a vector is as of: it holds what came before, and nothing else. A contribution counts when its time is
 * not after `timeMs` and, when a position is given, it lies before that position: by offset in the same log partition, by time
 * in another.
 */
export interface AsOf {
  timeMs: number;
  position?: LogPosition | undefined;
}

export type FeatureValue = number | string | boolean | null;

/** One event, or one element of it, as a view keeps it: where it stands, and the values of the features' `of`, in their order. */
export interface Contribution extends LogPosition {
  timeMs: number;
  values: readonly FeatureValue[];
}

/** Contributions merged over `[startMs, startMs + tile)`: per feature count, sum, min and max of what was not null. */
export interface Tile {
  startMs: number;
  count: number;
  counts: number[];
  sums: number[];
  mins: number[];
  maxs: number[];
}

/** One feature as it is computed. */
export interface CompiledFeature {
  readonly name: string;
  readonly aggregate: Aggregate;
  /** Milliseconds; infinite for all history. */
  readonly windowMs: number;
  /** False for a `count` without `of`: it counts contributions. */
  readonly hasValue: boolean;
}

/** Puts a contribution in its place: by time, then by offset; nearly always at the end. */
export function insertContribution(list: Contribution[], contribution: Contribution): void {
  let at = list.length;
  while (at > 0 && isAfter(list[at - 1]!, contribution)) at--;
  if (at === list.length) list.push(contribution);
  else list.splice(at, 0, contribution);
}

function isAfter(a: Contribution, b: Contribution): boolean {
  return (
    a.timeMs > b.timeMs ||
    (a.timeMs === b.timeMs && (a.offset > b.offset || (a.offset === b.offset && a.partition > b.partition)))
  );
}

/** The values of an exact view's features as of a place, over contributions in their order. */
export function evaluateExact(
  features: readonly CompiledFeature[],
  list: readonly Contribution[],
  asOf: AsOf,
): FeatureValue[] {
  const end = countUntil(list, asOf.timeMs);
  return features.map((feature, index) => evaluateOne(feature, index, list, end, asOf));
}

/** How many contributions have a time not after `timeMs`: nearly always all, and by halves when not. */
function countUntil(list: readonly Contribution[], timeMs: number): number {
  let low = 0;
  let high = list.length;
  if (high === 0 || list[high - 1]!.timeMs <= timeMs) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]!.timeMs <= timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function evaluateOne(
  feature: CompiledFeature,
  index: number,
  list: readonly Contribution[],
  end: number,
  asOf: AsOf,
): FeatureValue {
  const from = asOf.timeMs - feature.windowMs;
  const fold = new Fold(feature.aggregate);
  // Newest first: the window ends the walk, and the first one found is the last.
  for (let at = end - 1; at >= 0; at--) {
    const contribution = list[at]!;
    if (contribution.timeMs <= from) break;
    if (!isBefore(contribution, asOf)) continue;
    const value = contribution.values[index] ?? null;
    if (feature.hasValue && value === null) continue;
    fold.add(value);
    if (feature.aggregate === 'last') break;
  }
  return fold.result();
}

/** Whether a contribution lies before the place in the log; its time is not looked at in the partition of that place. */
export function isBefore(contribution: Contribution, { timeMs, position }: AsOf): boolean {
  if (!position) return true;
  return contribution.partition === position.partition
    ? contribution.offset < position.offset
    : contribution.timeMs < timeMs;
}

class Fold {
  readonly #aggregate: Aggregate;
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  #last: FeatureValue = null;
  #seen: Set<FeatureValue> | undefined;

  constructor(aggregate: Aggregate) {
    this.#aggregate = aggregate;
    if (aggregate === 'distinct') this.#seen = new Set();
  }

  add(value: FeatureValue): void {
    if (this.#count++ === 0) this.#last = value;
    if (this.#seen) this.#seen.add(value);
    else if (typeof value === 'number') {
      this.#sum += value;
      if (value < this.#min) this.#min = value;
      if (value > this.#max) this.#max = value;
    }
  }

  result(): FeatureValue {
    switch (this.#aggregate) {
      case 'count':
        return this.#count;
      case 'distinct':
        return this.#seen!.size;
      case 'last':
        return this.#last;
      default:
        return summary(this.#aggregate, this.#count, this.#sum, this.#min, this.#max);
    }
  }
}

function summary(aggregate: Aggregate, count: number, sum: number, min: number, max: number): FeatureValue {
  if (aggregate === 'count') return count;
  if (aggregate === 'sum') return sum;
  if (count === 0) return null;
  if (aggregate === 'mean') return sum / count;
  return aggregate === 'min' ? min : max;
}

/** The values of a tiled view's features: the tiles that ended at or before `timeMs`, back to the window's length. */
export function evaluateTiled(
  features: readonly CompiledFeature[],
  tiles: readonly Tile[],
  tileMs: number,
  { timeMs }: AsOf,
): FeatureValue[] {
  const end = Math.floor(timeMs / tileMs) * tileMs;
  return features.map(({ aggregate, windowMs, hasValue }, index) => {
    let count = 0;
    let sum = 0;
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    for (let at = tiles.length - 1; at >= 0; at--) {
      const tile = tiles[at]!;
      if (tile.startMs >= end) continue;
      if (tile.startMs < end - windowMs) break;
      count += hasValue ? tile.counts[index]! : tile.count;
      sum += tile.sums[index]!;
      min = Math.min(min, tile.mins[index]!);
      max = Math.max(max, tile.maxs[index]!);
    }
    return summary(aggregate, count, sum, min, max);
  });
}

/** A tile of one contribution. */
export function tileOf(startMs: number, values: readonly FeatureValue[]): Tile {
  const number = (value: FeatureValue, otherwise: number) => (typeof value === 'number' ? value : otherwise);
  return {
    startMs,
    count: 1,
    counts: values.map((value) => (value === null ? 0 : 1)),
    sums: values.map((value) => number(value, 0)),
    mins: values.map((value) => number(value, Number.POSITIVE_INFINITY)),
    maxs: values.map((value) => number(value, Number.NEGATIVE_INFINITY)),
  };
}

/** Puts a tile in its place by start, or adds it to the one that is there. */
export function insertTile(tiles: Tile[], tile: Tile): void {
  let at = tiles.length;
  while (at > 0 && tiles[at - 1]!.startMs > tile.startMs) at--;
  const before = tiles[at - 1];
  if (before?.startMs === tile.startMs) mergeTile(before, tile);
  else tiles.splice(at, 0, tile);
}

/** Adds one tile to another of the same start. */
export function mergeTile(into: Tile, tile: Tile): void {
  into.count += tile.count;
  for (let i = 0; i < tile.sums.length; i++) {
    into.counts[i] = into.counts[i]! + tile.counts[i]!;
    into.sums[i] = into.sums[i]! + tile.sums[i]!;
    into.mins[i] = Math.min(into.mins[i]!, tile.mins[i]!);
    into.maxs[i] = Math.max(into.maxs[i]!, tile.maxs[i]!);
  }
}
