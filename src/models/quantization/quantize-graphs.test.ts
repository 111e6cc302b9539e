import { describe, expect, it } from 'vitest';
import { sliceRows, type Tensor } from '../../serving/tensors/tensor.ts';
import { onnxModel } from '../../testing/onnx.ts';
import { readModel } from './onnx-model.ts';
import { OPERATORS } from './operators.ts';
import { quantizeModel } from './quantize.ts';
import { answersOf, constant, differenceOf, model, numbers } from './quantize-under-test.ts';
import { all, type Field, field, last, readMessage, textOf, writeMessage } from './wire.ts';

const OPTIONS = {
  perChannel: true,
  reduceRange: false,
  operators: Object.keys(OPERATORS),
  weightBytesMin: 0,
};
const ROWS = 8;
const input = (...shape: number[]): Tensor => {
  const count = shape.reduce((product, size) => product * size, 1);
  return { name: 'x', datatype: 'FP32', shape, data: numbers(count, 3) };
};

async function expectNear(onnx: Uint8Array, x: Tensor): Promise<void> {
  const [parent, child] = await answersOf([onnx, quantizeModel(onnx, OPTIONS).onnx], [[x]]);
  expect(differenceOf(parent![0]!, child![0]!)).toBeLessThan(0.03);
}

/** The file with its graph changed, and other fields of the model in the place of those of the same number. */
function changed(onnx: Uint8Array, change: (graph: Field[]) => Field[], ...others: Field[]): Uint8Array {
  const message = readMessage(onnx);
  const graph = field(7, change(readMessage(last(message, 7)!.bytes)));
  const replaced = new Set([7, ...others.map(({ number }) => number)]);
  return writeMessage([...message.filter(({ number }) => !replaced.has(number)), graph, ...others]);
}

const perceptron = model(
  [16],
  [
    { op: 'MatMul', inputs: ['x', 'w'], outputs: ['s'] },
    { op: 'Relu', inputs: ['s'], outputs: ['h'] },
    { op: 'Gemm', inputs: ['h', 'v', 'b'], outputs: ['y'] },
  ],
  { w: constant([16, 32], 2), v: constant([32, 4], 4), b: constant([4], 5) },
  [4],
);
const sets = (version: number) => field(8, [field(1, ''), field(2, version)]);

describe('files of other times', () => {
  it.each([11, 13, 18, 21])('of operator set %i agree with their parent', async (version) => {
    await expectNear(
      changed(perceptron, (graph) => graph, sets(version)),
      input(ROWS, 16),
    );
  });

  it('whose initializers are inputs too: of IR 3 constants, from 4 on what a caller may override', async () => {
    const info = (name: string, ...shape: number[]) =>
      field(11, [
        field(1, name),
        field(2, [
          field(1, [
            field(1, 1),
            field(
              2,
              shape.map((size) => field(1, [field(1, size)])),
            ),
          ]),
        ]),
      ]);
    const told = (graph: Field[]) => [...graph, info('w', 16, 32), info('v', 32, 4), info('b', 4)];
    const old = changed(perceptron, told, field(1, 3), sets(11));
    await expectNear(old, input(ROWS, 16));
    expect(all(readModel(quantizeModel(old, OPTIONS).onnx).graph, 11)).toHaveLength(1);
    const overridable = changed(perceptron, told, field(1, 8));
    expect(() => quantizeModel(overridable, OPTIONS)).toThrowError(/Nothing in it can be quantized/);
  });

  it('whose numbers stand one by one, and whose constants are nodes', async () => {
    const asNodes = changed(perceptron, (graph) => {
      const isWeight = (each: Field) => each.number === 5;
      const constants = graph.filter(isWeight).map(({ bytes }) => {
        const tensor = readMessage(bytes).map(
          (each) => (each.number === 9 ? field(4, each.bytes) : each), // packed single-precision numbers
        );
        const value = [field(1, 'value'), field(5, tensor), field(20, 4)];
        const name = textOf(last(tensor, 8));
        return field(1, [field(2, name), field(4, 'Constant'), field(5, value)]);
      });
      return [...constants, ...graph.filter((each) => !isWeight(each))];
    });
    await expectNear(asNodes, input(ROWS, 16));
    const { onnx, report } = quantizeModel(asNodes, OPTIONS);
    expect(report.operators).toEqual({ Gemm: 1, MatMul: 1 });
    expect(
      readModel(onnx)
        .nodes.filter(({ op }) => op === 'Constant')
        .map(({ outputs }) => outputs),
    ).toEqual([['b']]);
  });
});

