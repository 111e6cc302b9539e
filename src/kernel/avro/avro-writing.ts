import { isObject, type Json } from '../json.ts';
import { AvroFault } from './avro-bytes.ts';
import { INT_MAX, INT_MIN, isNoNumber } from './avro-default.ts';
import { logicalFromJson } from './avro-logical.ts';
import { type AvroFixed, type AvroPrimitive, type AvroRecord, type AvroType, nameOf } from './avro-type.ts';

/**
 * A value in Avro's binary encoding. It is JSON as `avroReader` makes it. Of a union it is written as the branch that it fits with the fewest members left out, of equal ones the
 * first. A field that the value lacks is written as its default. Members that a record does not name are left out.
 *
 * @throws AvroFault with the place of what does not fit
 * @example avroBytes(parseAvro(['null', 'long']), 1) // <Buffer 02 02>
 */
export function avroBytes(type: AvroType, value: Json): Buffer {
  const parts: Buffer[] = [];
  write(type, value, parts, '');
  return Buffer.concat(parts);
}

function write(type: AvroType, value: Json, to: Buffer[], path: string): void {
  switch (type.kind) {
    case 'union':
      writeUnion(type.branches, value, to, path);
      return;
    case 'record':
      writeRecord(type, value, to, path);
      return;
    case 'array': {
      if (!Array.isArray(value)) throw unfit(type, value, path);
      if (value.length > 0) to.push(longBytes(BigInt(value.length)));
      for (const [index, item] of value.entries()) write(type.items, item, to, `${path}/${index}`);
      to.push(END);
      return;
    }
    case 'map': {
      if (!isObject(value)) throw unfit(type, value, path);
      const members = Object.entries(value);
      if (members.length > 0) to.push(longBytes(BigInt(members.length)));
      for (const [name, member] of members) {
        to.push(withLength(Buffer.from(name)));
        write(type.values, member, to, `${path}/${name}`);
      }
      to.push(END);
      return;
    }
    case 'enum': {
      const index = typeof value === 'string' ? type.symbols.indexOf(value) : -1;
      if (index < 0) throw unfit(type, value, path);
      to.push(longBytes(BigInt(index)));
      return;
    }
    case 'fixed':
      to.push(fixedBytes(type, value) ?? fail(type, value, path));
      return;
    default:
      to.push(primitiveBytes(type, value) ?? fail(type, value, path));
  }
}

function writeUnion(branches: readonly AvroType[], value: Json, to: Buffer[], path: string): void {
  let deepest: AvroFault | undefined;
  for (const { branch, index } of inOrder(branches, value)) {
    const before = to.length;
    try {
      to.push(longBytes(BigInt(index)));
      write(branch, value, to, path);
      return;
    } catch (error) {
      if (!(error instanceof AvroFault)) throw error;
      to.length = before;
      if (!deepest || error.path.length > deepest.path.length) deepest = error;
    }
  }
  if (deepest && deepest.path.length > path.length) throw deepest;
  const names = branches.map(nameOf).join(', ');
  throw new AvroFault(`${preview(value)} is none of ${names}`, path);
}

/** Records whose fields have defaults fit nearly every object, and would lose what another branch holds. */
function inOrder(branches: readonly AvroType[], value: Json) {
  const order = branches.map((branch, index) => ({ branch, index, lost: 0 }));
  const holders = order.filter(({ branch: { kind } }) => kind === 'record' || kind === 'map');
  if (!isObject(value) || holders.length < 2) return order;
  const names = Object.keys(value);
  for (const holder of holders) {
    if (holder.branch.kind !== 'record') continue;
    const fields = new Set(holder.branch.fields.map(({ name }) => name));
    holder.lost = names.filter((name) => !fields.has(name)).length;
  }
  return order.sort((a, b) => a.lost - b.lost);
}

function writeRecord(type: AvroRecord, value: Json, to: Buffer[], path: string): void {
  if (!isObject(value)) throw unfit(type, value, path);
  for (const field of type.fields) {
    const own = Object.hasOwn(value, field.name) ? value[field.name] : field.default?.json;
    const at = `${path}/${field.name}`;
    if (own !== undefined) write(field.type, own, to, at);
    // A union with null takes what is not there for null.
    else if (field.type.kind === 'union' && field.type.branches.some(({ kind }) => kind === 'null'))
      write(field.type, null, to, at);
    else throw new AvroFault('is required, and has no default', at);
  }
}

function primitiveBytes(type: AvroPrimitive, value: Json): Buffer | undefined {
  const { kind, logical } = type;
  if (logical) {
    const raw = logicalFromJson(logical, value);
    if (raw === undefined) return undefined;
    if (typeof raw !== 'bigint') return withLength(raw);
    return isWithin(kind, raw) ? longBytes(raw) : undefined;
  }
  switch (kind) {
    case 'null':
      return value === null ? Buffer.alloc(0) : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? Buffer.from([value ? 1 : 0]) : undefined;
    case 'int':
    case 'long':
      return wholeBytes(kind, value);
    case 'float':
    case 'double':
      return floatBytes(kind, value);
    case 'string':
      return typeof value === 'string' ? withLength(Buffer.from(value)) : undefined;
    case 'bytes': {
      const bytes = base64Bytes(value);
      return bytes && withLength(bytes);
    }
  }
}

function wholeBytes(kind: 'int' | 'long', value: Json): Buffer | undefined {
  const isText = kind === 'long' && typeof value === 'string' && /^-?[0-9]{1,19}$/.test(value);
  if (!isText && !Number.isSafeInteger(value)) return undefined;
  const whole = BigInt(value as number | string);
  return isWithin(kind, whole) ? longBytes(whole) : undefined;
}

function isWithin(kind: string, value: bigint): boolean {
  return kind === 'int' ? value >= INT_MIN && value <= INT_MAX : BigInt.asIntN(64, value) === value;
}

function floatBytes(kind: 'float' | 'double', value: Json): Buffer | undefined {
  if (typeof value !== 'number' && !isNoNumber(value)) return undefined;
  // What is too large for 4 bytes would be infinite for who reads it.
  if (kind === 'float' && typeof value === 'number' && !Number.isFinite(Math.fround(value))) return undefined;
  const bytes = Buffer.alloc(kind === 'float' ? 4 : 8);
  if (kind === 'float') bytes.writeFloatLE(Number(value));
  else bytes.writeDoubleLE(Number(value));
  return bytes;
}

function fixedBytes({ size, logical }: AvroFixed, value: Json): Buffer | undefined {
  const bytes = logical ? logicalFromJson(logical, value, size) : base64Bytes(value);
  return Buffer.isBuffer(bytes) && bytes.length === size ? bytes : undefined;
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function base64Bytes(value: Json): Buffer | undefined {
  return typeof value === 'string' && BASE64.test(value) ? Buffer.from(value, 'base64') : undefined;
}

/** Of the blocks of an array or a map. */
const END = Buffer.from([0]);

function longBytes(value: bigint): Buffer {
  let left = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  for (; left >= 0x80n; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(left)]);
}

function withLength(bytes: Buffer): Buffer {
  return Buffer.concat([longBytes(BigInt(bytes.length)), bytes]);
}

function unfit(type: AvroType, value: Json, path: string): AvroFault {
  const logical = 'logical' in type ? type.logical?.name : undefined;
  return new AvroFault(`${preview(value)} is not a valid ${logical ?? nameOf(type)}`, path);
}

function fail(type: AvroType, value: Json, path: string): never {
  throw unfit(type, value, path);
}

function preview(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
