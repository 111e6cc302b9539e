import {
  type Constant,
  ELEMENT,
  floatAttribute,
  floatsOf,
  intAttribute,
  nodeField,
  type OnnxNode,
} from './onnx-model.ts';
import type { PlacedRows, Rewriting, WeightLayout } from './rewriting.ts';
import { REDUCED_STEPS, STEPS } from './weights.ts';
import type { Field } from './wire.ts';

/** Products summed up in 32 bits: one more could pass 2³¹ with rows of 255 steps and weights of 127. */
const SUMMANDS_MAX = Math.floor((2 ** 31 - 1) / (255 * 127));

export interface OperatorOptions {
  /** Which of `OPERATORS` to rewrite. */
  readonly operators: readonly string[];
  /** A scale for each output channel of a weight, rather than one for all. */
  readonly perChannel: boolean;
  /** Weights of 7 bits: for x64 processors without VNNI, where sums of two products of 8 bits overflow. */
  readonly reduceRange: boolean;
}

/** The nodes that do what one did, with whole numbers; or why it is left as it is. */
type Rewritten = readonly Field[] | string;

/** What is rewritten unless more is asked for: ONNX Runtime computes convolutions of whole numbers 4 times slower than those of FP32. */
export const DEFAULT_OPERATORS = ['Gather', 'Gemm', 'MatMul'] as const;

/** How one operator is rewritten; which of its inputs is the weight. */
interface Operator {
  readonly weight: number;
  rewrite(rewriting: Rewriting, node: OnnxNode, weight: Constant, options: OperatorOptions): Rewritten;
}

/** The operators that are rewritten, by name. */
export const OPERATORS: Readonly<Record<string, Operator>> = {
  MatMul: { weight: 1, rewrite: matMul },
  Gemm: { weight: 1, rewrite: gemm },
  Conv: { weight: 1, rewrite: conv },
  Gather: { weight: 0, rewrite: gather },
};

function matMul(rewriting: Rewriting, node: OnnxNode, weight: Constant, options: OperatorOptions): Rewritten {
  if (weight.shape.length !== 2) return 'weights that are no matrix';
  const layout = matrixLayout(weight, false, options);
  if (layout.shape[0]! > SUMMANDS_MAX) return TOO_LONG;
  return product(rewriting, node, weight, layout, { factor: 1, output: node.outputs[0]! });
}

function gemm(rewriting: Rewriting, node: OnnxNode, weight: Constant, options: OperatorOptions): Rewritten {
  if (intAttribute(node, 'transA', 0) !== 0) return 'a transposed left side';
  const layout = matrixLayout(weight, intAttribute(node, 'transB', 0) !== 0, options);
  if (layout.shape[0]! > SUMMANDS_MAX) return TOO_LONG;
  const [output] = node.outputs as [string];
  const beta = floatAttribute(node, 'beta', 1);
  const bias = beta === 0 ? undefined : node.inputs[2] || undefined;
  const sum = bias ? rewriting.fresh(`${output}_product`) : output;
  const factor = floatAttribute(node, 'alpha', 1);
  const nodes = [...product(rewriting, node, weight, layout, { factor, output: sum })];
  if (!bias) return nodes;
  let added = bias;
  if (beta !== 1) {
    added = rewriting.fresh(`${output}_bias`);
    nodes.push(nodeField('Mul', [bias, rewriting.constant('beta', [], Float32Array.of(beta))], [added]));
  }
  return [...nodes, nodeField('Add', [sum, added], [output])];
}

const TOO_LONG = `sums of more than ${SUMMANDS_MAX} products`;

/** A matrix as MatMulInteger takes it, [rows, columns]; a column is a channel. */
function matrixLayout(
  { shape }: Constant,
  isTransposed: boolean,
  { perChannel, reduceRange }: OperatorOptions,
): WeightLayout {
  const [first, second] = shape as [number, number];
  const [rows, columns] = isTransposed ? [second, first] : [first, second];
  return {
    key: `matrix ${isTransposed}`,
    shape: [rows, columns],
    channels: perChannel ? columns : 1,
    stepsMax: reduceRange ? REDUCED_STEPS : STEPS,
    channelOf: perChannel ? (index) => index % columns : () => 0,
    from: isTransposed ? (index) => (index % columns) * rows + Math.floor(index / columns) : undefined,
  };
}

function product(
  rewriting: Rewriting,
  { inputs }: OnnxNode,
  weight: Constant,
  layout: WeightLayout,
  { factor, output }: { factor: number; output: string },
): Field[] {
  const nodes: Field[] = [];
  const { name, scales } = rewriting.weights(weight, layout);
  const rows = rewriting.rows(inputs[0]!, [-1], nodes);
  const whole = rewriting.fresh(`${output}_int32`);
  nodes.push(nodeField('MatMulInteger', [rows.name, name, rows.zeroPoint], [whole]));
  const shape = layout.channels > 1 ? [layout.channels] : [];
  return [...nodes, ...unscaled(rewriting, rows, { whole, output, scales, shape, factor })];
}

