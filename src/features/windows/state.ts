import type { LogPosition } from '../../kernel/cloudevent.ts';
import { type Decimal, decimalOf, plus, times } from './decimal.ts';
import { deviation, ExactSum, finite } from './exact-sum.ts';

export const AGGREGATES = [
  'count',
  'sum',
  'mean',
  'min',
  'max',
  'stddev',
  'first',
  'last',
  'distinct',
] as const;
export type Aggregate = (typeof AGGREGATES)[number];

/**
 * The place in time and in the log that a vector is as of: it holds what came before, and nothing else. A contribution counts when its time is
 * not after `timeMs` and, when a position is given, it lies before that position: by offset in the same log partition, by time
 * in another. With `recordedByMs` (the created-at cut-off) only what was recorded by then counts, as if nothing had come later.
 */
export interface AsOf {
  timeMs: number;
  position?: LogPosition | undefined;
  recordedByMs?: number | undefined;
}

export type FeatureValue = number | string | boolean | null;

/** One event, or one element of it, as a view keeps it: where it stands, and the values of the features' `of`, in their order. */
export interface Contribution extends LogPosition {
  timeMs: number;
  /** When its event was written to the log. */
  recordedAtMs: number;
  values: readonly FeatureValue[];
}

/** One feature as it is computed. */
export interface CompiledFeature {
  readonly name: string;
  readonly aggregate: Aggregate;
  /** Milliseconds; infinite for all history. */
  readonly windowMs: number;
  /** The window is the newest whole one of those that lie end to end from the epoch; otherwise it ends with the time asked for. */
  readonly tumbling: boolean;
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
  // Of a tumbling window the start counts and the end does not; of a sliding one the other way round.
  const until = feature.tumbling ? Math.floor(asOf.timeMs / feature.windowMs) * feature.windowMs : undefined;
  const from = until === undefined ? asOf.timeMs - feature.windowMs : until - feature.windowMs - 1;
  const { aggregate } = feature;
  const fold = aggregate === 'count' || isEdge(aggregate) ? undefined : new Fold(aggregate);
  let count = 0;
  let edge: FeatureValue = null;
  // Newest first: the window ends the walk, and the first one found is the last.
  for (let at = end - 1; at >= 0; at--) {
    const contribution = list[at]!;
    if (contribution.timeMs <= from) break;
    if (until !== undefined && contribution.timeMs >= until) continue;
    if (!isBefore(contribution, asOf)) continue;
    const value = contribution.values[index] ?? null;
    if (feature.hasValue && value === null) continue;
    count++;
    edge = value;
    fold?.add(value);
    if (aggregate === 'last') break;
  }
  return fold ? fold.result() : isEdge(aggregate) ? edge : count;
}

function isEdge(aggregate: Aggregate): boolean {
  return aggregate === 'first' || aggregate === 'last';
}

/** Whether a contribution lies before the place in the log; its time is not looked at in the partition of that place. */
export function isBefore(contribution: Contribution, { timeMs, position, recordedByMs }: AsOf): boolean {
  if (recordedByMs !== undefined && contribution.recordedAtMs > recordedByMs) return false;
  if (!position) return true;
  return contribution.partition === position.partition
    ? contribution.offset < position.offset
    : contribution.timeMs < timeMs;
}

/** One pass over contributions, newest first. Sums are exact: events of one time may stand in another order where they came in another one. */
class Fold {
  readonly #aggregate: Aggregate;
  #count = 0;
  readonly #sum: ExactSum | undefined;
  #squares: Decimal = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  #seen: Set<FeatureValue> | undefined;

  constructor(aggregate: Aggregate) {
    this.#aggregate = aggregate;
    if (aggregate === 'distinct') this.#seen = new Set();
    if (aggregate === 'sum' || aggregate === 'mean' || aggregate === 'stddev') this.#sum = new ExactSum();
  }

  add(value: FeatureValue): void {
    this.#count++;
    if (this.#seen) this.#seen.add(value);
    else if (typeof value === 'number') {
      this.#sum?.add(value);
      if (value < this.#min) this.#min = value;
      if (value > this.#max) this.#max = value;
      if (this.#aggregate === 'stddev') {
        const decimal = decimalOf(value);
        this.#squares = plus(this.#squares, times(decimal, decimal));
      }
    }
  }

  result(): FeatureValue {
    const count = this.#count;
    switch (this.#aggregate) {
      case 'sum':
        return finite(this.#sum!.value);
      case 'mean':
        return count === 0 ? null : finite(this.#sum!.value / count);
      case 'min':
        return count === 0 ? null : this.#min;
      case 'max':
        return count === 0 ? null : this.#max;
      case 'stddev':
        return deviation(count, this.#sum!.decimal, this.#squares);
      default:
        return this.#seen!.size;
    }
  }
}
