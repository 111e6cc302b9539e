import { expect, it } from 'vitest';
import { modelStatistics } from './statistics.ts';

it('tells counts and nanoseconds in the words of the extension: refused requests have failed, hits of the cache have succeeded and took no time', () => {
  const counted = {
    rows: 12,
    batches: 3,
    refused: 2,
    residentBytes: 4096,
    device: 'gpu' as const,
    lastInferenceMs: 1_700_000_000_000,
    success: { count: 10, ms: 25.5 },
    fail: { count: 1, ms: 4 },
    queue: { count: 10, ms: 1 },
    computeInput: { count: 10, ms: 2 },
    computeInfer: { count: 10, ms: 20 },
    computeOutput: { count: 10, ms: 2.5 },
    batchSizes: [{ rows: 4, count: 3, computeInputMs: 1, computeInferMs: 6, computeOutputMs: 0.75 }],
  };
  expect(modelStatistics('risk', 3, { ...counted, cache: { hits: 7, misses: 5 } })).toEqual({
    name: 'risk',
    version: '3',
    last_inference: 1_700_000_000_000,
    inference_count: 12,
    execution_count: 3,
    inference_stats: {
      success: { count: 17, ns: 25_500_000 },
      fail: { count: 3, ns: 4_000_000 },
      queue: { count: 17, ns: 1_000_000 },
      compute_input: { count: 10, ns: 2_000_000 },
      compute_infer: { count: 10, ns: 20_000_000 },
      compute_output: { count: 10, ns: 2_500_000 },
      cache_hit: { count: 7, ns: 0 },
      cache_miss: { count: 5, ns: 0 },
    },
    batch_stats: [
      {
        batch_size: 4,
        compute_input: { count: 3, ns: 1_000_000 },
        compute_infer: { count: 3, ns: 6_000_000 },
        compute_output: { count: 3, ns: 750_000 },
      },
    ],
    memory_usage: [{ type: 'GPU', id: 0, byte_size: 4096 }],
  });
  const withoutCache = modelStatistics('risk', 3, counted).inference_stats;
  expect(withoutCache).toMatchObject({
    success: { count: 10 },
    cache_hit: { count: 0 },
    cache_miss: { count: 0 },
  });
  expect(modelStatistics('risk', 4)).toMatchObject({ inference_count: 0, memory_usage: [] });
});
