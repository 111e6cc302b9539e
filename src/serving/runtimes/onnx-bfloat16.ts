/*
 * ONNX Runtime runs bfloat16, while its binding for Node carries no such input or output. A model that has some is given FP32 ones in their
 * place, with a Cast behind each input and before each output: exact, since a bfloat16 is the upper half of an FP32. Field numbers are those
 * of onnx/onnx.proto (ModelProto, GraphProto, NodeProto, AttributeProto, ValueInfoProto, TypeProto, TensorProto).
 */
const BFLOAT16 = 16;
const FLOAT = 1;
const LENGTH_DELIMITED = 2;
/** Marks the names of tensors that are bfloat16 behind their cast. */
const SUFFIX = '/bfloat16-as-float';

const MODEL_GRAPH = 7;
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12 } as const;
const TENSOR_NAME = 8;

/** The model's own name of a tensor that was given a cast, or nothing for any other. */
export function bfloat16Name(name: string): string | undefined {
  return name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : undefined;
}

/**
 * The model with FP32 in place of its bfloat16 inputs and outputs; the names of these are told by `bfloat16Name`.
 *
 * @throws Error when the bytes are no protobuf message
 */
export function castBfloat16(model: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const field of fieldsOf(model))
    parts.push(field.number === MODEL_GRAPH ? encode(MODEL_GRAPH, castGraph(field.value)) : field.whole);
  return Buffer.concat(parts);
}

function castGraph(graph: Uint8Array): Uint8Array {
  const fields = [...fieldsOf(graph)];
  const initialized = new Set(
    fields
      .filter(({ number }) => number === GRAPH.initializer)
      .map(({ value }) => textOf(value, TENSOR_NAME)),
  );
  const before: Uint8Array[] = [];
  const after: Uint8Array[] = [];
  const kept = fields.map(({ number, value, whole }) => {
    if (number !== GRAPH.input && number !== GRAPH.output) return whole;
    const name = textOf(value, 1);
    const asFloat = floatInstead(value, name + SUFFIX);
    if (!asFloat || initialized.has(name)) return whole;
    if (number === GRAPH.input) before.push(encode(GRAPH.node, castNode(name + SUFFIX, name, BFLOAT16)));
    else after.push(encode(GRAPH.node, castNode(name, name + SUFFIX, FLOAT)));
    return encode(number, asFloat);
  });
  // Nodes stand in the order in which they run.
  return Buffer.concat([...before, ...kept, ...after]);
}

/** The description of a tensor under another name as FP32; nothing when it is no bfloat16 tensor. */
function floatInstead(valueInfo: Uint8Array, name: string): Uint8Array | undefined {
  const type = fieldOf(valueInfo, 2);
  const tensor = type && fieldOf(type, 1);
  if (!tensor) return undefined;
  const [element, ...others] = [...fieldsOf(tensor)];
  if (element?.number !== 1 || element.varint !== BFLOAT16) return undefined;
  const float = Buffer.concat([encodeVarint(1, FLOAT), ...others.map(({ whole }) => whole)]);
  return Buffer.concat([encode(1, Buffer.from(name)), encode(2, encode(1, float))]);
}

function castNode(input: string, output: string, to: number): Uint8Array {
  const attribute = Buffer.concat([encode(1, Buffer.from('to')), encodeVarint(3, to), encodeVarint(20, 2)]);
  return Buffer.concat([
    encode(1, Buffer.from(input)),
    encode(2, Buffer.from(output)),
    encode(4, Buffer.from('Cast')),
    encode(5, attribute),
  ]);
}

interface Field {
  readonly number: number;
  /** Of a field of bytes; empty for others. */
  readonly value: Uint8Array;
  /** Of a number; 0 for others. */
  readonly varint: number;
  /** With its tag. */
  readonly whole: Uint8Array;
}

/** The fields of a message (protobuf.dev/programming-guides/encoding), as views. */
function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new Error('the model ends within a field');
  };
  while (at < bytes.length) {
    const start = at;
    const tag = varint();
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    const given = wire === 0 || wire === LENGTH_DELIMITED ? varint() : 0;
    const from = at;
    if (wire === LENGTH_DELIMITED) at += given;
    else if (wire !== 0) at += wire === 1 ? 8 : 4;
    if (at > bytes.length) throw new Error('the model ends within a field');
    const value = bytes.subarray(from, wire === LENGTH_DELIMITED ? at : from);
    yield { number, value, varint: wire === 0 ? given : 0, whole: bytes.subarray(start, at) };
  }
}

function fieldOf(message: Uint8Array, number: number): Uint8Array | undefined {
  for (const field of fieldsOf(message)) if (field.number === number) return field.value;
  return undefined;
}

function textOf(message: Uint8Array, number: number): string {
  return Buffer.from(fieldOf(message, number) ?? []).toString();
}

function encode(number: number, value: Uint8Array): Uint8Array {
  return Buffer.concat([varintOf(number * 8 + LENGTH_DELIMITED), varintOf(value.length), value]);
}

function encodeVarint(number: number, value: number): Uint8Array {
  return Buffer.concat([varintOf(number * 8), varintOf(value)]);
}

function varintOf(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Uint8Array.from([...bytes, rest]);
}
