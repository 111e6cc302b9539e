import type { ServingStatistics } from './statistics.ts';

interface ProtocolDuration {
  count: number;
  ns: number;
}

const duration = (count: number, ms: number): ProtocolDuration => ({ count, ns: Math.round(ms * 1e6) });

/**
 * One version's statistics as the Open Inference Protocol's statistics extension tells them, over REST and gRPC alike. Counts are
 * requests, but `inference_count` is rows and `execution_count` batches; times are nanoseconds in all.
 *
 * @param cache of the response cache, where the version has one
 * @example protocolStatistics('risk', 3, serving.statistics()['risk/3']!).inference_stats.queue // { count: 12, ns: 480000 }
 */
export function protocolStatistics(
  name: string,
  version: number | string,
  statistics: ServingStatistics,
  cache?: { readonly hits: number; readonly misses: number } | null,
) {
  const { success, fail, refused, queue, computeInput, computeInfer, computeOutput } = statistics;
  const told = ({ count, ms }: ServingStatistics['success']) => duration(count, ms);
  return {
    name,
    version: String(version),
    last_inference: statistics.lastInferenceMs,
    inference_count: statistics.rows,
    execution_count: statistics.batches,
    inference_stats: {
      success: told(success),
      fail: duration(fail.count + refused, fail.ms),
      queue: told(queue),
      compute_input: told(computeInput),
      compute_infer: told(computeInfer),
      compute_output: told(computeOutput),
      cache_hit: duration(cache?.hits ?? 0, 0),
      cache_miss: duration(cache?.misses ?? 0, 0),
    },
    batch_stats: statistics.batchSizes.map(
      ({ rows, count, computeInputMs, computeInferMs, computeOutputMs }) => ({
        batch_size: rows,
        compute_input: duration(count, computeInputMs),
        compute_infer: duration(count, computeInferMs),
        compute_output: duration(count, computeOutputMs),
      }),
    ),
  };
}
