import { canonicalize } from '../kernel/canonical.ts';
import type { Issue } from '../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';

/** Confluent's names (docs.confluent.io, "Schema Evolution and Compatibility"). */
export const MODES = [
  'BACKWARD',
  'BACKWARD_TRANSITIVE',
  'FORWARD',
  'FORWARD_TRANSITIVE',
  'FULL',
  'FULL_TRANSITIVE',
  'NONE',
] as const;
export type CompatibilityMode = (typeof MODES)[number];

/**
 * Where `next` breaks the promise towards `previous`: BACKWARD, that it reads what fitted the previous one; FORWARD, the other way round;
 * FULL both. None when it keeps it. Keywords that are not compared (`pattern`, `format`, combinators, `$defs`) count as a break when they
 * differ: a promise that cannot be checked is not kept. A new optional property is none, although an open object may have held another
 * value under its name: authors add fields, and data with undeclared ones is not what a contract describes.
 */
export function compatibilityIssues(
  mode: CompatibilityMode,
  previous: JsonObject,
  next: JsonObject,
): Issue[] {
  const backward = mode.startsWith('BACKWARD') || mode.startsWith('FULL');
  const forward = mode.startsWith('FORWARD') || mode.startsWith('FULL');
  return [
    ...(backward ? narrowings(previous, next, '', 'data of the previous version') : []),
    ...(forward
      ? narrowings(next, previous, '', 'data of the new version, read with the previous one,')
      : []),
  ];
}

/** Keywords that refuse nothing (JSON Schema 2020-12, "Validation", section 9), and where other schemas are kept for reference. */
const ANNOTATIONS = new Set([
  '$schema',
  '$id',
  '$anchor',
  '$comment',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  'contentEncoding',
  'contentMediaType',
]);
const LOWER_BOUNDS = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'];
const UPPER_BOUNDS = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'];
const OPEN_WHEN_TRUE = new Set([
  'items',
  'additionalProperties',
  'unevaluatedProperties',
  'unevaluatedItems',
  'propertyNames',
]);
const COMPARED = new Set([...LOWER_BOUNDS, ...UPPER_BOUNDS, 'type', 'enum', 'properties', 'required']);

/** Where `reader` refuses something that `writer` allows. */
function narrowings(writer: JsonObject, reader: JsonObject, path: string, whose: string): Issue[] {
  const issues: Issue[] = [];
  const say = (message: string, keyword = '') =>
    issues.push({
      path: keyword ? `${path}/${keyword}` : path,
      message: `${whose} would be refused: ${message}`,
    });
  const readerTypes = typesOf(reader);
  const refused = (typesOf(writer) ?? ['anything']).filter(
    (type) =>
      readerTypes && !readerTypes.includes(type) && !(type === 'integer' && readerTypes.includes('number')),
  );
  if (refused.length > 0) say(`${refused.join(', ')} is no longer allowed`, 'type');
  if (Array.isArray(reader.enum)) {
    const kept = reader.enum.map((value) => JSON.stringify(value));
    const gone = Array.isArray(writer.enum)
      ? writer.enum.filter((value) => !kept.includes(JSON.stringify(value)))
      : undefined;
    if (!gone) say('only listed values are allowed', 'enum');
    else if (gone.length > 0)
      say(`${gone.map((value) => JSON.stringify(value)).join(', ')} is no longer listed`, 'enum');
  }
  for (const bound of LOWER_BOUNDS)
    if (numberOf(reader, bound, Number.NEGATIVE_INFINITY) > numberOf(writer, bound, Number.NEGATIVE_INFINITY))
      say(`${bound} is higher`, bound);
  for (const bound of UPPER_BOUNDS)
    if (numberOf(reader, bound, Number.POSITIVE_INFINITY) < numberOf(writer, bound, Number.POSITIVE_INFINITY))
      say(`${bound} is lower`, bound);
  for (const [keyword, value] of Object.entries(reader)) {
    if (!keptAsItWas(keyword, value, writer[keyword])) say(`${keyword} differs`, keyword);
  }
  issues.push(...propertyNarrowings(writer, reader, path, whose));
  if (isObject(reader.items))
    issues.push(
      ...narrowings(isObject(writer.items) ? writer.items : {}, reader.items, `${path}/items`, whose),
    );
  return issues;
}

function propertyNarrowings(writer: JsonObject, reader: JsonObject, path: string, whose: string): Issue[] {
  const issues: Issue[] = [];
  const written = propertiesOf(writer);
  const read = propertiesOf(reader);
  const promised = requiredOf(writer);
  for (const name of requiredOf(reader)) {
    if (!promised.includes(name))
      issues.push({
        path: `${path}/required`,
        message: `${whose} would be refused: ${name} is required`,
        found: name,
      });
  }
  for (const [name, schema] of Object.entries(written)) {
    const known = read[name];
    if (isObject(known) && isObject(schema))
      issues.push(...narrowings(schema, known, `${path}/properties/${name}`, whose));
    else if (known === false && schema !== false) {
      issues.push({
        path: `${path}/properties/${name}`,
        message: `${whose} would be refused: ${name} is forbidden`,
        found: name,
      });
    } else if (known === undefined && reader.additionalProperties === false) {
      issues.push({
        path: `${path}/properties/${name}`,
        message: `${whose} would be refused: ${name} is not known any more`,
        found: name,
      });
    }
  }
  if (reader.additionalProperties === false && writer.additionalProperties !== false) {
    issues.push({
      path: `${path}/additionalProperties`,
      message: `${whose} would be refused: other properties are no longer allowed`,
    });
  }
  return issues;
}

/** For keywords whose meaning is not compared: only what did not change, or refuses nothing, is safe. */
function keptAsItWas(keyword: string, value: Json | undefined, before: Json | undefined): boolean {
  if (COMPARED.has(keyword) || ANNOTATIONS.has(keyword) || keyword.startsWith('x-')) return true;
  if (keyword === 'items' && isObject(value)) return true; // compared by itself
  if (keyword === 'additionalProperties' && value === false) return true; // compared with the properties
  if (value === true && OPEN_WHEN_TRUE.has(keyword)) return true;
  if (keyword === 'uniqueItems' && value === false) return true;
  if (keyword === '$defs' && isObject(value) && isObject(before ?? {})) {
    const known = (before ?? {}) as JsonObject;
    return Object.entries(value).every(([name, schema]) => !(name in known) || same(schema, known[name]));
  }
  return same(value, before);
}

function same(a: Json | undefined, b: Json | undefined): boolean {
  return a !== undefined && b !== undefined && canonicalize(a) === canonicalize(b);
}

function typesOf(schema: JsonObject): string[] | undefined {
  if (schema.type === undefined) return undefined;
  return (Array.isArray(schema.type) ? schema.type : [schema.type]) as string[];
}

function propertiesOf(schema: JsonObject): JsonObject {
  return isObject(schema.properties) ? schema.properties : {};
}

function requiredOf(schema: JsonObject): string[] {
  return Array.isArray(schema.required) ? (schema.required as string[]) : [];
}

function numberOf(schema: JsonObject, name: string, otherwise: number): number {
  return typeof schema[name] === 'number' ? schema[name] : otherwise;
}
