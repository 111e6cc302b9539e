import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { logisticModel, onnxModel } from '../../testing/onnx.ts';
import { warmUp } from '../hosting/warm-up.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
import { bytesOf, type Datatype, elementOf, type Tensor, type TensorData } from '../tensors/tensor.ts';
import { createFunctionRuntime } from './function-runtime.ts';
import { createOnnxRuntime } from './onnx-runtime.ts';
import { LOGISTIC } from './remote-under-test.ts';
import { ModelRefused, type Replica, type RuntimeModel } from './runtime.ts';
import { runtimeConformance } from './runtime-conformance.ts';

const model = (name: string, bytes: Uint8Array): RuntimeModel => ({
  name,
  digest: '',
  load: async () => bytes,
});
const { inputs, outputs, run: logistic } = LOGISTIC;

const onnx = createOnnxRuntime({ startMs: 20_000 });
runtimeConformance('onnx', () => ({
  runtime: onnx,
  logistic: model('logistic', logisticModel([1, -2], 0.5)),
  refused: model('text', Buffer.from('this is not a model')),
}));
runtimeConformance('function', () => ({
  runtime: createFunctionRuntime({ logistic: LOGISTIC }),
  logistic: model('logistic', new Uint8Array()),
  refused: model('unknown', new Uint8Array()),
}));

describe('an ONNX replica', () => {
  it.each<[Datatype, TensorData]>([
    ['BOOL', Uint8Array.of(1, 0, 1, 1)],
    ['UINT8', Uint8Array.of(1, 0, 255, 2)],
    ['UINT16', Uint16Array.of(1, 0, 65_535, 2)],
    ['UINT32', Uint32Array.of(1, 0, 2 ** 32 - 1, 2)],
    ['UINT64', BigUint64Array.of(1n, 0n, 2n ** 64n - 1n, 2n)],
    ['INT8', Int8Array.of(-128, 127, 0, 1)],
    ['INT16', Int16Array.of(-32_768, 32_767, 0, 1)],
    ['INT32', Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 0, 1)],
    ['FP16', Float16Array.of(0.5, -65_504, Number.NaN, 6e-8)],
    ['BF16', Uint16Array.of(0x3f80, 0xff7f, 1, 0x8000)],
    ['FP64', Float64Array.of(0.1, -1e300, Number.NaN, 5e-324)],
    ['BYTES', ByteStrings.from(['', 'a', 'größer', '🙂'])],
  ])('carries %s tensors bit by bit, joined by rows', async (datatype, data) => {
    const value = (name: string) => ({ name, datatype, shape: ['n', 2] });
    const bytes = onnxModel({
      nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
      inputs: [value('x')],
      outputs: [value('y')],
    });
    const replica = await onnx.start(model(datatype, bytes));
    expect(replica.inputs).toEqual([{ name: 'x', datatype, shape: [-1, 2] }]);
    const request = (first: number): Tensor[] => [
      { name: 'x', datatype, shape: [1, 2], data: data.subarray(first, first + 2) },
    ];
    const [y] = (await replica.run([request(0), request(2)])).outputs;
    expect(y).toMatchObject({ name: 'y', datatype, shape: [2, 2] });
    expect(Buffer.from(bytesOf(y!.data)).equals(bytesOf(data))).toBe(true);
    expect((await warmUp(replica)).batchable).toBe(true);
    replica.kill();
  });

  it('computes with brain floats, between inputs and outputs of other types', async () => {
    const bytes = onnxModel({
      nodes: [
        { op: 'Identity', inputs: ['half'], outputs: ['same'] },
        { op: 'Cast', inputs: ['half'], outputs: ['float'], attributes: { to: 1 } },
        { op: 'Add', inputs: ['float', 'x'], outputs: ['sum'] },
      ],
      inputs: [
        { name: 'x', datatype: 'FP32', shape: ['n'] },
        { name: 'half', datatype: 'BF16', shape: ['n'] },
      ],
      outputs: [
        { name: 'same', datatype: 'BF16', shape: ['n'] },
        { name: 'sum', datatype: 'FP32', shape: ['n'] },
      ],
    });
    const replica = await onnx.start(model('halves', bytes));
    expect(replica.inputs.map(({ name, datatype }) => `${name} ${datatype}`)).toEqual([
      'x FP32',
      'half BF16',
    ]);
    expect(replica.outputs.map(({ name, datatype }) => `${name} ${datatype}`)).toEqual([
      'same BF16',
      'sum FP32',
    ]);
    const { outputs } = await replica.run([
      [
        { name: 'x', datatype: 'FP32', shape: [2], data: Float32Array.of(1, 2) },
        { name: 'half', datatype: 'BF16', shape: [2], data: Uint16Array.of(0x3fc0, 0xbf80) },
      ],
    ]);
    expect(outputs.map(({ data }) => [...data])).toEqual([
      [0x3fc0, 0xbf80],
      [2.5, 1],
    ]);
    replica.kill();
  });

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
    expect([0, 1, 2].map((i) => elementOf(twice!, i))).toEqual([2n ** 61n + 2n, -6n, 10n]);
    expect(sum!.shape).toEqual([1]);
    expect((await warmUp(replica)).batchable).toBe(false); // its sum is over the whole batch
    replica.kill();
  });

  it('that takes too long to load its model is killed', async () => {
    const hasty = createOnnxRuntime({ startMs: 1 });
    const started = hasty.start(model('logistic', logisticModel([1], 0)));
    await expect(started).rejects.toThrow(/SIGKILL/);
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
    logistic: LOGISTIC,
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
    expect(await warmUp(await runtime.start(model(name, new Uint8Array())))).toMatchObject({ batchable });
  });
});

describe('where a model runs', () => {
  const here = model('logistic', logisticModel([1, -2], 0.5));
  const one: Tensor = { name: 'features', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(1, 2) };

  it('is the processor unless said otherwise, with the memory of its process told', async () => {
    const replica = await onnx.start({ ...here, threads: 2 });
    expect(replica.device).toBe('cpu');
    expect(replica.residentBytes!()).toBeGreaterThan(20 * 2 ** 20);
    replica.kill();
  });

  it('is a GPU or nothing when it must be one: what is missing is said', async () => {
    const outcome = await onnx.start({ ...here, placement: 'gpu' }).catch((error: unknown) => error);
    if (!(outcome instanceof Error)) {
      expect((outcome as Replica).device).toBe('gpu');
      (outcome as Replica).kill();
      return;
    }
    expect(outcome).toBeInstanceOf(ModelRefused);
    expect(outcome.message).toMatch(/placement: gpu.*(CUDA|NVIDIA GPU)/);
  });

  it('is the processor where a GPU is only preferred and there is none', async () => {
    const replica = await onnx.start({ ...here, placement: 'gpu-preferred' });
    expect(['cpu', 'gpu']).toContain(replica.device);
    expect((await replica.run([[one]])).outputs[0]!.shape).toEqual([1, 1]);
    replica.kill();
  });
});
