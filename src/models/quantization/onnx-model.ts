import { AiosError } from '../../kernel/errors.ts';
import {
  all,
  type Field,
  field,
  floatOf,
  last,
  type Message,
  numberOf,
  numbersOf,
  readMessage,
  textOf,
  writeMessage,
} from './wire.ts';

/*
 * The part of onnx.proto (github.com/onnx/onnx, Apache-2.0) that the rewrite reads and writes: field numbers as there. All else of a file is
 * carried over as bytes.
 */
const MODEL = { irVersion: 1, graph: 7, opset: 8 } as const;
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, valueInfo: 13 } as const;
const NODE = { input: 1, output: 2, name: 3, op: 4, attribute: 5, domain: 7 } as const;
const ATTRIBUTE = { name: 1, float: 2, int: 3, tensor: 5, graph: 6, ints: 8, graphs: 11, type: 20 } as const;
const ATTRIBUTE_TYPE = { int: 2, ints: 7 } as const;
const TENSOR = { dims: 1, type: 2, floats: 4, name: 8, raw: 9, external: 13, location: 14 } as const;
export const ELEMENT = { float: 1, uint8: 2, int8: 3, int64: 7 } as const;
/** From this version on initializers need not be inputs, and one that is an input too can be overridden by a caller. */
const IR_FREE_INITIALIZERS = 4;

/** A constant tensor of the file. */
export interface Constant {
  readonly name: string;
  readonly shape: readonly number[];
  /** As `ELEMENT`, or another of ONNX. */
  readonly elementType: number;
  readonly message: Message;
}

export interface OnnxNode {
  readonly op: string;
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Message>;
  readonly field: Field;
}

/** What may be written as an attribute: a whole number, or a list of them. */
type AttributeValue = number | readonly number[];

/** An ONNX file as far as a rewrite must understand it. */
export interface OnnxModel {
  readonly message: Message;
  readonly graph: Message;
  /** Of ONNX's own operators; 0 where the file uses none. */
  readonly opset: number;
  readonly nodes: readonly OnnxNode[];
  /** Initializers that no caller can override and the values of Constant nodes, by name. */
  readonly constants: ReadonlyMap<string, Constant>;
  readonly inputs: readonly string[];
  /** The names of what the graph answers with. */
  readonly outputs: readonly string[];
  /** What the graphs inside its nodes (branches, loops) use of it. */
  readonly usedInside: ReadonlySet<string>;
}

/**
 * Reads an ONNX file.
 *
 * @throws AiosError `models.not_onnx` for bytes that are none
 */
export function readModel(bytes: Uint8Array): OnnxModel {
  const message = readMessage(bytes);
  const graphField = last(message, MODEL.graph);
  if (graphField?.wire !== 2)
    throw new AiosError('models.not_onnx', { detail: 'The file has no ONNX graph.' });
  const graph = readMessage(graphField.bytes);
  const opsets = all(message, MODEL.opset).map(({ bytes: of }) => readMessage(of));
  const own = opsets.find((each) => ['', 'ai.onnx'].includes(textOf(last(each, 1))));
  const nodes = all(graph, GRAPH.node).map(nodeOf);
  const inputs = all(graph, GRAPH.input).map(nameOfValue);
  const isOverridable = numberOf(last(message, MODEL.irVersion)) >= IR_FREE_INITIALIZERS;
  const initializers = all(graph, GRAPH.initializer).map(({ bytes: of }) => constantOf(readMessage(of)));
  const constants = new Map<string, Constant>();
  for (const each of initializers)
    if (!(isOverridable && inputs.includes(each.name))) constants.set(each.name, each);
  for (const { op, domain, attributes, outputs } of nodes) {
    const value = op === 'Constant' && domain === '' ? attributes.get('value') : undefined;
    const tensor = value && last(value, ATTRIBUTE.tensor);
    if (tensor) constants.set(outputs[0]!, { ...constantOf(readMessage(tensor.bytes)), name: outputs[0]! });
  }
  const names = new Set(initializers.map(({ name }) => name));
  return {
    message,
    graph,
    opset: own ? numberOf(last(own, 2)) : 0,
    nodes,
    constants,
    inputs: inputs.filter((name) => !names.has(name)),
    outputs: all(graph, GRAPH.output).map(nameOfValue),
    usedInside: new Set(nodes.flatMap(usedByGraphsOf)),
  };
}

function nodeOf(of: Field): OnnxNode {
  const message = readMessage(of.bytes);
  const attributes = all(message, NODE.attribute).map(({ bytes }) => readMessage(bytes));
  const domain = textOf(last(message, NODE.domain));
  return {
    op: textOf(last(message, NODE.op)),
    domain: domain === 'ai.onnx' ? '' : domain,
    name: textOf(last(message, NODE.name)),
    inputs: all(message, NODE.input).map(textOf),
    outputs: all(message, NODE.output).map(textOf),
    attributes: new Map(attributes.map((each) => [textOf(last(each, ATTRIBUTE.name)), each])),
    field: of,
  };
}

function nameOfValue({ bytes }: Field): string {
  return textOf(last(readMessage(bytes), 1));
}

function constantOf(message: Message): Constant {
  return {
    name: textOf(last(message, TENSOR.name)),
    shape: numbersOf(all(message, TENSOR.dims)),
    elementType: numberOf(last(message, TENSOR.type)),
    message,
  };
}