describe('graphs of other forms', () => {
  it('convolutions over one dimension, with padding by name', async () => {
    const one = model(
      [3, 20],
      [{ op: 'Conv', inputs: ['x', 'k', 'b'], outputs: ['y'], attributes: { auto_pad: 'SAME_UPPER' } }],
      { k: constant([5, 3, 3], 2), b: constant([5], 3) },
      [5, 20],
    );
    await expectNear(one, input(ROWS, 3, 20));
  });

  it('a vector times a matrix, and matrices that are left because they stand elsewhere', async () => {
    const vector = onnxModel({
      nodes: [
        { op: 'MatMul', inputs: ['x', 'w'], outputs: ['p'] },
        { op: 'MatMul', inputs: ['left', 'p'], outputs: ['y'] },
      ],
      inputs: [{ name: 'x', datatype: 'FP32', shape: [16] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [5] }],
      constants: { w: constant([16, 32], 2), left: constant([5, 32], 3) },
    });
    await expectNear(vector, input(16));
    expect(quantizeModel(vector, OPTIONS).report.operators).toEqual({ MatMul: 1 });
  });

  it('a weight that a branch reads too stays where the branch finds it', async () => {
    const branch = (name: string, from: string) =>
      field(5, [
        field(1, name),
        field(6, [
          field(1, [field(1, from), field(2, `${name}_out`), field(4, 'Identity')]),
          field(2, name),
          field(12, [field(1, `${name}_out`), field(2, [field(1, [field(1, 1)])])]),
        ]),
        field(20, 5),
      ]);
    const conditional = changed(perceptron, (graph) => {
      const isOutput = (each: Field) => each.number === 12;
      const rename = (each: Field) => {
        const message = each.number === 1 ? readMessage(each.bytes) : [];
        const isLast = textOf(last(message, 2)) === 'y';
        const renamed = message.map((part) => (part.number === 2 ? field(2, 'z') : part));
        return isLast ? field(1, renamed) : each;
      };
      const value = field(5, [field(1, 1), field(2, 9), field(8, 'yes'), field(9, Uint8Array.of(1))]);
      const choose = field(1, [
        field(1, 'yes'),
        field(2, 'chosen'),
        field(4, 'If'),
        branch('then_branch', 'v'),
        branch('else_branch', 'v'),
      ]);
      const product = field(1, [field(1, 'h'), field(1, 'chosen'), field(2, 'twice'), field(4, 'MatMul')]);
      const sum = field(1, [field(1, 'z'), field(1, 'twice'), field(2, 'y'), field(4, 'Add')]);
      const before = graph.filter((each) => !isOutput(each)).map(rename);
      return [...before, value, choose, product, sum, ...graph.filter(isOutput)];
    });
    await expectNear(conditional, input(ROWS, 16));
    const { constants } = readModel(quantizeModel(conditional, OPTIONS).onnx);
    expect([...constants.keys()]).toContain('v');
    expect([...constants.keys()]).not.toContain('w');
  });

  it('rows of zeros answer with the bias; a row that holds NaN answers with NaN, and harms no other', async () => {
    const { data, ...rest } = input(3, 16);
    const values = (data as Float32Array<ArrayBuffer>).fill(0, 0, 16);
    values[16] = Number.NaN;
    const x = { ...rest, data: values };
    const [parent, child] = await answersOf(
      [perceptron, quantizeModel(perceptron, OPTIONS).onnx],
      [[x], [sliceRows(x, 2, 1)]],
    );
    expect(child![0]!.subarray(0, 4)).toEqual(parent![0]!.subarray(0, 4));
    expect(child![0]!.subarray(8)).toEqual(child![1]!);
    expect([...parent![0]!.subarray(4, 8)].every(Number.isNaN)).toBe(true);
    expect([...child![0]!.subarray(4, 8)].every(Number.isNaN)).toBe(true);
  });
});
