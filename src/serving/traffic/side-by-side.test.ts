import { afterEach, describe, expect, it, vi } from 'vitest';
import { createFunctionRuntime, type FunctionModel } from '../runtimes/function-runtime.ts';
import type { Tensor } from '../tensors/tensor.ts';
import type { EvaluationRow } from './evaluation-rows.ts';
import { sideBySide } from './side-by-side.ts';

const ROWS = 40;
const rows: EvaluationRow[] = Array.from({ length: ROWS }, (_, i) => [
  { name: 'x', datatype: 'FP32', shape: [1, 1], data: Float32Array.of(i) },
]);

/** One number for each row. */
const of = (answer: (value: number, row: number, all: Float32Array) => number): FunctionModel => ({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
  run: ([x]) => [{ ...(x as Tensor), name: 'y', data: (x!.data as Float32Array).map(answer) }],
});
const identity = of((value) => value);
const compare = (child: FunctionModel, parent = identity, withinMs = 20_000) =>
  sideBySide(createFunctionRuntime({ parent, child }), {
    parent: new Uint8Array(0),
    child: new Uint8Array(0),
    rows,
    batchMax: 8,
    timeoutMs: 5_000,
    withinMs,
  });

afterEach(() => vi.restoreAllMocks());

describe('two models side by side', () => {
  it('agree on a number within 2 % of the spread of the first; differences are those of all rows', async () => {
    // The spread is 39: 0.78 is as good as the same.
    const {
      agreement,
      outputs,
      rows: count,
      batchable,
      answers,
    } = await compare(of((value) => value + (value % 2 === 0 ? 0.7 : 1)));
    expect({ agreement, count, batchable }).toEqual({
      agreement: 0.5,
      count: ROWS,
      batchable: { parent: true, child: true },
    });
    expect(outputs.y!.spread).toBe(39);
    expect(outputs.y!.maxDifference).toBe(1);
    expect(outputs.y!.meanDifference).toBeCloseTo(0.85);
    expect(answers.parent[0]!.data).toEqual(Float32Array.from({ length: ROWS }, (_, i) => i));
  });

  it('are warmed up with what their definition says: there are models that zeros do not fit', async () => {
    const picky = of((value, _, all) => {
      if (all.every((each) => each === 0)) throw new Error('nothing but zeros');
      return value;
    });
    const runtime = createFunctionRuntime({ parent: picky, child: picky });
    const asked = {
      ...{ parent: new Uint8Array(0), child: new Uint8Array(0), rows: rows.slice(1) },
      ...{ batchMax: 8, timeoutMs: 5_000, withinMs: 20_000 },
    };
    await expect(sideBySide(runtime, asked)).rejects.toMatchObject({ code: 'models.not_quantizable' });
    const warmUp = { inputs: [{ name: 'x', shape: [1, 1], data: [1] }] };
    expect((await sideBySide(runtime, { ...asked, warmUp })).agreement).toBe(1);
  });

  it('are timed with one row and with the best batch of the first, which a child whose rows depend on each other gets in parts', async () => {
    let nowMs = 1_000;
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    const taking = (ms: number, model: FunctionModel): FunctionModel => ({
      ...model,
      run: (inputs) => {
        nowMs += ms;
        return model.run(inputs);
      },
    });
    const slow = taking(1, identity);
    const dependent = taking(
      0.25,
      of((value, _, all) => value + 0.01 * all.length),
    );
    const { speed, batchable, agreement } = await compare(dependent, slow);
    expect(batchable).toEqual({ parent: true, child: false });
    expect(agreement).toBe(1);
    expect(speed.map(({ batchRows }) => batchRows)).toEqual([1, 8]);
    expect(speed.map(({ p50Ms }) => p50Ms)).toEqual([
      { parent: 1, child: 0.25 },
      { parent: 1, child: 2 },
    ]);
    expect(speed.map(({ rowsPerSecond }) => rowsPerSecond)).toEqual([
      { parent: 1_000, child: 4_000 },
      { parent: 8_000, child: 4_000 },
    ]);
  });

  const fails = (message: string, from: number) =>
    of((value) => {
      if (value > from) throw new Error(message);
      return value;
    });
  it.each<[string, FunctionModel, FunctionModel, string, RegExp]>([
    [
      'the first refuses the rows',
      identity,
      fails('too big', 20),
      'models.quantization_data',
      /model refuses the rows.*too big/,
    ],
    [
      'the second does',
      fails('too big', 20),
      identity,
      'models.not_quantizable',
      /same rows and failed: too big/,
    ],
    [
      'one hangs',
      { ...identity, run: () => new Promise(() => {}) },
      identity,
      'models.not_quantizable',
      /within 300 ms/,
    ],
  ])('are ended with an error when %s', async (_, child, parent, code, reason) => {
    const failed = compare(child, parent, reason.source.includes('300 ms') ? 300 : 20_000);
    await expect(failed).rejects.toMatchObject({ code });
    await expect(failed).rejects.toThrow(reason);
  });
});
