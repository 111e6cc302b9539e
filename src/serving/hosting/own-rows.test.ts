import { afterAll, describe, expect, it } from 'vitest';
import { limitsFrom } from '../../kernel/limits.ts';
import { logisticModel } from '../../testing/onnx.ts';
import { createFunctionRuntime } from '../runtimes/function-runtime.ts';
import { createOnnxRuntime } from '../runtimes/onnx-runtime.ts';
import type { Replica, Runtime } from '../runtimes/runtime.ts';
import type { Tensor, TensorSpec } from '../tensors/tensor.ts';
import { Capacity } from './capacity.ts';
import { ModelHost } from './model-host.ts';
import { InferRequest } from './request.ts';

/*
 * Nobody gets another's rows, over many mixed requests: each row's answer names its row. Some requests are given up, some miss their
 * deadline, and replicas are killed under their batches all the while.
 */
const inputs: TensorSpec[] = [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }];
const outputs: TensorSpec[] = [{ name: 'sum', datatype: 'FP32', shape: [-1, 1] }];

/** The sum of two numbers tells both: the first is whole, the second a multiple of 1/8 below one. */
function sums([x]: readonly Tensor[]): Tensor[] {
  const data = x!.data as Float32Array;
  const rows = x!.shape[0]!;
  const sum = Float32Array.from({ length: rows }, (_, i) => data[2 * i]! + data[2 * i + 1]!);
  return [{ name: 'sum', datatype: 'FP32', shape: [rows, 1], data: sum }];
}

const hosts: ModelHost[] = [];
afterAll(() => {
  for (const host of hosts) host.close();
});

function hostOf(runtime: Runtime, replicas: number, bytes: Uint8Array = new Uint8Array()): ModelHost {
  const options = {
    replicas,
    batchMax: 16,
    batch: { max: 16 },
    timeoutMs: 20_000,
    queueMax: 1e6,
    costPerInferenceMicroUsd: 0,
    costPerComputeSecondMicroUsd: 0,
  };
  const model = { name: 'm', digest: 'd', load: async () => bytes };
  const host = new ModelHost('m/1', model, runtime, options, new Capacity(limitsFrom()));
  hosts.push(host);
  return host;
}

interface Outcome {
  answered: number;
  wrong: number;
  codes: Set<string>;
}

/** Asks by many callers at once, each for 1 to 8 rows, and holds each answer to `expected`. */
async function ask(
  host: ModelHost,
  requests: number,
  expected: (a: number, b: number) => number,
): Promise<Outcome> {
  const outcome: Outcome = { answered: 0, wrong: 0, codes: new Set() };
  let next = 0;
  const one = async (id: number) => {
    const rows = 1 + ((id * 7) % 8);
    const data = Float32Array.from({ length: 2 * rows }, (_, i) => (i % 2 === 0 ? id % 1e5 : (i - 1) / 16));
    const deadlineMs = id % 97 === 0 ? 0.01 : 60_000;
    const signal = id % 101 === 0 ? AbortSignal.abort() : undefined;
    const tensors: Tensor[] = [{ name: 'features', datatype: 'FP32', shape: [rows, 2], data }];
    const request = new InferRequest(tensors, rows, performance.now(), deadlineMs, signal, id % 6);
    host.submit(request);
    try {
      const [output] = (await request.answer).outputs;
      const sum = output!.data as Float32Array;
      let right = sum.length === rows && output!.shape[0] === rows;
      for (let i = 0; i < rows; i++)
        right &&= Math.abs(sum[i]! - expected(data[2 * i]!, data[2 * i + 1]!)) < 1e-3;
      outcome.answered++;
      if (!right) outcome.wrong++;
    } catch (error) {
      outcome.codes.add((error as { code: string }).code);
    }
  };
  const caller = async () => {
    while (next < requests) await one(next++);
  };
  await Promise.all(Array.from({ length: 64 }, caller));
  return outcome;
}

describe('each caller gets its own rows', () => {
  it('over 100,000 mixed requests to replicas that are killed under them', async () => {
    const live = new Set<Replica>();
    let runs = 0;
    const run = (tensors: readonly Tensor[]) => {
      if (++runs % 500 === 0) live.values().next().value?.kill(); // by runs and not by time: as many on any machine
      return sums(tensors);
    };
    const functions = createFunctionRuntime({ m: { inputs, outputs, run } });
    const runtime: Runtime = {
      async start(model) {
        const replica = await functions.start(model);
        live.add(replica);
        replica.onEnd(() => live.delete(replica));
        return replica;
      },
    };
    const host = hostOf(runtime, 3);
    await host.start();
    const { answered, wrong, codes } = await ask(host, 100_000, (a, b) => a + b);
    expect(wrong).toBe(0);
    expect(answered).toBeGreaterThan(95_000);
    const allowed = ['serving.timeout', 'serving.canceled', 'serving.replica_lost'];
    expect([...codes].filter((code) => !allowed.includes(code))).toEqual([]);
    expect(host.statistics()).toMatchObject({ queued: 0, queuedBytes: 0 });
    expect(host.statistics().restarts).toBeGreaterThan(0);
  });

  it('from ONNX Runtime in other processes, one of them killed meanwhile', async () => {
    const onnx = createOnnxRuntime({ startMs: 20_000 });
    let runs = 0;
    const runtime: Runtime = {
      async start(model) {
        const replica = await onnx.start(model);
        const run = replica.run.bind(replica);
        return Object.assign(replica, {
          run: (...given: Parameters<Replica['run']>) => {
            const answer = run(...given);
            if (++runs === 200) replica.kill(); // with this batch under way
            return answer;
          },
        });
      },
    };
    const host = hostOf(runtime, 2, logisticModel([1e-5, -1], 0.25));
    await host.start();
    const sigmoid = (a: number, b: number) => 1 / (1 + Math.exp(-(a * 1e-5 - b + 0.25)));
    const { answered, wrong } = await ask(host, 10_000, sigmoid);
    expect(wrong).toBe(0);
    expect(answered).toBeGreaterThan(9_500);
    expect(host.statistics().meanBatch).toBeGreaterThan(4);
    expect(host.statistics().restarts).toBe(1);
    // Its successor may still be starting.
    await expect.poll(() => host.statistics().residentBytes).toBeGreaterThan(2 * 20 * 2 ** 20);
  });
});
