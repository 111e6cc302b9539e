import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { limitsFrom } from '../../kernel/limits.ts';
import { createFunctionRuntime, type FunctionModel } from '../runtimes/function-runtime.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
import type { Tensor } from '../tensors/tensor.ts';
import { Capacity } from './capacity.ts';
import { ModelHost } from './model-host.ts';
import { InferRequest } from './request.ts';
import type { ServingOptions } from './serving-options.ts';

const OPTIONS: ServingOptions = {
  replicas: 1,
  batchMax: 4,
  batch: { max: 4 },
  timeoutMs: 5_000,
  queueMax: 100,
  costPerInferenceMicroUsd: 7,
  costPerComputeSecondMicroUsd: 0,
};
const open: ModelHost[] = [];
afterEach(() => {
  for (const host of open.splice(0)) host.close();
});

const tensor = (name: string, values: readonly number[]): Tensor => ({
  name,
  datatype: 'FP32',
  shape: [values.length, 1],
  data: Float32Array.from(values),
});
/** Answers each row with its value and with its text. */
const texts: FunctionModel['run'] = ([x]) => [
  { ...x!, name: 'y' },
  {
    name: 'text',
    datatype: 'BYTES',
    shape: [x!.shape[0]!],
    data: ByteStrings.from(Array.from(x!.data as Float32Array, String)),
  },
];
const range = (rows: number, first = 0) => Array.from({ length: rows }, (_, i) => first + i);

function setUp(run: FunctionModel['run'] = texts, options: Partial<ServingOptions> = {}) {
  const model: FunctionModel = {
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
    outputs: [
      { name: 'y', datatype: 'FP32', shape: [-1, 1] },
      { name: 'text', datatype: 'BYTES', shape: [-1] },
    ],
    run,
  };
  const source = { name: 'm', digest: 'd', load: async () => new Uint8Array() };
  const capacity = new Capacity(limitsFrom(), 4);
  const host = new ModelHost(
    'm/1',
    source,
    createFunctionRuntime({ m: model }),
    { ...OPTIONS, ...options },
    capacity,
  );
  open.push(host);
  const ask = (
    values: readonly number[],
    { deadlineMs = 10_000, signal }: { deadlineMs?: number; signal?: AbortSignal } = {},
  ) => {
    const request = new InferRequest(
      [tensor('x', values)],
      values.length,
      performance.now(),
      deadlineMs,
      signal,
    );
    host.submit(request);
    return request.answer;
  };
  return { host, ask };
}

/** The values of each batch after the warm-up, and when to go on. */
function gated() {
  const batches: number[][] = [];
  const gates: (() => void)[] = [];
  let closed = false;
  const run: FunctionModel['run'] = async (inputs) => {
    if (closed) {
      batches.push(Array.from(inputs[0]!.data as Float32Array));
      await new Promise<void>((resolve) => gates.push(resolve));
    }
    return texts(inputs);
  };
  const close = () => {
    closed = true;
  };
  const step = async () => {
    await expect.poll(() => gates.length).toBe(1);
    gates.shift()!();
  };
  return { batches, run, step, close };
}

