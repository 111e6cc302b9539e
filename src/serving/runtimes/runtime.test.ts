import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { logisticModel, onnxModel } from '../../testing/onnx.ts';
import { warmUp } from '../hosting/warm-up.ts';
import type { Tensor, TensorSpec } from '../tensors/tensor.ts';
import { createFunctionRuntime } from './function-runtime.ts';
import { createOnnxRuntime } from './onnx-runtime.ts';
import type { RuntimeModel } from './runtime.ts';
import { runtimeConformance } from './runtime-conformance.ts';

const model = (name: string, bytes: Uint8Array): RuntimeModel => ({
  name,
  digest: '',
  load: async () => bytes,
});
const inputs: TensorSpec[] = [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }];
const outputs: TensorSpec[] = [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 1] }];

function logistic([features]: readonly Tensor[]): Tensor[] {
  const [rows, width] = features!.shape as [number, number];
  if (width !== 2) throw new Error(`${width} columns where 2 are needed`);
  const at = (i: number) => Number(features!.data[i]);
  const data = Float32Array.from(
    { length: rows },
    (_, i) => 1 / (1 + Math.exp(-(at(2 * i) - 2 * at(2 * i + 1) + 0.5))),
  );
  return [{ name: 'probabilities', datatype: 'FP32', shape: [rows, 1], data }];
}

const onnx = createOnnxRuntime({ startMs: 20_000 });
runtimeConformance('onnx', () => ({
  runtime: onnx,
  logistic: model('logistic', logisticModel([1, -2], 0.5)),
  refused: model('text', Buffer.from('this is no model')),
}));
runtimeConformance('function', () => ({
  runtime: createFunctionRuntime({ logistic: { inputs, outputs, run: logistic } }),
  logistic: model('logistic', new Uint8Array()),
  refused: model('unknown', new Uint8Array()),
}));

describe('an ONNX replica', () => {
  it('carries INT64 tensors and scalars of any rank', async () => {
    const bytes = onnxModel({
      nodes: [
        { op: 'Add', inputs: ['a', 'a'], outputs: ['twice'] },
        { op: 'ReduceSum', inputs: ['a'], outputs: ['sum'] },
      ],
      inputs: [{ name: 'a', datatype: 'INT64', shape: ['n'] }],
      outputs: [
        { name: 'twice', datatype: 'INT64', shape: ['n'] },
        { name: 'sum', datatype: 'INT64', shape: [1] },
      ],
    });
    const replica = await onnx.start(model('twice', bytes));
    const data = BigInt64Array.of(2n ** 60n + 1n, -3n, 5n);
    const [twice, sum] = (await replica.run([[{ name: 'a', datatype: 'INT64', shape: [3], data }]])).outputs;
    expect([...twice!.data]).toEqual([2n ** 61n + 2n, -6n, 10n]);
    expect(sum!.shape).toEqual([1]);
    expect(await warmUp(replica)).toEqual({ batchable: false }); // its sum is over the whole batch
    replica.kill();
  });

  it.runIf(process.platform === 'linux')('knows no variable of the process that started it', async () => {
    process.env.AIOS_TEST_SECRET = 'secret';
    const replica = await onnx.start(model('logistic', logisticModel([1], 0)));
    delete process.env.AIOS_TEST_SECRET;
    const children = readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .flatMap((pid) => {
        try {
          const parent = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1];
          return parent === String(process.pid) ? [readFileSync(`/proc/${pid}/environ`, 'utf8')] : [];
        } catch {
          return []; // it ended while we looked
        }
      });
    replica.kill();
    expect(children).not.toHaveLength(0);
    expect(children.filter((environment) => environment.includes('AIOS_TEST_SECRET'))).toEqual([]);
  });
});

describe('the warm-up', () => {
  const runtime = createFunctionRuntime({
    logistic: { inputs, outputs, run: logistic },
    normalising: {
      inputs,
      outputs,
      run: ([x]) => [
        {
          ...outputs[0]!,
          shape: [x!.shape[0]!, 1],
          data: new Float32Array(x!.shape[0]!).fill(1 / x!.shape[0]!),
        },
      ],
    },
    single: {
      inputs,
      outputs,
      run: (tensors) => {
        if (tensors[0]!.shape[0] !== 1) throw new Error('one row only');
        return logistic(tensors);
      },
    },
  });
  it.each([
    ['logistic', true],
    ['normalising', false],
    ['single', false],
  ])('finds whether %s may be batched', async (name, batchable) => {
    expect(await warmUp(await runtime.start(model(name, new Uint8Array())))).toEqual({ batchable });
  });
});
