import { AiosError } from '../../kernel/errors.ts';

/*
 * Protobuf's wire format, a level below messages: what is not touched is written again byte for byte, fields that no schema of ours knows
 * among them.
 */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const FIXED_BYTES: Readonly<Record<number, number>> = { [FIXED64]: 8, [FIXED32]: 4 };
const VARINT_BYTES_MAX = 10;

/** One field as it stands in a message. */
export interface Field {
  readonly number: number;
  readonly wire: number;
  /** Of a varint; signed, as an int64. */
  readonly value: bigint;
  /** Of the other kinds: what follows the key and the length; a view. */
  readonly bytes: Uint8Array;
}

export type Message = readonly Field[];

const NOTHING = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Splits a message into its fields.
 *
 * @throws AiosError `models.not_onnx` for bytes that are no protobuf message
 * @example readMessage(Uint8Array.of(0x08, 0x07)) // [{ number: 1, wire: 0, value: 7n, bytes: [] }]
 */
export function readMessage(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let low = 0; // the lower 28 bits are enough for nearly all, and need no bigint
    let value = 0n;
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      const byte = bytes[at++];
      if (byte === undefined) throw broken();
      if (i < 4) low += (byte & 127) * 128 ** i;
      else value |= BigInt(byte & 127) << BigInt(7 * i);
      if (byte < 128) return BigInt.asIntN(64, value + BigInt(low));
    }
    throw broken();
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const [number, wire] = [Math.floor(key / 8), key % 8];
    if (wire === VARINT) {
      fields.push({ number, wire, value: varint(), bytes: NOTHING });
      continue;
    }
    const length = wire === BYTES ? Number(varint()) : FIXED_BYTES[wire];
    if (number < 1 || length === undefined || length < 0 || at + length > bytes.length) throw broken();
    fields.push({ number, wire, value: 0n, bytes: bytes.subarray(at, at + length) });
    at += length;
  }
  return fields;
}

function broken(): AiosError {
  return new AiosError('models.not_onnx', { detail: 'The file is no protobuf message.' });
}

/** The bytes of a message; `readMessage` of them gives its fields again. */
export function writeMessage(fields: Message): Uint8Array {
  const heads = fields.map(({ number, wire, value, bytes }) => {
    const head = varintOf(BigInt(number * 8 + wire));
    if (wire === VARINT) head.push(...varintOf(BigInt.asUintN(64, value)));
    if (wire === BYTES) head.push(...varintOf(BigInt(bytes.length)));
    return head;
  });
  const length = fields.reduce((sum, { bytes }, i) => sum + heads[i]!.length + bytes.length, 0);
  const written = new Uint8Array(length);
  let at = 0;
  for (const [i, { bytes }] of fields.entries()) {
    written.set(heads[i]!, at);
    written.set(bytes, at + heads[i]!.length);
    at += heads[i]!.length + bytes.length;
  }
  return written;
}

function varintOf(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return [...bytes, Number(rest)];
}

/** A field of a whole number, a text, bytes or a message. */
export function field(number: number, content: number | bigint | string | Uint8Array | Message): Field {
  if (typeof content === 'number' || typeof content === 'bigint')
    return { number, wire: VARINT, value: BigInt(content), bytes: NOTHING };
  const bytes =
    typeof content === 'string'
      ? encoder.encode(content)
      : content instanceof Uint8Array
        ? content
        : writeMessage(content);
  return { number, wire: BYTES, value: 0n, bytes };
}

export function all(message: Message, number: number): Field[] {
  return message.filter((each) => each.number === number);
}

/** The last of its number counts, as protobuf says. */
export function last(message: Message, number: number): Field | undefined {
  return message.findLast((each) => each.number === number);
}

export function textOf(found: Field | undefined): string {
  return found ? decoder.decode(found.bytes) : '';
}

export function numberOf(found: Field | undefined, fallback = 0): number {
  return found ? Number(found.value) : fallback;
}

/** A single-precision number. */
export function floatOf(found: Field | undefined, fallback: number): number {
  if (found?.bytes.length !== 4) return fallback;
  return new DataView(found.bytes.buffer, found.bytes.byteOffset, 4).getFloat32(0, true);
}

/** Repeated whole numbers, packed or one by one. */
export function numbersOf(fields: readonly Field[]): number[] {
  return fields.flatMap(({ wire, value, bytes }) => {
    return wire === VARINT ? [Number(value)] : unpacked(bytes);
  });
}

function unpacked(bytes: Uint8Array): number[] {
  const values: number[] = [];
  let value = 0n;
  let shift = 0n;
  for (const byte of bytes) {
    value |= BigInt(byte & 127) << shift;
    shift += 7n;
    if (byte > 127) continue;
    values.push(Number(BigInt.asIntN(64, value)));
    [value, shift] = [0n, 0n];
  }
  return values;
}