/** Whole numbers become what they stand for: × the row's scale × the channel's. */
function unscaled(
  rewriting: Rewriting,
  { greatest, steps }: PlacedRows,
  {
    whole,
    output,
    scales,
    shape,
    factor = 1,
  }: { whole: string; output: string; scales: Float32Array; shape: readonly number[]; factor?: number },
): Field[] {
  const number = rewriting.fresh(`${output}_float`);
  const cast = nodeField('Cast', [whole], [number], { to: ELEMENT.float });
  if (scales.length === 1) {
    // One division for each row before the products of the elements. A product would be the pattern that ONNX Runtime (1.30) fuses into
    // MatMulIntegerToFloat, which takes the scale of the first row for all.
    const scale = rewriting.fresh(`${output}_row_scale`);
    const stepsOfOne = Float32Array.of(steps / (scales[0]! * factor));
    const divisor = rewriting.constant(`${output}_steps`, [], stepsOfOne);
    return [
      cast,
      nodeField('Div', [greatest, divisor], [scale]),
      nodeField('Mul', [number, scale], [output]),
    ];
  }
  const perStep = scales.map((each) => (each * factor) / steps);
  const weightScale = rewriting.constant(`${output}_scale`, shape, perStep);
  const scaled = rewriting.fresh(`${output}_of_row`);
  return [
    cast,
    nodeField('Mul', [number, greatest], [scaled]),
    nodeField('Mul', [scaled, weightScale], [output]),
  ];
}

function conv(
  rewriting: Rewriting,
  node: OnnxNode,
  weight: Constant,
  { perChannel, reduceRange }: OperatorOptions,
): Rewritten {
  const { shape } = weight;
  const [channels, ...filter] = shape as [number, ...number[]];
  const ones = filter.slice(1).map(() => 1); // of the places of an image
  const perFilter = filter.reduce((count, size) => count * size, 1);
  if (perFilter > SUMMANDS_MAX) return TOO_LONG;
  const [output] = node.outputs as [string];
  const biasName = node.inputs[2] || undefined;
  const bias = biasName === undefined ? undefined : rewriting.model.constants.get(biasName);
  if (biasName !== undefined && bias?.elementType !== ELEMENT.float) return 'a bias that is computed';
  const layout: WeightLayout = {
    key: 'filters',
    shape,
    channels: perChannel ? channels : 1,
    stepsMax: reduceRange ? REDUCED_STEPS : STEPS,
    channelOf: perChannel ? (index) => Math.floor(index / perFilter) : () => 0,
  };
  const nodes: Field[] = [];
  const { name, scales } = rewriting.weights(weight, layout);
  const axes = filter.map((_, axis) => axis + 1);
  const rows = rewriting.rows(node.inputs[0]!, axes, nodes);
  const whole = rewriting.fresh(`${output}_int32`);
  const taken = node.attributes.values();
  nodes.push(nodeField('ConvInteger', [rows.name, name, rows.zeroPoint], [whole], {}, taken));
  const sum = bias ? rewriting.fresh(`${output}_product`) : output;
  const scaleShape = layout.channels > 1 ? [channels, ...ones] : [];
  nodes.push(...unscaled(rewriting, rows, { whole, output: sum, scales, shape: scaleShape }));
  if (!bias) return nodes;
  const added = rewriting.constant(`${output}_bias`, [channels, ...ones], floatsOf(bias));
  return [...nodes, nodeField('Add', [sum, added], [output])];
}

/** A table of vectors: each has its own scale, which costs 4 bytes a vector and nothing at a look-up. */
function gather(rewriting: Rewriting, node: OnnxNode, weight: Constant): Rewritten {
  const { shape } = weight;
  const axis = intAttribute(node, 'axis', 0);
  const width = shape.slice(1).reduce((count, size) => count * size, 1);
  if (shape.length < 2 || (axis !== 0 && axis !== -shape.length)) return 'a table of another axis';
  const layout: WeightLayout = {
    key: 'table',
    shape,
    channels: shape[0]!,
    channelOf: (index) => Math.floor(index / width),
  };
  const { name, scales } = rewriting.weights(weight, layout);
  const [output] = node.outputs as [string];
  const indices = node.inputs[1]!;
  const scale = rewriting.constant(
    `${weight.name}_scale`,
    [shape[0]!, ...shape.slice(1).map(() => 1)],
    scales,
  );
  const [found, foundScale] = [rewriting.fresh(`${output}_int8`), rewriting.fresh(`${output}_scale`)];
  const number = rewriting.fresh(`${output}_float`);
  return [
    nodeField('Gather', [name, indices], [found]),
    nodeField('Gather', [scale, indices], [foundScale]),
    nodeField('Cast', [found], [number], { to: ELEMENT.float }),
    nodeField('Mul', [number, foundScale], [output]),
  ];
}
