import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { AiosError } from '../../kernel/errors.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { logisticModel, onnxModel } from '../../testing/onnx.ts';
import type { ServingOptions } from '../hosting/serving-options.ts';
import { createFunctionRuntime, type FunctionModel } from '../runtimes/function-runtime.ts';
import { createOnnxRuntime } from '../runtimes/onnx-runtime.ts';
import type { Replica, Runtime } from '../runtimes/runtime.ts';
import type { Signature } from '../tensors/signature.ts';
import { elementOf, type Tensor, type TensorSpec } from '../tensors/tensor.ts';
import { createServing, type ServedModel, type Serving } from './serving.ts';

const inputs: TensorSpec[] = [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }];
const outputs: TensorSpec[] = [{ name: 'sum', datatype: 'FP32', shape: [-1, 1] }];
const signature: Signature = {
  inputs,
  outputs,
  features: ['a', 'b'],
  fill: { b: 7 },
  results: { total: { output: 'sum', column: 0 } },
};
const OPTIONS: ServingOptions = {
  replicas: 1,
  batchMax: 8,
  timeoutMs: 5_000,
  queueMax: 100,
  costPerInferenceMicroUsd: 0.25,
  costPerComputeSecondMicroUsd: 0,
};
const row = (a: number, b: number): Tensor[] => [
  { name: 'features', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(a, b) },
];

const open: Serving[] = [];
afterEach(() => {
  for (const serving of open.splice(0)) serving.close();
});

interface Setup {
  run?: FunctionModel['run'];
  options?: Partial<ServingOptions>;
  runtime?: Runtime;
  bytes?: Uint8Array;
  signature?: Signature;
  limits?: string;
}

function setUp({ run = sums, options, runtime, bytes, signature: given, limits }: Setup = {}) {
  const models = new Map<string, ServedModel>();
  const serve = (name: string, version = 1, changed: Partial<ServingOptions> = {}) => {
    const serving_ = { ...OPTIONS, ...options, ...changed };
    const used = given ?? signature;
    models.set(name, {
      name,
      version,
      digest: `sha256:${version}`,
      signature: used,
      serving: serving_,
      runtime: 'r',
    });
  };
  serve('sum');
  const serving = createServing({
    models: {
      resolve(name) {
        const model = models.get(name);
        if (!model) throw new AiosError('models.unknown_model');
        return model;
      },
      artifact: async () => bytes ?? new Uint8Array(),
    },
    runtimes: { r: runtime ?? createFunctionRuntime({ sum: { inputs, outputs, run } }) },
    limits: limitsFrom(limits),
  });
  open.push(serving);
  return { serving, serve };
}

function sums([features]: readonly Tensor[]): Tensor[] {
  const rows = features!.shape[0]!;
  const data = Float32Array.from(
    { length: rows },
    (_, i) => Number(elementOf(features!, 2 * i)) + Number(elementOf(features!, 2 * i + 1)),
  );
  return [{ name: 'sum', datatype: 'FP32', shape: [rows, 1], data }];
}

/** Fails in the given way when a batch holds a row that starts with 666. */
function poisoned(way: (rows: number) => Promise<never>): FunctionModel['run'] {
  return async (tensors) => {
    const input = tensors[0]!;
    for (let i = 0; i < input.data.length; i += 2)
      if (elementOf(input, i) === 666) await way(input.shape[0]!);
    return sums(tensors);
  };
}

