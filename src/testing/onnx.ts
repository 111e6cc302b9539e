/*
 * A writer of small ONNX files for tests: the protobuf messages of onnx/onnx.proto (ModelProto, GraphProto, NodeProto, TensorProto), field
 * numbers as there. No Python and no code generator needed.
 */
const VARINT = 0;
const BYTES = 2;
const ELEMENT = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  UINT32: 12,
  UINT64: 13,
  BF16: 16,
} as const;

const FIXED32 = 5;
/** A number of single precision; a plain number is a whole one. */
type Float = { readonly float: number };
type Field = readonly [number: number, value: number | string | Uint8Array | Float];

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return [...bytes, rest];
}

function message(...fields: readonly Field[]): Uint8Array {
  const parts = fields.map(([number, value]) => {
    if (typeof value === 'number') return Buffer.from([...varint(number * 8 + VARINT), ...varint(value)]);
    if (typeof value === 'object' && 'float' in value)
      return Buffer.concat([
        Buffer.from([...varint(number * 8 + FIXED32)]),
        Buffer.from(Float32Array.of(value.float).buffer),
      ]);
    const bytes = Buffer.from(value as Uint8Array);
    return Buffer.concat([Buffer.from([...varint(number * 8 + BYTES), ...varint(bytes.length)]), bytes]);
  });
  return Buffer.concat(parts);
}

/** A tensor's type as an input or output; a text is a free dimension. */
export interface ValueInfo {
  name: string;
  datatype: keyof typeof ELEMENT;
  shape: readonly (number | string)[];
}

function valueInfo({ name, datatype, shape }: ValueInfo): Uint8Array {
  const dimensions = shape.map(
    (size): Field => [1, message(typeof size === 'number' ? [1, size] : [2, size])],
  );
  const tensorType = message([1, ELEMENT[datatype]], [2, message(...dimensions)]);
  return message([1, name], [2, message([1, tensorType])]);
}

/** Of a node: a whole number, a number, a text, or a list of numbers or texts. */
export type Attribute = number | Float | string | BigInt64Array | Float32Array | readonly string[];

export interface OnnxNode {
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
  /** Of the operator; ONNX's own when left out. `ai.onnx.ml` has the trees. */
  domain?: string;
  attributes?: Readonly<Record<string, Attribute>>;
}

const ATTRIBUTE = { FLOAT: 1, INT: 2, STRING: 3, FLOATS: 6, INTS: 7, STRINGS: 8 } as const;

function attribute(name: string, value: Attribute): Uint8Array {
  const of = (type: keyof typeof ATTRIBUTE, ...fields: readonly Field[]) =>
    message([1, name], ...fields, [20, ATTRIBUTE[type]]);
  if (typeof value === 'number') return of('INT', [3, value]);
  if (typeof value === 'string') return of('STRING', [4, value]);
  if (value instanceof Float32Array)
    return of('FLOATS', [7, new Uint8Array(value.buffer, value.byteOffset, value.byteLength)]);
  if (value instanceof BigInt64Array)
    return of('INTS', [8, Buffer.from(Array.from(value, Number).flatMap(varint))]);
  if ('float' in value) return of('FLOAT', [2, value]);
  return of('STRINGS', ...value.map((text): Field => [9, text]));
}

function node({ op, inputs, outputs, domain, attributes = {} }: OnnxNode): Uint8Array {
  return message(
    ...inputs.map((name): Field => [1, name]),
    ...outputs.map((name): Field => [2, name]),
    [4, op],
    ...Object.entries(attributes).map(([name, value]): Field => [5, attribute(name, value)]),
    ...(domain ? [[7, domain] as Field] : []),
  );
}

export interface OnnxGraph {
  nodes: readonly OnnxNode[];
  inputs: readonly ValueInfo[];
  outputs: readonly ValueInfo[];
  constants?: Readonly<Record<string, { shape: readonly number[]; data: Float32Array | BigInt64Array }>>;
}

/**
 * The bytes of an ONNX model (IR version 8, operator set 17; 3 of other domains).
 *
 * @example onnxModel({ nodes: [{ op: 'Sigmoid', inputs: ['x'], outputs: ['y'] }], inputs: […], outputs: […] })
 */
export function onnxModel(graph: OnnxGraph): Uint8Array {
  const nodes = graph.nodes.map((each): Field => [1, node(each)]);
  const constants = Object.entries(graph.constants ?? {}).map(
    ([name, { shape, data }]): Field => [
      5,
      message(
        ...shape.map((size): Field => [1, size]),
        [2, data instanceof Float32Array ? ELEMENT.FP32 : ELEMENT.INT64],
        [8, name],
        [9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)],
      ),
    ],
  );
  const body = message(
    ...nodes,
    [2, 'test'],
    ...constants,
    ...graph.inputs.map((info): Field => [11, valueInfo(info)]),
    ...graph.outputs.map((info): Field => [12, valueInfo(info)]),
  );
  const domains = new Set(graph.nodes.flatMap(({ domain }) => domain ?? []));
  const others = [...domains].map((domain): Field => [8, message([1, domain], [2, 3])]);
  return message([1, 8], [7, body], [8, message([1, ''], [2, 17])], ...others);
}

/**
 * A logistic model: `features` [rows, n] → `probabilities` [rows, 1] = sigmoid(features · weights + bias).
 *
 * @example logisticModel([1, -2], 0.5)
 */
export function logisticModel(weights: readonly number[], bias: number): Uint8Array {
  return onnxModel({
    nodes: [
      { op: 'MatMul', inputs: ['features', 'weights'], outputs: ['product'] },
      { op: 'Add', inputs: ['product', 'bias'], outputs: ['sum'] },
      { op: 'Sigmoid', inputs: ['sum'], outputs: ['probabilities'] },
    ],
    inputs: [{ name: 'features', datatype: 'FP32', shape: ['rows', weights.length] }],
    outputs: [{ name: 'probabilities', datatype: 'FP32', shape: ['rows', 1] }],
    constants: {
      weights: { shape: [weights.length, 1], data: Float32Array.from(weights) },
      bias: { shape: [1], data: Float32Array.of(bias) },
    },
  });
}