/** Every name that a graph inside a node reads: some are its own, which does no harm. */
function usedByGraphsOf({ attributes }: OnnxNode): string[] {
  return [...attributes.values()].flatMap((attribute) =>
    [...all(attribute, ATTRIBUTE.graph), ...all(attribute, ATTRIBUTE.graphs)].flatMap(({ bytes }) => {
      const graph = readMessage(bytes);
      const nodes = all(graph, GRAPH.node).map(nodeOf);
      const answers = all(graph, GRAPH.output).map(nameOfValue);
      return [...answers, ...nodes.flatMap((node) => [...node.inputs, ...usedByGraphsOf(node)])];
    }),
  );
}

/** True for a tensor whose elements lie in another file. */
export function isExternal({ message }: Constant): boolean {
  return numberOf(last(message, TENSOR.location)) === 1 || all(message, TENSOR.external).length > 0;
}

/**
 * The elements of a FP32 tensor.
 *
 * @throws AiosError `models.not_onnx` when they are not as many as its shape says
 */
export function floatsOf({ name, shape, message }: Constant): Float32Array {
  const count = shape.reduce((product, size) => product * size, 1);
  const raw = last(message, TENSOR.raw);
  const parts = raw ? [raw] : all(message, TENSOR.floats); // packed, or one by one: the bytes are the same
  const bytes = new Uint8Array(4 * count);
  let at = 0;
  for (const { bytes: part } of parts) {
    if (at + part.length > bytes.length) at = Number.NaN;
    else bytes.set(part, at);
    at += part.length;
  }
  if (at !== bytes.length)
    throw new AiosError('models.not_onnx', {
      detail: `The tensor “${name}” of shape [${shape.join(', ')}] does not hold ${count} numbers.`,
    });
  return new Float32Array(bytes.buffer);
}

export function intAttribute({ attributes }: OnnxNode, name: string, fallback: number): number {
  const found = attributes.get(name);
  return found ? numberOf(last(found, ATTRIBUTE.int)) : fallback; // zero may be left out on the wire
}

export function floatAttribute({ attributes }: OnnxNode, name: string, fallback: number): number {
  const found = attributes.get(name);
  return found ? floatOf(last(found, ATTRIBUTE.float), 0) : fallback;
}

/** A node as it is written. Attributes of another node may be taken over as they are. */
export function nodeField(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  taken: Iterable<Message> = [],
): Field {
  return field(GRAPH.node, [
    ...inputs.map((name) => field(NODE.input, name)),
    ...outputs.map((name) => field(NODE.output, name)),
    field(NODE.name, `${outputs[0]}_${op}`),
    field(NODE.op, op),
    ...[...taken].map((attribute) => field(NODE.attribute, attribute)),
    ...Object.entries(attributes).map(([name, value]) => field(NODE.attribute, attributeOf(name, value))),
  ]);
}

function attributeOf(name: string, value: AttributeValue): Field[] {
  const named = field(ATTRIBUTE.name, name);
  if (typeof value === 'number')
    return [named, field(ATTRIBUTE.int, value), field(ATTRIBUTE.type, ATTRIBUTE_TYPE.int)];
  return [
    named,
    ...value.map((each) => field(ATTRIBUTE.ints, each)),
    field(ATTRIBUTE.type, ATTRIBUTE_TYPE.ints),
  ];
}

/** An initializer as it is written. */
export function initializerField(
  name: string,
  shape: readonly number[],
  elementType: number,
  data: Float32Array | Int8Array | Uint8Array | BigInt64Array,
): Field {
  return field(GRAPH.initializer, [
    ...shape.map((size) => field(TENSOR.dims, size)),
    field(TENSOR.type, elementType),
    field(TENSOR.name, name),
    field(TENSOR.raw, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  ]);
}

/** What a rewrite changes of a graph. */
export interface GraphChanges {
  /** In the place of a node; none to leave it out. */
  readonly replaced: ReadonlyMap<OnnxNode, readonly Field[]>;
  readonly added: readonly Field[];
  /** Constants that nothing uses any more: initializers are left out, and what is said about them. */
  readonly removed: ReadonlySet<string>;
}

/** The file with the changes; fields keep their order and all that is not changed its bytes. */
export function writeModel(model: OnnxModel, { replaced, added, removed }: GraphChanges): Uint8Array {
  const byField = new Map([...replaced].map(([node, by]) => [node.field, by]));
  const isInitializerInput = new Set(
    all(model.graph, GRAPH.initializer).map(({ bytes }) => textOf(last(readMessage(bytes), TENSOR.name))),
  );
  const isOld = numberOf(last(model.message, MODEL.irVersion)) < IR_FREE_INITIALIZERS;
  const graph = model.graph.flatMap((each): readonly Field[] => {
    if (each.number === GRAPH.node) return byField.get(each) ?? [each];
    if (each.number === GRAPH.initializer)
      return removed.has(textOf(last(readMessage(each.bytes), TENSOR.name))) ? [] : [each];
    if (each.number === GRAPH.valueInfo && removed.has(nameOfValue(each))) return [];
    // New initializers are no inputs: a file of the time when all had to be becomes one of the first version where none has to.
    if (each.number === GRAPH.input && isOld && isInitializerInput.has(nameOfValue(each))) return [];
    return [each];
  });
  const message = model.message.map((each) => {
    if (each.number === MODEL.graph) return field(MODEL.graph, [...graph, ...added]);
    return each.number === MODEL.irVersion && isOld ? field(MODEL.irVersion, IR_FREE_INITIALIZERS) : each;
  });
  return writeMessage(message);
}
