import type { Json } from '../json.ts';
import { type AvroBytes, AvroFault } from './avro-bytes.ts';
import { logicalToJson } from './avro-logical.ts';
import type { AvroEnum, AvroFixed, AvroPrimitive, Logical } from './avro-type.ts';

/** Reads a value, and counts what it takes as JSON. */
export type Read = (from: AvroBytes) => Json;

/** What a number takes as JSON, roughly. */
const NUMBER_BYTES = 4;

/** Values of a primitive type that was written, as the logical type of the reader has them. */
export function primitiveRead(kind: AvroPrimitive['kind'], logical: Logical | undefined): Read {
  switch (kind) {
    case 'null':
      return spending(NUMBER_BYTES, () => null);
    case 'boolean':
      return spending(NUMBER_BYTES, (from) => from.boolean());
    case 'int':
      return logical
        ? logicalRead(logical, (from) => from.int())
        : spending(NUMBER_BYTES, (from) => from.int());
    case 'long':
      return logical ? logicalRead(logical, (from) => from.long()) : spending(NUMBER_BYTES, longJson);
    case 'float':
      return spending(NUMBER_BYTES, (from) => floatJson(from.float()));
    case 'double':
      return spending(NUMBER_BYTES, (from) => floatJson(from.double()));
    case 'string':
      return textRead;
    case 'bytes':
      return logical ? logicalRead(logical, (from) => from.bytes()) : (from) => base64(from, from.bytes());
  }
}

function textRead(from: AvroBytes): string {
  const text = from.string();
  from.spend(text.length + 2);
  return text;
}

/** A text or bytes, as the reader has the other one. */
export function promotedRead(to: AvroPrimitive): Read | undefined {
  if (to.kind === 'string') return textRead;
  if (to.kind === 'bytes' && !to.logical) return (from) => base64(from, from.bytes());
  return undefined;
}

export function fixedRead({ size, logical }: AvroFixed): Read {
  if (logical) return logicalRead(logical, (from) => from.fixed(size));
  return (from) => base64(from, from.fixed(size));
}

/** @param as what the reader takes each symbol for; nothing where it knows none */
export function enumRead(writer: AvroEnum, as: readonly (string | undefined)[]): Read {
  return (from) => {
    const index = from.int();
    const symbol = writer.symbols[index];
    if (symbol === undefined) throw new AvroFault(`${writer.name} has no symbol ${index}`);
    const read = as[index];
    if (read === undefined) throw new AvroFault(`the reader does not know the symbol ${symbol}`);
    from.spend(read.length + 2);
    return read;
  };
}

export function arrayRead(item: Read): Read {
  return (from) =>
    from.within(() => {
      const items: Json[] = [];
      for (let count = from.blockCount(); count > 0; count = from.blockCount())
        for (let left = count; left > 0; left--) items.push(placed(item, from, items.length));
      from.spend(2);
      return items;
    });
}

export function mapRead(value: Read): Read {
  return (from) =>
    from.within(() => {
      const members: [string, Json][] = [];
      for (let count = from.blockCount(); count > 0; count = from.blockCount())
        for (let left = count; left > 0; left--) {
          const name = textRead(from);
          members.push([name, placed(value, from, name)]);
        }
      from.spend(2);
      return Object.fromEntries(members); // a name may be `__proto__`
    });
}

/** A value of a part, whose fault is told with its place. */
export function placed(read: Read, from: AvroBytes, name: string | number): Json {
  try {
    return read(from);
  } catch (error) {
    if (error instanceof AvroFault) throw new AvroFault(error.message, `/${name}${error.path}`);
    throw error;
  }
}

function spending(bytes: number, read: Read): Read {
  return (from) => {
    from.spend(bytes);
    return read(from);
  };
}

function longJson(from: AvroBytes): Json {
  const value = from.long();
  return typeof value === 'bigint' ? String(value) : value;
}

function floatJson(value: number): Json {
  return Number.isFinite(value) ? value : String(value);
}

function base64(from: AvroBytes, bytes: Buffer): string {
  from.spend(Math.ceil(bytes.length / 3) * 4 + 2);
  return bytes.toString('base64');
}

function logicalRead(logical: Logical, raw: (from: AvroBytes) => number | bigint | Buffer): Read {
  return (from) => {
    const value = raw(from);
    const text = logicalToJson(logical, value);
    if (text === undefined) {
      const found = Buffer.isBuffer(value) ? `a number of ${value.length} bytes` : String(value);
      throw new AvroFault(`${found} is not a valid ${logical.name}`);
    }
    from.spend(text.length + 2);
    return text;
  };
}
