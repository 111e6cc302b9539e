import { describe, expect, it } from 'vitest';
import { type ConfiguredModel, modelConfig } from './model-config.ts';

const model = (serving: Partial<ConfiguredModel['serving']> = {}, rest: Partial<ConfiguredModel> = {}) =>
  modelConfig({
    name: 'risk',
    runtime: 'onnx',
    signature: {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3, 4] }],
      outputs: [{ name: 'y', datatype: 'BYTES', shape: [-1] }],
    },
    serving: { batchMax: 64, queueMax: 2000, replicas: 1, ...serving },
    ...rest,
  });

describe('the configuration of a model in the words of Triton', () => {
  it('is what its definition says', () => {
    expect(model()).toEqual({
      name: 'risk',
      platform: 'onnx_onnxv1',
      backend: 'onnx',
      version_policy: { all: {} },
      max_batch_size: 64,
      input: [{ name: 'x', data_type: 'TYPE_FP32', dims: [3, 4] }],
      output: [{ name: 'y', data_type: 'TYPE_STRING', dims: [] }],
      instance_group: [{ name: 'risk', kind: 'KIND_CPU', count: 1 }],
      dynamic_batching: {
        preferred_batch_size: [],
        max_queue_delay_microseconds: 0,
        priority_levels: 5,
        default_priority_level: 3,
        default_queue_policy: { allow_timeout_override: true, max_queue_size: 2000 },
      },
      model_transaction_policy: { decoupled: false },
      response_cache: { enable: false },
    });
  });

  it('tells instances, their place, a chosen batch, its delay, and the cache', () => {
    const replicas = { min: 0, max: 4 };
    const batch = { max: 16, delayUs: 500 };
    expect(model({ replicas, batch, placement: 'gpu-preferred', cache: {} })).toMatchObject({
      instance_group: [{ kind: 'KIND_AUTO', count: 4 }],
      dynamic_batching: { preferred_batch_size: [16], max_queue_delay_microseconds: 500 },
      response_cache: { enable: true },
    });
    expect(model({ placement: 'gpu' })).toMatchObject({ instance_group: [{ kind: 'KIND_GPU' }] });
  });

  it.each([
    ['that is told so', model({ batch: { off: true } })],
    ['of one row at most', model({ batchMax: 1 })],
    ['that is a flow', model({}, { runtime: 'workflow' })],
    [
      'without a free first size',
      model({}, { signature: { inputs: [{ name: 'x', datatype: 'FP32', shape: [3] }], outputs: [] } }),
    ],
  ])('has no dynamic batching for a model %s', (_, config) => {
    expect(config.dynamic_batching).toBeUndefined();
  });

  it('names the first size where there are no batches', () => {
    const signature = { inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [3] }], outputs: [] };
    expect(model({}, { signature })).toMatchObject({ max_batch_size: 0, input: [{ dims: [3] }] });
  });
});
