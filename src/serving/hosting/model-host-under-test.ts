import { afterEach } from 'vitest';
import { limitsFrom } from '../../kernel/limits.ts';
import { createFunctionRuntime, type FunctionModel } from '../runtimes/function-runtime.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import type { Tensor, TensorSpec } from '../tensors/tensor.ts';
import { Capacity } from './capacity.ts';
import { ModelHost } from './model-host.ts';
import { InferRequest } from './request.ts';
import type { ServingOptions } from './serving-options.ts';

export const inputs: TensorSpec[] = [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }];
export const outputs: TensorSpec[] = [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }];
export const OPTIONS: ServingOptions = {
  replicas: 1,
  batchMax: 8,
  batch: { max: 8 },
  timeoutMs: 5_000,
  queueMax: 100,
  costPerInferenceMicroUsd: 0,
  costPerComputeSecondMicroUsd: 0,
};
export const same: FunctionModel['run'] = ([x]) => [{ ...(x as Tensor), name: 'y' }];
export const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
export const slow =
  (ms: number): FunctionModel['run'] =>
  async (tensors) => {
    await pause(ms);
    return same(tensors);
  };

const open: ModelHost[] = [];
afterEach(() => {
  for (const host of open.splice(0)) host.close();
});

interface Setup {
  run?: FunctionModel['run'];
  options?: Partial<ServingOptions>;
  limits?: string;
  runtime?: Runtime;
  capacity?: Capacity;
  label?: string;
}

/** A host of one model; it is closed after the test. */
export function setUp({ run = same, options, limits, runtime, capacity, label = 'm/1' }: Setup = {}) {
  const host = new ModelHost(
    label,
    { name: 'm', digest: label, load: async () => new Uint8Array() },
    runtime ?? createFunctionRuntime({ m: { inputs, outputs, run } }),
    { ...OPTIONS, ...options },
    capacity ?? new Capacity(limitsFrom(limits), 4),
  );
  open.push(host);
  const ask = (value: number, { priority = 0, deadlineMs = 10_000, signal }: Asked = {}) => {
    const data = Float32Array.of(value);
    const tensors: Tensor[] = [{ name: 'x', datatype: 'FP32', shape: [1, 1], data }];
    const request = new InferRequest(tensors, 1, performance.now(), deadlineMs, signal, priority);
    host.submit(request);
    return request.answer.then((answer) => Number((answer.outputs[0]!.data as Float32Array)[0]));
  };
  return { host, ask };
}

interface Asked {
  priority?: number;
  deadlineMs?: number;
  signal?: AbortSignal;
}
