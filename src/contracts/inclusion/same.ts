import { canonicalize } from '../../kernel/canonical.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import type { SchemaNode } from './node.ts';

/** Keywords that refuse nothing (JSON Schema 2020-12, "Validation", section 9), and where schemas are kept for reference. */
const ANNOTATIONS: ReadonlySet<string> = new Set([
  '$schema',
  '$id',
  '$anchor',
  '$comment',
  '$defs',
  'definitions',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  'contentEncoding',
  'contentMediaType',
  'contentSchema',
]);
const SCHEMAS: ReadonlySet<string> = new Set([
  'items',
  'contains',
  'additionalProperties',
  'unevaluatedProperties',
  'unevaluatedItems',
  'propertyNames',
  'not',
  'if',
  'then',
  'else',
]);
const LISTS: ReadonlySet<string> = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const MAPS: ReadonlySet<string> = new Set(['properties', 'patternProperties', 'dependentSchemas']);

function isAnnotation(keyword: string): boolean {
  return ANNOTATIONS.has(keyword) || keyword.startsWith('x-');
}

/**
 * True when two schemas say the same in the same words, but for what refuses nothing. A reference is what it leads to; one that was met before
 * is taken for the same.
 */
export function isSame(a: SchemaNode, b: SchemaNode, met = new Set<string>()): boolean {
  if (a === b) return true;
  const pair = `${a.id} ${b.id}`;
  if (met.has(pair)) return true;
  met.add(pair);
  if (!isObject(a.schema) || !isObject(b.schema)) return a.schema === b.schema;
  const keywords = keywordsOf(a.schema);
  if (keywords.join() !== keywordsOf(b.schema).join()) return false;
  return keywords.every((keyword) => {
    const [left, right] = [(a.schema as JsonObject)[keyword]!, (b.schema as JsonObject)[keyword]!];
    if (keyword === '$ref') return isSameReference(a, b, String(left), String(right), met);
    if (keyword === '$dynamicRef') return false;
    if (SCHEMAS.has(keyword)) return isSame(a.document.child(a, keyword), b.document.child(b, keyword), met);
    if (keyword === 'dependencies' && !hasListsOnly(left)) return false; // references in it may lead elsewhere
    if (!LISTS.has(keyword) && !MAPS.has(keyword)) return canonicalize(left) === canonicalize(right);
    const names = namesOf(left);
    return (
      names.join() === namesOf(right).join() &&
      names.every((name) =>
        isSame(a.document.child(a, keyword, name), b.document.child(b, keyword, name), met),
      )
    );
  });
}

function isSameReference(
  a: SchemaNode,
  b: SchemaNode,
  left: string,
  right: string,
  met: Set<string>,
): boolean {
  const [x, y] = [a.document.resolve(left), b.document.resolve(right)];
  if (x && y) return isSame(x, y, met);
  return !x && !y && left === right && !left.startsWith('#');
}

function hasListsOnly(value: Json): boolean {
  return Object.values(value as JsonObject).every(Array.isArray);
}

function keywordsOf(schema: JsonObject): string[] {
  return Object.keys(schema)
    .filter((keyword) => !isAnnotation(keyword))
    .sort();
}

function namesOf(value: Json): string[] {
  return Object.keys(value as JsonObject).sort();
}
