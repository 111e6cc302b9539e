/**
 * Arrays as Postgres takes them in binary (src/backend/utils/adt/arrayfuncs.c, `array_recv`): the text form has to be escaped here and read
 * back there character by character, which was 24 µs of Node and 15 µs of Postgres for a decision.
 */
type Cell = unknown;

interface ElementType {
  oid: number;
  /** Bytes of a value; `write` writes as many. */
  size(value: Cell): number;
  write(buffer: Buffer, value: Cell, at: number): void;
}

// Microseconds since 2000-01-01 is what Postgres counts in.
const POSTGRES_EPOCH_MS = 946_684_800_000;
const TWO_32 = 2 ** 32;

function writeInt64(buffer: Buffer, value: number, at: number): void {
  buffer.writeInt32BE(Math.floor(value / TWO_32), at);
  buffer.writeUInt32BE(((value % TWO_32) + TWO_32) % TWO_32, at + 4);
}

function textType(oid: number, textOf: (value: Cell) => string): ElementType {
  return {
    oid,
    size: (value) => Buffer.byteLength(textOf(value)),
    write: (buffer, value, at) => void buffer.write(textOf(value), at),
  };
}

function fixedType(oid: number, bytes: number, write: ElementType['write']): ElementType {
  return { oid, size: () => bytes, write };
}

const asText = (value: Cell) => (typeof value === 'string' ? value : String(value));
const asJson = (value: Cell) => (typeof value === 'string' ? value : JSON.stringify(value));

/** By the name that statements use; others go as text. */
const TYPES: Readonly<Record<string, ElementType>> = {
  text: textType(25, asText),
  json: textType(114, asJson),
  smallint: fixedType(21, 2, (buffer, value, at) => buffer.writeInt16BE(Number(value), at)),
  int: fixedType(23, 4, (buffer, value, at) => buffer.writeInt32BE(Number(value), at)),
  bigint: fixedType(20, 8, (buffer, value, at) => {
    if (typeof value === 'number' && Number.isSafeInteger(value)) writeInt64(buffer, value, at);
    else buffer.writeBigInt64BE(BigInt(value as string | bigint), at);
  }),
  real: fixedType(700, 4, (buffer, value, at) => buffer.writeFloatBE(Number(value), at)),
  float8: fixedType(701, 8, (buffer, value, at) => buffer.writeDoubleBE(Number(value), at)),
  timestamptz: fixedType(1184, 8, (buffer, value, at) => {
    const ms = typeof value === 'number' ? value : Date.parse(value as string);
    writeInt64(buffer, (ms - POSTGRES_EPOCH_MS) * 1_000, at);
  }),
  uuid: fixedType(
    2950,
    16,
    (buffer, value, at) => void buffer.write((value as string).replaceAll('-', ''), at, 'hex'),
  ),
  bytea: {
    oid: 17,
    size: (value) => (value as Uint8Array).byteLength,
    write: (buffer, value, at) => buffer.set(value as Uint8Array, at),
  },
};

/** Which parameters of a statement are arrays, and of what: read from its casts, `$3::json[]`, once per text. */
export type ArrayParameters = readonly (ElementType | undefined)[];

export function arrayParametersOf(statement: string): ArrayParameters {
  const parameters: (ElementType | undefined)[] = [];
  for (const [, number, type] of statement.matchAll(/\$(\d+)::([a-z0-9]+)\[\]/g))
    parameters[Number(number) - 1] ??= TYPES[type!];
  return parameters;
}

/** The values as they are sent; what is not an array of a known type stays as it is. */
export function encodeArrays(parameters: ArrayParameters, values: readonly unknown[]): unknown[] {
  return values.map((value, index) => {
    const type = parameters[index];
    return type && Array.isArray(value) ? encode(type, value) : value;
  });
}

const HEAD_BYTES = 12;
const DIMENSION_BYTES = 8;

function encode(type: ElementType, list: readonly Cell[]): Buffer {
  const dimensions = list.length === 0 ? 0 : 1;
  let bytes = HEAD_BYTES + dimensions * DIMENSION_BYTES;
  let nulls = 0;
  const sizes: number[] = new Array(list.length);
  for (let i = 0; i < list.length; i++) {
    const value = list[i];
    const size = value === null || value === undefined ? -1 : type.size(value);
    sizes[i] = size;
    bytes += 4;
    if (size < 0) nulls = 1;
    else bytes += size;
  }
  const buffer = Buffer.allocUnsafe(bytes);
  buffer.writeInt32BE(dimensions, 0);
  buffer.writeInt32BE(nulls, 4);
  buffer.writeUInt32BE(type.oid, 8);
  if (dimensions === 0) return buffer;
  buffer.writeInt32BE(list.length, 12);
  buffer.writeInt32BE(1, 16);
  let at = HEAD_BYTES + DIMENSION_BYTES;
  for (let i = 0; i < list.length; i++) {
    const size = sizes[i]!;
    buffer.writeInt32BE(size, at);
    at += 4;
    if (size < 0) continue;
    type.write(buffer, list[i], at);
    at += size;
  }
  return buffer;
}
