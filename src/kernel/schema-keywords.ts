import { closestName } from './closest-name.ts';
import type { Issue } from './errors.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { escapePointer } from './schema.ts';

/** How schemas lie in the value of a keyword: it is one, or holds a list or a mapping of them. */
type Holds = 'one' | 'list' | 'map' | 'none';

const namesAs = (holds: Holds, names: string) =>
  names.split(' ').map((name): [string, Holds] => [name, holds]);

/** The keywords of draft 2020-12, `dependencies` and `definitions` of the drafts before it, and OpenAPI's `nullable`: Ajv goes by these, too. */
const KEYWORDS: ReadonlyMap<string, Holds> = new Map([
  ...namesAs('none', '$id $schema $ref $anchor $dynamicRef $dynamicAnchor $vocabulary $comment'),
  ...namesAs('map', '$defs definitions properties patternProperties dependentSchemas dependencies'),
  ...namesAs('list', 'allOf anyOf oneOf prefixItems'),
  ...namesAs('one', 'not if then else items contains additionalProperties propertyNames'),
  ...namesAs('one', 'unevaluatedItems unevaluatedProperties contentSchema'),
  ...namesAs('none', 'type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum'),
  ...namesAs('none', 'maxLength minLength pattern maxItems minItems uniqueItems maxContains minContains'),
  ...namesAs('none', 'maxProperties minProperties required dependentRequired format nullable'),
  ...namesAs('none', 'contentEncoding contentMediaType title description default deprecated'),
  ...namesAs('none', 'readOnly writeOnly examples'),
]);

/** Of OpenAPI, and so near to one of ours that it would be taken for a slip. */
const ANNOTATIONS: ReadonlySet<string> = new Set(['example']);

/**
 * The members of a JSON Schema, and of the schemas in it, that are no keywords of draft 2020-12: they change nothing, so that a slip such as
 * `requird` makes a schema that takes everything. What begins with `x-` is an annotation and is left out, and so is what the author of a
 * vocabulary of his own may mean by `example`.
 *
 * @param path JSON Pointer of the schema
 * @returns an issue for each, with the keyword that was most likely meant where one is near
 * @example unknownKeywords({ type: 'object', requird: ['a'] }, '/form')
 * // [{ path: '/form/requird', message: '“requird” is not a keyword of JSON Schema', meant: '“required”' }]
 */
export function unknownKeywords(schema: Json, path = ''): Issue[] {
  if (!isObject(schema)) return [];
  return Object.entries(schema).flatMap(([name, value]) => {
    const at = `${path}/${escapePointer(name)}`;
    const holds = KEYWORDS.get(name);
    if (holds !== undefined) return within(holds, value, at);
    return name.startsWith('x-') || ANNOTATIONS.has(name) ? [] : [unknown(name, at)];
  });
}

/**
 * A schema where it, and each schema in it, is what `change` makes of it, the inner ones first. Members that are no keywords may hold schemas, too; what is a value
 * (`enum`, `default`, …) is left as it is.
 *
 * @example mapSchemas({ items: { title: 'a' }, default: { title: 'b' } }, ({ title: _, ...schema }) => schema) // { items: {}, default: { title: 'b' } }
 */
export function mapSchemas(schema: Json, change: (schema: JsonObject) => JsonObject): Json {
  if (Array.isArray(schema)) return schema.map((one) => mapSchemas(one, change));
  if (!isObject(schema)) return schema;
  const inner = (value: Json) => mapSchemas(value, change);
  const members = Object.entries(schema).map(([name, value]): [string, Json] => {
    const holds = KEYWORDS.get(name);
    if (holds === 'none') return [name, value];
    if (holds !== 'map' || !isObject(value)) return [name, inner(value)];
    return [name, Object.fromEntries(Object.entries(value).map(([key, one]) => [key, inner(one)]))];
  });
  return change(Object.fromEntries(members));
}

function within(holds: Holds, value: Json, path: string): Issue[] {
  if (holds === 'one') return unknownKeywords(value, path);
  if (holds === 'none' || typeof value !== 'object' || value === null) return [];
  return Object.entries(value as JsonObject).flatMap(([name, one]) =>
    unknownKeywords(one, `${path}/${escapePointer(name)}`),
  );
}

function unknown(name: string, path: string): Issue {
  const meant = closestName(name, [...KEYWORDS.keys()]);
  const message = `“${name}” is not a keyword of JSON Schema`;
  return { path, message, ...(meant !== undefined && { meant: `“${meant}”` }) };
}
