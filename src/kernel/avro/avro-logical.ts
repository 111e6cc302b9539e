import type { Json, JsonObject } from '../json.ts';
import type { Logical, Timestamp } from './avro-type.ts';

/*
 * Logical types as JSON: decimals as text with all digits of their scale, dates and times as RFC 3339 has them, a UUID of 16 bytes as text. A logical type that does not fit its
 * base type is left aside, as the specification asks.
 */

/** Which base types a logical type stands on; `fixed` by its bytes. */
const BASES: Record<Exclude<Logical['name'], 'decimal'>, string> = {
  uuid: 'fixed 16',
  date: 'int',
  'time-millis': 'int',
  'time-micros': 'long',
  'timestamp-millis': 'long',
  'timestamp-micros': 'long',
  'timestamp-nanos': 'long',
  'local-timestamp-millis': 'long',
  'local-timestamp-micros': 'long',
  'local-timestamp-nanos': 'long',
};

/** Digits of a second, by the unit that is counted. */
const DIGITS = { millis: 3, micros: 6, nanos: 9 };
const DAY_MS = 86_400_000;
const DAY_SECONDS = 86_400n;
/** Digits of a decimal. Databases have 38 to 131,072; text of millions of digits takes seconds to make, and its schema may come from anybody. */
export const DECIMAL_DIGITS_MAX = 1_000;
/** Bytes that so many digits take, and their sign. */
const DECIMAL_BYTES_MAX = Math.ceil((DECIMAL_DIGITS_MAX * Math.log2(10) + 1) / 8);
/** What a Date can hold: days from 1970 either way. */
const DAYS_MAX = 100_000_000;

/** @param size bytes of a fixed */
export function logicalOf(schema: JsonObject, base: string, size?: number): Logical | undefined {
  const { logicalType: name, precision, scale = 0 } = schema;
  if (name === 'decimal') {
    const isWhole = Number.isInteger(precision) && Number.isInteger(scale);
    const [digits, behind] = [precision as number, scale as number];
    if ((base !== 'bytes' && base !== 'fixed') || !isWhole || digits < 1 || behind < 0 || behind > digits)
      return undefined;
    return { name, precision: digits, scale: behind };
  }
  if (typeof name !== 'string' || !Object.hasOwn(BASES, name)) return undefined;
  const known = name as keyof typeof BASES;
  return BASES[known] === (size === undefined ? base : `${base} ${size}`) ? { name: known } : undefined;
}

/** What a number or bytes stand for, as text; nothing where a date is further away than there are dates. */
export function logicalToJson(logical: Logical, raw: number | bigint | Buffer): string | undefined {
  if (logical.name === 'decimal') return decimalText(raw as Buffer, logical.scale);
  if (logical.name === 'uuid') return uuidText(raw as Buffer);
  if (logical.name === 'date') return dateText(Number(raw));
  const digits = digitsOf(logical.name);
  const ticks = BigInt(raw as number | bigint);
  const perSecond = 10n ** BigInt(digits);
  if (logical.name === 'time-millis' || logical.name === 'time-micros')
    return ticks < 0n || ticks >= DAY_SECONDS * perSecond ? undefined : timeText(ticks, digits);
  const perDay = DAY_SECONDS * perSecond;
  const within = ((ticks % perDay) + perDay) % perDay;
  const date = dateText(Number((ticks - within) / perDay));
  if (date === undefined) return undefined;
  return `${date}T${timeText(within, digits)}${logical.name.startsWith('local-') ? '' : 'Z'}`;
}

/** The number or the bytes that a text stands for; nothing where it is none of that logical type. @param size bytes of a fixed */
export function logicalFromJson(logical: Logical, json: Json, size?: number): bigint | Buffer | undefined {
  if (typeof json !== 'string') return undefined;
  if (logical.name === 'decimal') return decimalBytes(json, logical, size);
  if (logical.name === 'uuid')
    return UUID.test(json) ? Buffer.from(json.replaceAll('-', ''), 'hex') : undefined;
  if (logical.name === 'date') return DATE.test(json) ? daysOf(json) : undefined;
  const digits = digitsOf(logical.name);
  if (logical.name.startsWith('time-')) return ticksOf(json, digits);
  const [, date, time, zone = ''] = MOMENT.exec(json) ?? [];
  if (date === undefined || time === undefined) return undefined;
  if ((zone === '') !== logical.name.startsWith('local-')) return undefined;
  const [days, ticks] = [daysOf(date), ticksOf(time, digits)];
  if (days === undefined || ticks === undefined) return undefined;
  const perSecond = 10n ** BigInt(digits);
  return (days * DAY_SECONDS - zoneSeconds(zone)) * perSecond + ticks;
}

