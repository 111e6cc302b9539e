import { describe, expect, it } from 'vitest';
import { sliceRows, type Tensor } from '../../serving/tensors/tensor.ts';
import { logisticModel, onnxModel } from '../../testing/onnx.ts';
import { readModel } from './onnx-model.ts';
import { OPERATORS } from './operators.ts';
import { quantizeModel } from './quantize.ts';
import { answersOf, constant, differenceOf, model, numbers } from './quantize-under-test.ts';
import { all, field, last, numberOf, readMessage, textOf, writeMessage } from './wire.ts';

const TENSOR = {
  perChannel: false,
  reduceRange: false,
  operators: Object.keys(OPERATORS),
  weightBytesMin: 0,
};
const CHANNEL = { ...TENSOR, perChannel: true };
const REDUCED = { ...CHANNEL, reduceRange: true };
const ROWS = 16;
// Of the greatest answer of a row; seen up to 0.031: half a step in 127 of the weights and of the activations, over two layers.
const DIFFERENCE_MAX = 0.06;

function rowsOf(...shape: readonly number[]): Tensor {
  const width = shape.reduce((product, size) => product * size, 1);
  // Rows of very different sizes: one scale for all of them would lose the small ones.
  const data = numbers(ROWS * width, 9).map((value, i) => value * 10 ** (Math.floor(i / width) % 4));
  return { name: 'x', datatype: 'FP32', shape: [ROWS, ...shape], data };
}

/** The file and its quantized forms of it give nearly the same, and a row the same alone and among others. */
async function expectAgreement(onnx: Uint8Array, input: Tensor, operators: Record<string, number>) {
  const forms = [TENSOR, CHANNEL, REDUCED].map((options) => quantizeModel(onnx, options));
  for (const { report } of forms) expect(report.operators).toEqual(operators);
  const single = sliceRows(input, 2, 1);
  const [parent, ...children] = await answersOf(
    [onnx, ...forms.map((form) => form.onnx)],
    [[input], [single]],
  );
  for (const [together, alone] of children as [Float32Array, Float32Array][]) {
    const width = alone.length;
    for (let row = 0; row < ROWS; row++) {
      const [from, to] = [row * width, (row + 1) * width];
      const difference = differenceOf(parent![0]!.subarray(from, to), together.subarray(from, to));
      expect(difference, `row ${row}`).toBeLessThan(DIFFERENCE_MAX);
    }
    expect(together.subarray(2 * width, 3 * width)).toEqual(alone);
  }
}

const perceptron = (attributes: Record<string, number | { float: number }> = {}) =>
  model(
    [32],
    [
      { op: 'Gemm', inputs: ['x', 'w0', 'b0'], outputs: ['s'], attributes },
      { op: 'Relu', inputs: ['s'], outputs: ['h'] },
      { op: 'Gemm', inputs: ['h', 'w1', 'b1'], outputs: ['y'] },
    ],
    {
      w0: constant(attributes.transB ? [48, 32] : [32, 48], 2),
      b0: constant([48], 3),
      w1: constant([48, 8], 4),
      b1: constant([8], 5),
    },
    [8],
  );

describe('a quantized model agrees with its parent, row by row, whatever rows stand beside', () => {
  it('with Gemm', async () => {
    await expectAgreement(perceptron(), rowsOf(32), { Gemm: 2 });
  });

  it('with a transposed weight, alpha and beta', async () => {
    const attributes = { transB: 1, alpha: { float: 0.5 }, beta: { float: 2 } };
    await expectAgreement(perceptron(attributes), rowsOf(32), { Gemm: 2 });
    await expectAgreement(perceptron({ beta: { float: 0 } }), rowsOf(32), { Gemm: 2 });
  });

  it('with MatMul and Add, over three dimensions, where two nodes share a weight', async () => {
    const shared = model(
      [5, 24],
      [
        { op: 'MatMul', inputs: ['x', 'w'], outputs: ['p'] },
        { op: 'Add', inputs: ['p', 'b'], outputs: ['s'] },
        { op: 'Tanh', inputs: ['s'], outputs: ['h'] },
        { op: 'MatMul', inputs: ['h', 'w'], outputs: ['q'] },
        { op: 'MatMul', inputs: ['x', 'v'], outputs: ['r'] },
        { op: 'Add', inputs: ['q', 'r'], outputs: ['y'] },
      ],
      { w: constant([24, 24], 2), v: constant([24, 24], 6), b: constant([24], 3) },
      [5, 24],
    );
    await expectAgreement(shared, rowsOf(5, 24), { MatMul: 3 });
    const { onnx, report } = quantizeModel(shared, TENSOR);
    expect(report.weightBytes.before).toBe(2 * 24 * 24 * 4); // `w` once
    expect(onnx.length).toBeLessThan(shared.length);
  });

  it('with convolutions, padded and grouped', async () => {
    const network = model(
      [4, 8, 8],
      [
        {
          op: 'Conv',
          inputs: ['x', 'k0', 'b0'],
          outputs: ['c'],
          attributes: { pads: BigInt64Array.of(1n, 1n, 1n, 1n), strides: BigInt64Array.of(2n, 2n) },
        },
        { op: 'Relu', inputs: ['c'], outputs: ['r'] },
        { op: 'Conv', inputs: ['r', 'k1'], outputs: ['y'], attributes: { group: 2 } },
      ],
      { k0: constant([6, 4, 3, 3], 2), b0: constant([6], 3), k1: constant([4, 3, 3, 3], 4) },
      [4, 2, 2],
    );
    await expectAgreement(network, rowsOf(4, 8, 8), { Conv: 2 });
  });

  it('with a table of vectors and weights that Constant nodes hold', async () => {
    const table = onnxModel({
      nodes: [
        { op: 'Gather', inputs: ['table', 'x'], outputs: ['vectors'] },
        { op: 'Flatten', inputs: ['vectors'], outputs: ['flat'] },
        { op: 'MatMul', inputs: ['flat', 'w'], outputs: ['y'] },
      ],
      inputs: [{ name: 'x', datatype: 'INT64', shape: ['rows', 3] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['rows', 8] }],
      constants: { table: constant([50, 16], 2), w: constant([48, 8], 3) },
    });
    const data = BigInt64Array.from({ length: ROWS * 3 }, (_, i) => BigInt((i * 7) % 50));
    const input: Tensor = { name: 'x', datatype: 'INT64', shape: [ROWS, 3], data };
    await expectAgreement(table, input, { Gather: 1, MatMul: 1 });
    expect(quantizeModel(table, TENSOR).report.tables).toEqual({ x: 50 });
  });
});

