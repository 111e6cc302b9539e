const BUCKETS = 120; // four to a doubling, from 1 µs to 2^30 µs: a percentile is right to 19 %

/** What one version of a model has done since it was loaded. */
export interface ServingStatistics {
  replicas: number;
  queued: number;
  requests: number;
  errors: number;
  refused: number;
  restarts: number;
  rows: number;
  batches: number;
  meanBatch: number;
  computeMs: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
}

/** Latencies in exponential buckets: adding one costs a logarithm. */
export class Latencies {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;

  add(ms: number): void {
    const bucket = Math.floor(4 * Math.log2(ms * 1000));
    const index = bucket > 0 ? Math.min(bucket, BUCKETS - 1) : 0;
    this.#counts[index] = this.#counts[index]! + 1;
    this.#total++;
  }

  /** The upper edge of the bucket that holds the quantile, in milliseconds; 0 when nothing was added. */
  quantileMs(quantile: number): number {
    let remaining = this.#total * quantile;
    for (let index = 0; index < BUCKETS && this.#total > 0; index++) {
      remaining -= this.#counts[index]!;
      if (remaining <= 0) return 2 ** ((index + 1) / 4) / 1000;
    }
    return 0;
  }
}