describe('serving', () => {
  it('gives each caller its own rows, equal to those of a request alone, whatever shares its batch', async () => {
    const { serving } = setUp({
      runtime: createOnnxRuntime({ startMs: 20_000 }),
      bytes: logisticModel([0.3, -0.7], 0.1),
    });
    const tensor = (rows: number[][]): Tensor[] => [
      { name: 'features', datatype: 'FP32', shape: [rows.length, 2], data: Float32Array.from(rows.flat()) },
    ];
    const value = fc.float({ noNaN: true, min: -50, max: 50 });
    const request = fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 20 }), async (requests) => {
        const together = await Promise.all(
          requests.map((rows) => serving.infer({ model: 'sum', inputs: tensor(rows) })),
        );
        for (const [i, rows] of requests.entries()) {
          const alone = await serving.infer({ model: 'sum', inputs: tensor(rows) });
          expect(together[i]!.outputs[0]!.shape).toEqual([rows.length, 1]);
          for (let at = 0; at < rows.length; at++)
            expect(elementOf(together[i]!.outputs[0]!, at)).toBeCloseTo(
              Number(elementOf(alone.outputs[0]!, at)),
              6,
            );
        }
      }),
      { numRuns: 15 },
    );
    expect(serving.statistics()['sum/1']!.meanBatch).toBeGreaterThan(1);
  });

  it('batches what is queued up to the best size and never past it', async () => {
    const sizes: number[] = [];
    const { serving } = setUp({
      options: { batch: { max: 8 } },
      run: (tensors) => {
        sizes.push(tensors[0]!.shape[0]!);
        return sums(tensors);
      },
    });
    await serving.load('sum');
    sizes.length = 0;
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => serving.infer({ model: 'sum', inputs: row(i, 1) })),
    );
    expect(sizes).toEqual([8, 8, 4]);
    expect(answers.map((answer) => elementOf(answer.outputs[0]!, 0))).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    expect(answers[0]).toMatchObject({ model: 'sum', version: 1, digest: 'sha256:1', batchRows: 8 });
  });

  it('scores named features: booleans, fills, named results, and a cost that adds up', async () => {
    const { serving } = setUp();
    const scores = await Promise.all([
      serving.score({ model: 'sum', features: { a: 1, b: 2, other: 'ignored' } }),
      serving.score({ model: 'sum', features: { a: true } }),
      serving.score({ model: 'sum', features: { a: 0, b: null } }),
      serving.score({ model: 'sum', features: { a: 5, b: 5 } }),
    ]);
    expect(scores.map((score) => score.outputs)).toEqual([
      { total: 3 },
      { total: 8 },
      { total: 7 },
      { total: 10 },
    ]);
    expect(scores.reduce((sum, { costMicroUsd }) => sum + costMicroUsd, 0)).toBe(1);
  });

  it.each([
    ['a feature without a fill', { b: 1 }, 'serving.feature_invalid', /“a” is absent/],
    ['a feature that is text', { a: 'x' }, 'serving.feature_invalid', /“a” is not a number/],
    [
      'a feature that cannot become a text',
      { a: { toString: 1 } },
      'serving.feature_invalid',
      /“a” is not a number.*an object/,
    ],
    ['a feature that is not finite', { a: Number.NaN }, 'serving.feature_invalid', /“a” is not a number/],
  ])('refuses %s', async (_, features, code, message) => {
    const { serving } = setUp();
    await expect(serving.score({ model: 'sum', features })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  it('refuses to score by a signature that names no features', async () => {
    const { serving } = setUp({ signature: { inputs, outputs } });
    await expect(serving.score({ model: 'sum', features: {} })).rejects.toMatchObject({
      code: 'serving.no_features',
    });
  });

  const features = (shape: number[], data: number[], name = 'features'): Tensor => ({
    name,
    datatype: 'FP32',
    shape,
    data: Float32Array.from(data),
  });
  it.each([
    [
      'an input that it does not have',
      [features([1, 2], [1, 2]), features([1, 2], [1, 2], 'x')],
      'serving.unknown_input',
    ],
    ['a missing input', [], 'serving.missing_input'],
    ['an input given twice', [features([1, 2], [1, 2]), features([1, 2], [1, 2])], 'serving.missing_input'],
    [
      'another datatype',
      [{ ...features([1, 2], []), datatype: 'FP64', data: Float64Array.of(1, 2) }],
      'serving.tensor_type',
    ],
    ['another width', [features([1, 3], [1, 2, 3])], 'serving.tensor_shape'],
    ['another rank', [features([2], [1, 2])], 'serving.tensor_shape'],
    ['data that does not fill its shape', [features([2, 2], [1, 2])], 'serving.tensor_shape'],
    ['no rows', [features([0, 2], [])], 'serving.tensor_shape'],
    [
      'more rows than a request may have',
      [features([101, 2], new Array(202).fill(0))],
      'serving.tensor_shape',
    ],
  ])('refuses %s', async (_, tensors, code) => {
    const { serving } = setUp({ limits: 'inferenceRowsMax=100' });
    await expect(serving.infer({ model: 'sum', inputs: tensors as Tensor[] })).rejects.toMatchObject({
      code,
    });
  });

  it('tells a full queue with the limit and when to come back', async () => {
    const { serving } = setUp({ options: { queueMax: 2 } });
    const calls = Array.from({ length: 3 }, () => serving.infer({ model: 'sum', inputs: row(1, 1) }));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect((outcomes[2] as PromiseRejectedResult).reason).toMatchObject({
      code: 'request.overloaded',
      extensions: { limitName: 'queueMax', limit: 2, retryAfterMs: expect.any(Number) },
    });
  });

  const hang = () => new Promise<never>(() => {});
  it.each([
    ['that fails', () => Promise.reject(new Error('bad row')), 'serving.model_failed', 0],
    ['that hangs: its replica is killed and replaced', hang, 'serving.timeout', 2],
  ] as const)('isolates the request %s: who shared its batch is answered', async (_, way, code, restarts) => {
    const { serving } = setUp({ run: poisoned(way), options: { timeoutMs: 60 } });
    await serving.load('sum');
    const calls = [1, 666, 3, 4].map((a) => serving.infer({ model: 'sum', inputs: row(a, 0) }));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect((outcomes[1] as PromiseRejectedResult).reason).toMatchObject({ code });
    expect(serving.statistics()['sum/1']).toMatchObject({ errors: 1, restarts });
  });

  it('tries again once when a replica is lost, and says so when it is lost again', async () => {
    const functions = createFunctionRuntime({
      sum: { inputs, outputs, run: poisoned(() => current.then((replica) => replica.kill()).then(hang)) },
    });
    let current: Promise<Replica> = Promise.reject();
    current.catch(() => {});
    const runtime: Runtime = { start: (model) => (current = functions.start(model)) };
    const { serving } = setUp({ runtime });
    await serving.load('sum');
    const calls = [666, 2].map((a) => serving.infer({ model: 'sum', inputs: row(a, 0) }));
    const outcomes = await Promise.allSettled(calls);
    expect((outcomes[0] as PromiseRejectedResult).reason).toMatchObject({ code: 'serving.replica_lost' });
    expect(outcomes[1]!.status).toBe('fulfilled');
  });

  it('kills an ONNX replica that is stuck in its model, and answers the next call from a new one', async () => {
    const runtime = createOnnxRuntime({ startMs: 20_000 });
    // Multiplies two n × n matrices: n = 6,000 takes seconds on one thread, and a run cannot be interrupted.
    const bytes = onnxModel({
      nodes: [
        { op: 'ConstantOfShape', inputs: ['size'], outputs: ['m'] },
        { op: 'MatMul', inputs: ['m', 'm'], outputs: ['product'] },
        { op: 'ReduceSum', inputs: ['product'], outputs: ['total'] },
      ],
      inputs: [{ name: 'size', datatype: 'INT64', shape: [2] }],
      outputs: [{ name: 'total', datatype: 'FP32', shape: [1, 1] }],
    });
    const sized: TensorSpec[] = [{ name: 'size', datatype: 'INT64', shape: [2] }];
    const { serving } = setUp({
      runtime,
      bytes,
      signature: { inputs: sized, outputs },
      options: { timeoutMs: 300 },
    });
    const call = (n: bigint) =>
      serving.infer({ model: 'sum', inputs: [{ ...sized[0]!, data: BigInt64Array.of(n, n) }] });
    await serving.load('sum');
    await expect(call(6_000n)).rejects.toMatchObject({ code: 'serving.timeout' });
    expect((await call(3n)).outputs[0]!.data).toEqual(Float32Array.of(0));
    expect(serving.statistics()['sum/1']!.restarts).toBe(1);
  });

  it('ends a call at its deadline or by its signal and answers the others', async () => {
    const slow: FunctionModel['run'] = (tensors) =>
      new Promise((resolve) => setTimeout(() => resolve(sums(tensors)), 120));
    const { serving } = setUp({ run: slow });
    await serving.load('sum');
    const controller = new AbortController();
    const calls = [
      serving.infer({ model: 'sum', inputs: row(1, 0), deadlineMs: 20 }),
      serving.infer({ model: 'sum', inputs: row(2, 0), signal: controller.signal }),
      serving.infer({ model: 'sum', inputs: row(3, 0) }),
    ];
    controller.abort();
    const outcomes = await Promise.allSettled(calls);
    expect(
      outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'answered')),
    ).toEqual(['serving.timeout', 'serving.canceled', 'answered']);
  });

  it('tells who waits when no replica comes up', async () => {
    const { serving } = setUp({ runtime: createFunctionRuntime({}) });
    await expect(serving.infer({ model: 'sum', inputs: row(1, 0) })).rejects.toMatchObject({
      code: 'serving.unavailable',
      message: expect.stringMatching(/no function “sum”/),
    });
    await expect(serving.load('sum')).rejects.toMatchObject({ code: 'serving.unavailable' });
  });

  it('takes changed options, and more replicas, without losing a request', async () => {
    const { serving, serve } = setUp();
    await serving.load('sum');
    serve('sum', 1, { batchMax: 2 });
    const three = await serving.infer({ model: 'sum', inputs: [features([3, 2], [1, 2, 3, 4, 5, 6])] });
    expect(three.outputs[0]!.data).toEqual(Float32Array.of(3, 7, 11)); // in parts of two
    const before = serving.infer({ model: 'sum', inputs: row(1, 1) });
    serve('sum', 1, { replicas: 3 });
    const after = serving.infer({ model: 'sum', inputs: row(2, 2) });
    expect((await Promise.all([before, after])).map((answer) => elementOf(answer.outputs[0]!, 0))).toEqual([
      2, 4,
    ]);
    await serving.load('sum');
    expect(serving.statistics()['sum/1']!.replicas).toBe(3);
  });

  it('unloads versions that nobody uses and keeps the one used last', async () => {
    const { serving, serve } = setUp();
    await serving.infer({ model: 'sum', inputs: row(1, 1) });
    serve('sum', 2);
    await serving.infer({ model: 'sum', inputs: row(1, 1) });
    expect(Object.keys(serving.statistics())).toEqual(['sum/1', 'sum/2']);
    serving.unloadIdle(performance.now() + 700_000);
    expect(Object.keys(serving.statistics())).toEqual(['sum/2']);
    expect(serving.isReady('sum')).toBe(true);
  });

  it.each([
    [
      'a model',
      logisticModel([1, 2], 0),
      { ok: true, inputs, outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 1] }] },
    ],
    [
      'bytes that are none',
      Buffer.from('PK'),
      { ok: false, stage: 'load', reason: expect.stringMatching(/protobuf/), isLost: false },
    ],
    ['no bytes', new Uint8Array(), { ok: false, stage: 'load', reason: expect.any(String), isLost: false }],
  ])('verifies %s in a replica of its own', async (_, bytes, expected) => {
    const onnx = createOnnxRuntime({ startMs: 20_000 });
    const models = {
      resolve: () => {
        throw new Error('not asked');
      },
      artifact: async () => bytes,
    };
    const serving = createServing({ models, runtimes: { onnx }, limits: limitsFrom() });
    open.push(serving);
    expect(await serving.verify('onnx', { name: 'm', digest: '', load: models.artifact })).toEqual(expected);
  });
});