/** JSON Schema of what `logicalToJson` makes. */
export function logicalSchema(logical: Logical): JsonObject {
  const { name } = logical;
  if (name === 'decimal') {
    const behind = logical.scale === 0 ? '' : `(\\.[0-9]{1,${logical.scale}})?`;
    return { type: 'string', pattern: `^-?[0-9]+${behind}$` };
  }
  if (name === 'uuid' || name === 'date') return { type: 'string', format: name };
  if (name.startsWith('time-')) return { type: 'string', pattern: `^${TIME}$` };
  if (name.startsWith('local-')) return { type: 'string', pattern: `^${DAY}T${TIME}$` };
  return { type: 'string', format: 'date-time' };
}

/** Whether two of them say the same with the same number or bytes; nothing is the base type itself. */
export function isSameLogical(a: Logical | undefined, b: Logical | undefined): boolean {
  if (a?.name === 'decimal' && b?.name === 'decimal') return a.scale === b.scale;
  return a?.name === b?.name;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const DAY = '[+-]?[0-9]{4,6}-[0-9]{2}-[0-9]{2}';
const TIME = '[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?';
const DATE = new RegExp(`^${DAY}$`);
const MOMENT = new RegExp(`^(${DAY})[Tt ](${TIME.replace('(', '(?:')})([Zz]|[+-][0-9]{2}:[0-9]{2})?$`);

function digitsOf(name: 'time-millis' | 'time-micros' | Timestamp): number {
  return DIGITS[name.slice(name.lastIndexOf('-') + 1) as keyof typeof DIGITS];
}

/** Two's complement, the highest byte first. */
function decimalText(padded: Buffer, scale: number): string | undefined {
  const bytes = withoutPadding(padded);
  if (bytes.length > DECIMAL_BYTES_MAX) return undefined;
  if (bytes.length === 0) return scale === 0 ? '0' : `0.${'0'.repeat(scale)}`;
  const unscaled = BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`));
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  const text =
    scale === 0 ? digits : `${digits.slice(0, digits.length - scale)}.${digits.slice(digits.length - scale)}`;
  return unscaled < 0n ? `-${text}` : text;
}

/** Two's complement in as few bytes as say the same: those before it repeat its sign. */
function withoutPadding(bytes: Buffer): Buffer {
  const sign = bytes[0]! >= 0x80 ? 0xff : 0;
  let at = 0;
  while (at < bytes.length - 1 && bytes[at] === sign && bytes[at + 1]! >= 0x80 === (sign === 0xff)) at++;
  return bytes.subarray(at);
}

function decimalBytes(
  text: string,
  { precision, scale }: { precision: number; scale: number },
  size?: number,
): Buffer | undefined {
  const [, sign, whole, behind = ''] = /^(-?)([0-9]+)(?:\.([0-9]+))?$/.exec(text) ?? [];
  if (whole === undefined || behind.length > scale || whole.length > precision + 1) return undefined;
  const magnitude = BigInt(whole + behind.padEnd(scale, '0'));
  if (magnitude >= 10n ** BigInt(precision)) return undefined;
  const value = sign === '-' ? -magnitude : magnitude;
  let length = size ?? 1;
  if (size === undefined) while (BigInt.asIntN(length * 8, value) !== value) length++;
  else if (BigInt.asIntN(size * 8, value) !== value) return undefined;
  return Buffer.from(
    BigInt.asUintN(length * 8, value)
      .toString(16)
      .padStart(length * 2, '0'),
    'hex',
  );
}

function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

function dateText(days: number): string | undefined {
  return Math.abs(days) > DAYS_MAX ? undefined : new Date(days * DAY_MS).toISOString().replace(/T.*$/, '');
}

function timeText(ticks: bigint, digits: number): string {
  const perSecond = 10n ** BigInt(digits);
  const seconds = Number(ticks / perSecond);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const behind = String(ticks % perSecond).padStart(digits, '0');
  return `${parts.map((part) => String(part).padStart(2, '0')).join(':')}.${behind}`;
}

/** Days from 1970; nothing for a date that there is not. */
function daysOf(text: string): bigint | undefined {
  const ms = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(text) ? undefined : BigInt(ms / DAY_MS);
}

/** Ticks since midnight; digits that the unit does not have must be zeros. */
function ticksOf(text: string, digits: number): bigint | undefined {
  const [, hours, minutes, seconds, behind = ''] =
    /^([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,9}))?$/.exec(text) ?? [];
  if (hours === undefined || !/^0*$/.test(behind.slice(digits))) return undefined;
  const whole = BigInt(Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds));
  return whole * 10n ** BigInt(digits) + BigInt(behind.slice(0, digits).padEnd(digits, '0'));
}

function zoneSeconds(zone: string): bigint {
  if (!/^[+-]/.test(zone)) return 0n;
  const seconds = BigInt(Number(zone.slice(1, 3)) * 3600 + Number(zone.slice(4)) * 60);
  return zone.startsWith('-') ? -seconds : seconds;
}
