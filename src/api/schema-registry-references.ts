import type { SchemaReference } from '../contracts/contract-body.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { escapePointer } from '../kernel/schema.ts';
import { registryError } from './schema-registry-errors.ts';

/** What a schema calls another one, and which that is. */
export interface ResolvedReference extends SchemaReference {
  readonly schema: JsonObject;
  /** Where it is a schema of Avro. */
  readonly avro?: Json | undefined;
}

/** Keywords whose values are data: a `$ref` in them refers to nothing. */
const DATA = new Set(['const', 'default', 'enum', 'examples', 'example']);

/**
 * A schema with those that it refers to under its `$defs`, as a contract holds it: whole, so that it means the same whatever becomes of the others.
 *
 * @throws AiosError by Confluent's code 42201 where its `$defs` holds something else under the name of a reference
 * @example bundled({ $ref: 'money.json' }, [{ name: 'money.json', schema: { type: 'number' } }]) // { $ref: '#/$defs/money.json', $defs: { 'money.json': { type: 'number' } } }
 */
export function bundled(schema: JsonObject, references: readonly ResolvedReference[]): JsonObject {
  if (references.length === 0) return schema;
  const names = new Set(references.map(({ name }) => name));
  const own = isObject(schema.$defs) ? schema.$defs : {};
  const taken = references.find(({ name }) => Object.hasOwn(own, name));
  if (taken)
    throw registryError(
      'invalidSchema',
      `$defs has a “${taken.name}” of its own, which is a reference, too.`,
    );
  const root = rewritten(schema, (base, fragment) =>
    names.has(base) ? `${placeOf(base)}${fragment}` : undefined,
  ) as JsonObject;
  const { $defs = {}, ...rest } = root;
  const definitions = references.map(({ name, schema: { $id, $schema: _, ...target } }) => {
    const bases = ['', ...(typeof $id === 'string' ? [$id.replace(/#$/, '')] : [])];
    // Anchors name their schema in all of the document.
    const moved = rewritten(target, (base, fragment) =>
      bases.includes(base) && (fragment === '' || fragment.startsWith('/'))
        ? `${placeOf(name)}${fragment}`
        : undefined,
    );
    return [name, moved];
  });
  return { ...rest, $defs: { ...($defs as JsonObject), ...Object.fromEntries(definitions) } };
}

function placeOf(name: string): string {
  return `#/$defs/${encodeURIComponent(escapePointer(name))}`;
}

/** A schema with its references written anew. @param place of a document and the fragment in it, without its `#`; undefined where it stays */
function rewritten(value: Json, place: (base: string, fragment: string) => string | undefined): Json {
  if (Array.isArray(value)) return value.map((item) => rewritten(item, place));
  if (!isObject(value)) return value;
  const members = Object.entries(value).map(([name, member]): [string, Json] => {
    if (name === '$ref' && typeof member === 'string') {
      const [base, fragment = ''] = member.split('#') as [string, string?];
      return [name, place(base, fragment) ?? member];
    }
    return [name, DATA.has(name) ? member! : rewritten(member!, place)];
  });
  return Object.fromEntries(members);
}
