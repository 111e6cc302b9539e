/** What one version did under a rollout, in one process and one stretch of time, or over several. */
export interface SideCounts {
  requests: number;
  errors: number;
  latencyMsSum: number;
  /** Sparse: bucket → count; eight buckets to a doubling, from 1 µs. */
  latencies: Record<string, number>;
  /** Rows whose answers of both versions were compared; counted with the challenger. */
  compared: number;
  agreed: number;
  /** Of numbers: how many were compared, the sum of the absolute differences, the greatest. */
  differences: number;
  differenceSum: number;
  differenceMax: number;
  /** Copies that were not made because too many waited. */
  dropped: number;
  /** What the copies cost, in micro-dollars. */
  copiesMicroUsd: number;
}

export type Side = 'champion' | 'challenger';
export const SIDES: readonly Side[] = ['champion', 'challenger'];
export type BothCounts = Record<Side, SideCounts>;

/** @example emptyCounts().requests // 0 */
export function emptyCounts(): SideCounts {
  return {
    requests: 0,
    errors: 0,
    latencyMsSum: 0,
    latencies: {},
    compared: 0,
    agreed: 0,
    differences: 0,
    differenceSum: 0,
    differenceMax: 0,
    dropped: 0,
    copiesMicroUsd: 0,
  };
}

/** Adds counts to others. */
export function addCounts(to: SideCounts, more: SideCounts): void {
  for (const [bucket, count] of Object.entries(more.latencies))
    to.latencies[bucket] = (to.latencies[bucket] ?? 0) + count;
  to.differenceMax = Math.max(to.differenceMax, more.differenceMax);
  for (const name of ADDED) to[name] += more[name];
}

const ADDED = [
  'requests',
  'errors',
  'latencyMsSum',
  'compared',
  'agreed',
  'differences',
  'differenceSum',
  'dropped',
  'copiesMicroUsd',
] as const;

/** What one version came to. Latencies are in milliseconds, from the request to its answer; null without samples. */
interface SideFigures {
  readonly requests: number;
  readonly errors: number;
  readonly errorRate: number | null;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
}

/** How far the two versions agree on the same inputs; null without samples. */
interface AgreementFigures {
  /** Rows. */
  readonly compared: number;
  /** The share of rows, 0 to 1, that have the same class (or, without one, lie within the tolerance). */
  readonly agreement: number | null;
  readonly differenceMean: number | null;
  readonly differenceMax: number | null;
  readonly dropped: number;
  readonly copiesMicroUsd: number;
}

export interface RolloutFigures {
  readonly champion: SideFigures;
  readonly challenger: SideFigures;
  readonly comparison: AgreementFigures;
}

/** @example figuresOf(counts).challenger.errorRate // 0.02 */
export function figuresOf({ champion, challenger }: BothCounts): RolloutFigures {
  const { compared, agreed, differences, differenceSum, differenceMax, dropped, copiesMicroUsd } = challenger;
  return {
    champion: sideFigures(champion),
    challenger: sideFigures(challenger),
    comparison: {
      compared,
      agreement: compared === 0 ? null : agreed / compared,
      differenceMean: differences === 0 ? null : differenceSum / differences,
      differenceMax: differences === 0 ? null : differenceMax,
      dropped,
      copiesMicroUsd,
    },
  };
}

function sideFigures({ requests, errors, latencies }: SideCounts): SideFigures {
  return {
    requests,
    errors,
    errorRate: requests === 0 ? null : errors / requests,
    p50Ms: quantileMs(latencies, 0.5),
    p95Ms: quantileMs(latencies, 0.95),
    p99Ms: quantileMs(latencies, 0.99),
  };
}

/** The upper edge of the bucket that holds the quantile: right to 9 %. */
function quantileMs(latencies: Readonly<Record<string, number>>, quantile: number): number | null {
  const buckets = Object.entries(latencies)
    .map(([bucket, count]) => [Number(bucket), count] as const)
    .sort(([a], [b]) => a - b);
  let remaining = quantile * buckets.reduce((total, [, count]) => total + count, 0);
  for (const [bucket, count] of buckets) {
    remaining -= count;
    if (remaining <= 0) return 2 ** ((bucket + 1) / 8) / 1000;
  }
  return null;
}
