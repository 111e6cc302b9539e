import { isObject, type Json } from '../json.ts';
import { logicalToJson } from './avro-logical.ts';
import type { AvroType, Logical } from './avro-type.ts';

/** Defaults in defaults: deeper ones refer to themselves. */
const DEPTH_MAX = 64;

/**
 * The default of a field, which stands in the schema in Avro's JSON encoding (bytes as the characters U+0000 to U+00FF, no branch of a union named), as JSON of AIOS.
 *
 * @returns nothing where it is not a value of the type
 * @example defaultValue({ kind: 'bytes' }, 'ÿ') // '/w=='
 */
export function defaultValue(type: AvroType, json: Json, depth = 0): Json | undefined {
  if (depth > DEPTH_MAX) return undefined;
  switch (type.kind) {
    case 'null':
      return json === null ? null : undefined;
    case 'boolean':
      return typeof json === 'boolean' ? json : undefined;
    case 'int':
    case 'long':
      return wholeNumber(type, json);
    case 'float':
    case 'double':
      return typeof json === 'number' || isNoNumber(json) ? json : undefined;
    case 'bytes':
      return bytesValue(type.logical, json);
    case 'fixed':
      return typeof json === 'string' && json.length === type.size
        ? bytesValue(type.logical, json)
        : undefined;
    case 'string':
      return typeof json === 'string' ? json : undefined;
    case 'enum':
      return typeof json === 'string' && type.symbols.includes(json) ? json : undefined;
    case 'array':
      return Array.isArray(json) ? listValue(type.items, json, depth) : undefined;
    case 'union':
      return type.branches
        .map((branch) => defaultValue(branch, json, depth + 1))
        .find((found) => found !== undefined);
    default:
      return isObject(json) ? membersValue(type, json, depth) : undefined;
  }
}

/** What JSON has no number for, as texts (Avro 1.12, "JSON Encoding"). */
export const NO_NUMBERS = ['NaN', 'Infinity', '-Infinity'];

export function isNoNumber(json: Json): json is string {
  return typeof json === 'string' && NO_NUMBERS.includes(json);
}

export const [INT_MIN, INT_MAX] = [-(2 ** 31), 2 ** 31 - 1];

function wholeNumber({ kind, logical }: { kind: string; logical?: Logical | undefined }, json: Json) {
  if (typeof json !== 'number' || !Number.isSafeInteger(json)) return undefined;
  if (kind === 'int' && (json < INT_MIN || json > INT_MAX)) return undefined;
  return logical ? logicalToJson(logical, json) : json;
}

function bytesValue(logical: Logical | undefined, json: Json): string | undefined {
  if (typeof json !== 'string' || !/^[\0-\xff]*$/.test(json)) return undefined;
  const bytes = Buffer.from(json, 'latin1');
  return logical ? logicalToJson(logical, bytes) : bytes.toString('base64');
}

function listValue(type: AvroType, items: readonly Json[], depth: number): Json[] | undefined {
  const values = items.map((item) => defaultValue(type, item, depth + 1));
  return values.includes(undefined) ? undefined : (values as Json[]);
}

function membersValue(
  type: Extract<AvroType, { kind: 'map' | 'record' }>,
  json: { [name: string]: Json },
  depth: number,
): Json | undefined {
  const entries =
    type.kind === 'map'
      ? Object.entries(json).map(
          ([name, item]) => [name, defaultValue(type.values, item, depth + 1)] as const,
        )
      : type.fields.map((field) => {
          const own = Object.hasOwn(json, field.name) ? json[field.name]! : undefined;
          const value = own === undefined ? field.default?.json : defaultValue(field.type, own, depth + 1);
          return [field.name, value] as const;
        });
  return entries.some(([, value]) => value === undefined)
    ? undefined
    : (Object.fromEntries(entries) as { [name: string]: Json });
}
