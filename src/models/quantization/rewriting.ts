import {
  type Constant,
  ELEMENT,
  floatsOf,
  initializerField,
  nodeField,
  type OnnxModel,
  type OnnxNode,
} from './onnx-model.ts';
import { quantizeWeights } from './weights.ts';
import type { Field } from './wire.ts';

/** Operators whose results are never negative, and those that only move or choose among numbers. */
const NEVER_NEGATIVE = new Set([
  'Relu',
  'Sigmoid',
  'Softmax',
  'Abs',
  'Exp',
  'Softplus',
  'HardSigmoid',
  'Sqrt',
]);
const MOVING = new Set([
  'AveragePool',
  'Dropout',
  'Flatten',
  'GlobalAveragePool',
  'GlobalMaxPool',
  'Identity',
  'MaxPool',
  'Reshape',
  'Squeeze',
  'Transpose',
  'Unsqueeze',
]);
const AXES_ARE_AN_INPUT = 18; // the operator set in which ReduceMax takes its axes as an input
const SMALLEST_ROW = 1e-30; // a row of zeros must not be divided by zero

/** Weights that stand in the graph as whole numbers. */
interface PlacedWeights {
  readonly name: string;
  readonly scales: Float32Array;
}

/** An activation that stands in the graph as whole numbers, a scale for each of its rows. */
export interface PlacedRows {
  readonly name: string;
  readonly zeroPoint: string;
  /** The greatest of each row, as a tensor of the graph: a row of these many steps. */
  readonly greatest: string;
  readonly steps: number;
}

/** How the elements of a weight are grouped to scales and in what order they are written. */
export interface WeightLayout {
  /** Names it: the same weights in the same layout are written once. */
  readonly key: string;
  readonly shape: readonly number[];
  readonly channels: number;
  /** The greatest whole number; `STEPS` when left out. */
  readonly stepsMax?: number;
  channelOf(index: number): number;
  /** Where an element of the new order stood. */
  readonly from?: ((index: number) => number) | undefined;
}

/** A graph while it is rewritten: what is added to it, and names that nothing has yet. */
export class Rewriting {
  readonly model: OnnxModel;
  readonly added: Field[] = [];
  readonly #producers: ReadonlyMap<string, OnnxNode>;
  readonly #names: Set<string>;
  readonly #constants = new Map<string, string>();
  readonly #weights = new Map<string, PlacedWeights>();
  readonly #rows = new Map<string, PlacedRows>();
  /** Bytes of the weights that were written as whole numbers, before and after. */
  bytesBefore = 0;
  bytesAfter = 0;

  constructor(model: OnnxModel) {
    this.model = model;
    this.#producers = new Map(model.nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
    this.#names = new Set([
      ...model.nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]),
      ...model.inputs,
      ...model.constants.keys(),
      ...model.usedInside,
    ]);
  }

  /** A name that begins with these words. */
  fresh(words: string): string {
    let name = words;
    for (let i = 2; this.#names.has(name); i++) name = `${words}_${i}`;
    this.#names.add(name);
    return name;
  }

  /** A constant of the graph; equal ones are written once. */
  constant(
    words: string,
    shape: readonly number[],
    data: Float32Array | Int8Array | Uint8Array | BigInt64Array,
  ): string {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const key = `${data.constructor.name} ${shape.join(',')} ${bytes.length > 64 ? words : bytes.toString('hex')}`;
    const known = this.#constants.get(key);
    if (known) return known;
    const name = this.fresh(words);
    this.added.push(initializerField(name, shape, elementTypeOf(data), data));
    this.#constants.set(key, name);
    return name;
  }

  /** The weights as whole numbers of 8 bits. */
  weights(
    constant: Constant,
    { key, shape, channels, stepsMax, channelOf, from }: WeightLayout,
  ): PlacedWeights {
    const known = this.#weights.get(`${constant.name} ${key}`);
    if (known) return known;
    const given = floatsOf(constant);
    const ordered = from ? Float32Array.from({ length: given.length }, (_, i) => given[from(i)]!) : given;
    const { data, scales } = quantizeWeights(constant.name, ordered, channels, channelOf, stepsMax);
    const name = this.fresh(`${constant.name}_int8`);
    this.added.push(initializerField(name, shape, ELEMENT.int8, data));
    this.bytesBefore += given.byteLength;
    this.bytesAfter += data.byteLength + scales.byteLength;
    const placed = { name, scales };
    this.#weights.set(`${constant.name} ${key}`, placed);
    return placed;
  }

  /**
   * The activation as whole numbers of 8 bits, by nodes that are put before its first user. A row has its own scale, so that what it comes to
   * does not depend on the rows beside it: DynamicQuantizeLinear has one scale for all of a batch, and a row's answer moved by 1.3 % of
   * the greatest with the rows that it was batched with.
   *
   * @param axes the axes of one row
   */
  rows(input: string, axes: readonly number[], nodes: Field[]): PlacedRows {
    const key = `${input} ${axes.join(',')}`;
    const known = this.#rows.get(key);
    if (known) return known;
    const isPositive = this.#isNeverNegative(input);
    const steps = isPositive ? 255 : 127;
    const name = (words: string) => this.fresh(`${input}_${words}`);
    const sized = isPositive ? input : name('size');
    if (!isPositive) nodes.push(nodeField('Abs', [input], [sized]));
    const [most, greatest, scaled, whole] = [name('most'), name('greatest'), name('scaled'), name('uint8')];
    nodes.push(this.#reduceMax(sized, most, axes));
    const smallest = this.constant('smallest_row', [], Float32Array.of(SMALLEST_ROW));
    nodes.push(nodeField('Max', [most, smallest], [greatest]));
    nodes.push(nodeField('Div', [input, greatest], [scaled]));
    const step = this.constant('row_step', [], Float32Array.of(1 / steps));
    const zeroPoint = this.constant('row_zero', [], Uint8Array.of(isPositive ? 0 : 128));
    nodes.push(nodeField('QuantizeLinear', [scaled, step, zeroPoint], [whole]));
    const placed = { name: whole, zeroPoint, greatest, steps };
    this.#rows.set(key, placed);
    return placed;
  }

  #reduceMax(input: string, output: string, axes: readonly number[]): Field {
    if (this.model.opset < AXES_ARE_AN_INPUT)
      return nodeField('ReduceMax', [input], [output], { axes, keepdims: 1 });
    const list = this.constant('row_axes', [axes.length], BigInt64Array.from(axes, BigInt));
    return nodeField('ReduceMax', [input, list], [output], { keepdims: 1 });
  }

  #isNeverNegative(name: string): boolean {
    let node = this.#producers.get(name);
    while (node && node.domain === '' && MOVING.has(node.op)) node = this.#producers.get(node.inputs[0]!);
    return node?.domain === '' && NEVER_NEGATIVE.has(node.op);
  }
}

function elementTypeOf(data: Float32Array | Int8Array | Uint8Array | BigInt64Array): number {
  if (data instanceof Float32Array) return ELEMENT.float;
  if (data instanceof Int8Array) return ELEMENT.int8;
  return data instanceof Uint8Array ? ELEMENT.uint8 : ELEMENT.int64;
}