describe('a request of more rows than a batch may have', () => {
  it('answers as if it had run in one piece, whatever else runs', async () => {
    const { host, ask } = setUp(texts, { replicas: 2 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 6 }),
        async (sizes) => {
          const answers = await Promise.all(sizes.map((rows, i) => ask(range(rows, 100 * i))));
          for (const [i, { outputs, batchRows }] of answers.entries()) {
            const values = range(sizes[i]!, 100 * i);
            expect(outputs[0]).toEqual({ ...tensor('y', values) });
            expect(outputs[1]!.shape).toEqual([values.length]);
            const data = outputs[1]!.data as ByteStrings;
            expect(values.map((_, at) => data.text(at))).toEqual(values.map(String));
            if (sizes[i]! > 4) expect(batchRows).toBe(sizes[i]);
          }
        },
      ),
      { numRuns: 40 },
    );
    expect(host.idle).toBe(true);
  });

  it('lets others in between its parts', async () => {
    const { batches, run, step, close } = gated();
    const { host, ask } = setUp(run);
    await host.start();
    close();
    const ends: string[] = [];
    const large = ask(range(12)).then(() => ends.push('large'));
    await expect.poll(() => batches.length).toBe(1);
    const small = ask([50]).then(() => ends.push('small'));
    for (let i = 0; i < 4; i++) await step();
    await Promise.all([large, small]);
    expect(batches).toEqual([range(4), [50], range(4, 4), range(4, 8)]);
    expect(ends).toEqual(['small', 'large']);
  });

  it('is counted and paid for as one request', async () => {
    const { host, ask } = setUp();
    expect(await ask(range(10))).toMatchObject({ costMicroUsd: 7, batchRows: 10 });
    expect(host.statistics()).toMatchObject({
      requests: 1,
      success: { count: 1 },
      errors: 0,
      rows: 10,
      batches: 3,
      queued: 0,
      queuedBytes: 0,
    });
  });

  it.each<[string, FunctionModel['run'], RegExp]>([
    [
      'whose rows depend on each other',
      ([x]) => {
        const sum = (x!.data as Float32Array).reduce((a, b) => a + b, 0);
        return texts([
          tensor(
            'x',
            range(x!.shape[0]!).map(() => sum),
          ),
        ]) as Tensor[];
      },
      /what a row gives depends on the others/,
    ],
    [
      'whose output grows with something else',
      (inputs) => {
        const first = (inputs[0]!.data as Float32Array)[0]!;
        const [y, text] = texts(inputs) as Tensor[];
        return first > 3 ? [tensor('y', [1]), text!] : [y!, text!];
      },
      /“y” does not have a row for each row/,
    ],
    [
      'whose output is wider for other rows',
      (inputs) => {
        const first = (inputs[0]!.data as Float32Array)[0]!;
        const [y, text] = texts(inputs) as Tensor[];
        return first > 3 ? [{ ...y!, shape: [y!.shape[0]!, 1, 1] }, text!] : [y!, text!];
      },
      /“y” is of another size/,
    ],
  ])('is refused for a model %s', async (_, run, message) => {
    const { host, ask } = setUp(run);
    await expect(ask(range(10))).rejects.toMatchObject({
      code: 'serving.tensor_shape',
      extensions: { limitName: 'batchMax', limit: 4 },
    });
    await expect(ask(range(10))).rejects.toThrow(message);
    expect((await ask(range(3))).outputs[0]!.shape).toEqual([3, 1]); // the host goes on
    expect(host.statistics()).toMatchObject({ requests: 3, errors: 2, queued: 0 });
  });

  it('fails whole when a part fails, and the other parts do not run', async () => {
    let rows = 0;
    const { host, ask } = setUp((inputs) => {
      rows += inputs[0]!.shape[0]!;
      if ((inputs[0]!.data as Float32Array).includes(6)) throw new Error('no six');
      return texts(inputs);
    });
    await host.start();
    rows = 0;
    await expect(ask(range(40))).rejects.toMatchObject({
      code: 'serving.model_failed',
      message: 'm/1: no six',
    });
    await expect.poll(() => host.idle).toBe(true);
    expect(rows).toBe(8);
    expect(host.statistics().errors).toBe(1);
  });

  it('ends between its parts when its caller gives up or its time is over', async () => {
    const { batches, run, step, close } = gated();
    const { host, ask } = setUp(run);
    await host.start();
    close();
    const gone = new AbortController();
    const canceled = ask(range(100), { signal: gone.signal });
    const late = ask(range(100, 1000), { deadlineMs: 30 });
    const outcomes = Promise.allSettled([canceled, late]);
    await expect.poll(() => batches.length).toBe(1);
    gone.abort();
    const [first, second] = await outcomes;
    expect([first, second]).toMatchObject([
      { reason: { code: 'serving.canceled' } },
      { reason: { code: 'serving.timeout' } },
    ]);
    await step();
    await expect.poll(() => host.idle).toBe(true);
    expect(batches).toHaveLength(1);
  });

  it('fails when the host closes', async () => {
    const { batches, run, close } = gated();
    const { host, ask } = setUp(run);
    await host.start();
    close();
    const answer = ask(range(100));
    const outcome = expect(answer).rejects.toMatchObject({ code: 'serving.unavailable' });
    await expect.poll(() => batches.length).toBe(1);
    host.close();
    await outcome;
  });
});
