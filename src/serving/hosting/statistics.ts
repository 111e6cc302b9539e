const BUCKETS = 120; // four to a doubling, from 1 µs to 2^30 µs: a percentile is right to 19 %

/** How often something happened, and how long it took in all. */
interface Durations {
  count: number;
  ms: number;
}

/** Executions with one number of rows; times are of whole batches. */
export interface BatchStatistics {
  rows: number;
  count: number;
  computeInputMs: number;
  computeInferMs: number;
  computeOutputMs: number;
}

/** What one version of a model has done since it was loaded; the words of the Open Inference Protocol's statistics extension. */
export interface ServingStatistics {
  /** Ready, at work or not. */
  replicas: number;
  /** `waiting`: for the next try after a start that failed. */
  replicaStates: Record<'starting' | 'idle' | 'busy' | 'waiting', number>;
  device: 'cpu' | 'gpu' | undefined;
  residentBytes: number;
  queued: number;
  queuedBytes: number;
  requests: number;
  errors: number;
  refused: number;
  restarts: number;
  rows: number;
  batches: number;
  meanBatch: number;
  /** Rows that batches grow to; 1: no batching. */
  bestBatch: number;
  computeMs: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  queueP50Ms: number;
  queueP90Ms: number;
  queueP99Ms: number;
  /** Epoch milliseconds of the last batch; 0 before the first. */
  lastInferenceMs: number;
  /** Per request: from its coming to its answer, or to its error. */
  success: Durations;
  fail: Durations;
  /** Per request: a batch's times count for each request in it, as each waited for all of it. */
  queue: Durations;
  computeInput: Durations;
  computeInfer: Durations;
  computeOutput: Durations;
  batchSizes: BatchStatistics[];
}

/** Latencies in exponential buckets: adding one costs a logarithm. */
export class Latencies {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;

  get count(): number {
    return this.#total;
  }

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

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }
}

/** Of one batch, in milliseconds. */
export interface BatchTimes {
  /** From the first byte written to the last handed over. */
  inputMs: number;
  inferMs: number;
  /** The way back. */
  outputMs: number;
}

/** Counts of one host; what a request costs here is a few additions. */
export class HostCounts {
  requests = 0;
  errors = 0;
  refused = 0;
  rows = 0;
  batches = 0;
  lastInferenceAtMs = 0;
  readonly latencies = new Latencies();
  readonly queueDelays = new Latencies();
  #computeMs = 0;
  #answered = 0;
  #answeredMs = 0;
  #failedMs = 0;
  #queuedMs = 0;
  #inputMs = 0;
  #inferMs = 0;
  #outputMs = 0;
  readonly #bySize = new Map<number, BatchStatistics>();

  batchAnswered(requests: number, rows: number, times: BatchTimes, nowMs: number): void {
    this.batches++;
    this.rows += rows;
    this.lastInferenceAtMs = nowMs;
    this.#computeMs += times.inferMs;
    this.#inputMs += times.inputMs * requests;
    this.#inferMs += times.inferMs * requests;
    this.#outputMs += times.outputMs * requests;
    let size = this.#bySize.get(rows);
    if (!size) {
      size = { rows, count: 0, computeInputMs: 0, computeInferMs: 0, computeOutputMs: 0 };
      this.#bySize.set(rows, size);
    }
    size.count++;
    size.computeInputMs += times.inputMs;
    size.computeInferMs += times.inferMs;
    size.computeOutputMs += times.outputMs;
  }

  requestAnswered(queuedMs: number, totalMs: number): void {
    this.#answered++;
    this.#answeredMs += totalMs;
    this.#queuedMs += queuedMs;
    this.latencies.add(totalMs);
    this.queueDelays.add(queuedMs);
  }

  requestFailed(totalMs: number): void {
    this.errors++;
    this.#failedMs += totalMs;
  }

  /** What these counts say of `ServingStatistics`. */
  told() {
    const { requests, errors, refused, rows, batches, latencies, queueDelays } = this;
    const count = this.#answered;
    return {
      requests,
      errors,
      refused,
      rows,
      batches,
      meanBatch: batches === 0 ? 0 : rows / batches,
      computeMs: this.#computeMs,
      p50Ms: latencies.quantileMs(0.5),
      p95Ms: latencies.quantileMs(0.95),
      p99Ms: latencies.quantileMs(0.99),
      queueP50Ms: queueDelays.quantileMs(0.5),
      queueP90Ms: queueDelays.quantileMs(0.9),
      queueP99Ms: queueDelays.quantileMs(0.99),
      lastInferenceMs: batches === 0 ? 0 : Math.round(performance.timeOrigin + this.lastInferenceAtMs),
      success: { count, ms: this.#answeredMs },
      fail: { count: errors, ms: this.#failedMs },
      queue: { count, ms: this.#queuedMs },
      computeInput: { count, ms: this.#inputMs },
      computeInfer: { count, ms: this.#inferMs },
      computeOutput: { count, ms: this.#outputMs },
      batchSizes: [...this.#bySize.values()].sort((a, b) => a.rows - b.rows).map((size) => ({ ...size })),
    };
  }
}