describe('what is not quantized', () => {
  it('is carried over: texts, metadata and fields that no schema knows', () => {
    const file = new Uint8Array(perceptron());
    const unknown = field(4_000, 'of a later release');
    const graph = readMessage(last(readMessage(file), 7)!.bytes);
    const told = [
      ...readMessage(file).filter(({ number }) => number !== 7),
      field(6, 'a model'),
      field(14, [field(1, 'owner'), field(2, 'risk')]),
      unknown,
      field(7, [...graph, field(10, 'a graph'), field(4_001, -1n)]),
    ];
    const { message, graph: after } = readModel(quantizeModel(writeMessage(told), TENSOR).onnx);
    expect(textOf(last(message, 6))).toBe('a model');
    expect(textOf(last(readMessage(last(message, 14)!.bytes), 2))).toBe('risk');
    expect(last(message, 4_000)).toEqual(unknown);
    expect(textOf(last(after, 10))).toBe('a graph');
    expect(numberOf(last(after, 4_001))).toBe(-1);
    expect(all(message, 8)).toEqual(all(readMessage(file), 8)); // the operator sets
    expect(writeMessage(readMessage(file))).toEqual(file);
  });

  it('keeps weights below the least size, and says how many', () => {
    const { report } = quantizeModel(perceptron(), { ...TENSOR, weightBytesMin: 2_000 });
    expect(report.operators).toEqual({ Gemm: 1 });
    expect(report.left).toEqual({ 'weights below 2000 bytes': 1 });
  });

  it('leaves out operators that were not asked for', () => {
    expect(() => quantizeModel(perceptron(), { ...TENSOR, operators: ['MatMul'] })).toThrowError(
      /2 × Gemm, Relu\. Left as they are: Gemm was not asked for \(2\)/,
    );
  });

  it.each<[string, () => Uint8Array, RegExp]>([
    ['a tree ensemble', trees, /Its operators: ai\.onnx\.ml\.TreeEnsembleRegressor\./],
    ['small weights only', () => logisticModel([1, 2], 0), /weights below 1024 bytes \(1\)/],
    ['an operator set before 11', () => withOpset(perceptron(), 10), /operator set 10; 11 or later/],
    ['weights in another file', () => withExternal(perceptron()), /“w0” lies in another file/],
    ['weights that are no numbers', () => perceptronWith(Number.NaN), /“w0” hold NaN at index 5/],
    ['infinite weights', () => perceptronWith(Number.NEGATIVE_INFINITY), /“w0” hold -Infinity at index 5/],
  ])('is refused: %s', (_, build, reason) => {
    const quantize = () => quantizeModel(build(), { ...TENSOR, weightBytesMin: 1_024 });
    expect(quantize).toThrowError(reason);
    expect(quantize).toThrowError(expect.objectContaining({ code: 'models.not_quantizable' }));
  });

  it.each([
    ['no bytes', new Uint8Array(0)],
    ['text', new TextEncoder().encode('no model at all')],
    ['half a file', perceptron().subarray(0, 1_000)],
  ])('is refused as no ONNX: %s', (_, bytes) => {
    expect(() => quantizeModel(bytes, TENSOR)).toThrowError(
      expect.objectContaining({ code: 'models.not_onnx' }),
    );
  });
});

function trees(): Uint8Array {
  const node = { op: 'TreeEnsembleRegressor', domain: 'ai.onnx.ml', inputs: ['x'], outputs: ['y'] };
  return model([4], [node], {}, [1]);
}

function perceptronWith(weight: number): Uint8Array {
  const w0 = constant([32, 48], 2);
  w0.data[5] = weight;
  return model([32], [{ op: 'Gemm', inputs: ['x', 'w0'], outputs: ['y'] }], { w0 }, [48]);
}

function withOpset(file: Uint8Array, version: number): Uint8Array {
  const rest = readMessage(file).filter(({ number }) => number !== 8);
  return writeMessage([...rest, field(8, [field(1, ''), field(2, version)])]);
}

/** The first initializer, said to lie elsewhere. */
function withExternal(file: Uint8Array): Uint8Array {
  const graph = readMessage(last(readMessage(file), 7)!.bytes);
  const first = graph.findIndex(({ number }) => number === 5);
  const tensor = readMessage(graph[first]!.bytes).filter(({ number }) => number !== 9);
  graph[first] = field(5, [...tensor, field(13, [field(1, 'location'), field(2, 'w.bin')]), field(14, 1)]);
  return writeMessage([...readMessage(file).filter(({ number }) => number !== 7), field(7, graph)]);
}
