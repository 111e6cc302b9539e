import type { JsonObject } from '../../kernel/json.ts';

/** How often something happened, and how long it took in all, in milliseconds. */
interface Durations {
  readonly count: number;
  readonly ms: number;
}

/** What a host counts of one version since it was loaded. */
interface CountedModel {
  readonly rows: number;
  readonly batches: number;
  /** Refused by a full queue: they fail without having taken time. */
  readonly refused: number;
  /** Of the response cache, where the version has one. */
  readonly cache?: { readonly hits: number; readonly misses: number } | null;
  /** Of its replicas; 0 where it is not measured. */
  readonly residentBytes: number;
  readonly device: 'cpu' | 'gpu' | undefined;
  /** Epoch milliseconds; 0 before the first. */
  readonly lastInferenceMs: number;
  readonly success: Durations;
  readonly fail: Durations;
  readonly queue: Durations;
  readonly computeInput: Durations;
  readonly computeInfer: Durations;
  readonly computeOutput: Durations;
  readonly batchSizes: readonly {
    readonly rows: number;
    readonly count: number;
    readonly computeInputMs: number;
    readonly computeInferMs: number;
    readonly computeOutputMs: number;
  }[];
}

const NONE: Durations = { count: 0, ms: 0 };
const NOTHING: CountedModel = {
  rows: 0,
  batches: 0,
  refused: 0,
  residentBytes: 0,
  device: undefined,
  lastInferenceMs: 0,
  success: NONE,
  fail: NONE,
  queue: NONE,
  computeInput: NONE,
  computeInfer: NONE,
  computeOutput: NONE,
  batchSizes: [],
};

/**
 * One model of the statistics extension (triton-inference-server/server, docs/protocol/extension_statistics.md), as JSON of its
 * ModelStatistics message: durations are nanoseconds. A version that is not loaded has counted nothing.
 *
 * @example modelStatistics('return-risk', 1, counted).inference_count
 */
export function modelStatistics(name: string, version: number | string, counted = NOTHING): JsonObject {
  const duration = ({ count, ms }: Durations) => ({ count, ns: Math.round(ms * 1e6) });
  // The extension counts answers of the cache among those that succeeded and those that passed the queue; they took no time worth counting.
  const hits = counted.cache?.hits ?? 0;
  const withHits = ({ count, ms }: Durations) => duration({ count: count + hits, ms });
  return {
    name,
    version: String(version),
    last_inference: counted.lastInferenceMs,
    inference_count: counted.rows,
    execution_count: counted.batches,
    inference_stats: {
      success: withHits(counted.success),
      fail: duration({ count: counted.fail.count + counted.refused, ms: counted.fail.ms }),
      queue: withHits(counted.queue),
      compute_input: duration(counted.computeInput),
      compute_infer: duration(counted.computeInfer),
      compute_output: duration(counted.computeOutput),
      cache_hit: duration({ count: hits, ms: 0 }),
      cache_miss: duration({ count: counted.cache?.misses ?? 0, ms: 0 }),
    },
    batch_stats: counted.batchSizes.map(
      ({ rows, count, computeInputMs, computeInferMs, computeOutputMs }) => ({
        batch_size: rows,
        compute_input: duration({ count, ms: computeInputMs }),
        compute_infer: duration({ count, ms: computeInferMs }),
        compute_output: duration({ count, ms: computeOutputMs }),
      }),
    ),
    memory_usage:
      counted.residentBytes > 0
        ? [{ type: counted.device === 'gpu' ? 'GPU' : 'CPU', id: 0, byte_size: counted.residentBytes }]
        : [],
  };
}
