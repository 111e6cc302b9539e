import { isObject, type Json, type JsonObject } from '../json.ts';
import { PRIMITIVES } from './avro-type.ts';

/** A name with the namespace that it stands in; one with dots has its own, primitives have none. */
export function qualified(name: string, namespace: string | undefined): string {
  if (name.includes('.') || !namespace || isPrimitive(name)) return name;
  return `${namespace}.${name}`;
}

export function isPrimitive(name: string): boolean {
  return (PRIMITIVES as readonly string[]).includes(name);
}

/** The full name that a definition gives, and the namespace of what stands in it. */
export function nameAndSpace(
  definition: JsonObject,
  outer: string | undefined,
): { name: string; namespace: string | undefined } {
  const own = String(definition.name);
  const space = typeof definition.namespace === 'string' ? definition.namespace : outer;
  const name = qualified(own, space);
  const end = name.lastIndexOf('.');
  return { name, namespace: end > 0 ? name.slice(0, end) : undefined };
}

const NAMED = ['record', 'error', 'enum', 'fixed'];

function isNamedDefinition(schema: JsonObject): boolean {
  return NAMED.includes(String(schema.type)) && typeof schema.name === 'string';
}

/**
 * A schema in the one form by which it is known: full names, no namespaces, `"string"` for `{ "type": "string" }`. Docs, defaults, aliases and attributes of others count: they are
 * part of what its author wrote. The order of the members of an object does not; that is `canonicalize`'s.
 *
 * Types that the schema names and does not define are put in whole at the first place that names them, where `known` has them.
 *
 * @param known normalized definitions by full name
 * @example normalizedAvro({ type: 'record', name: 'A', namespace: 'n', fields: [] }) // { type: 'record', name: 'n.A', fields: [] }
 */
export function normalizedAvro(schema: Json, known: ReadonlyMap<string, JsonObject> = new Map()): Json {
  return new Normalizer(known).of(schema, undefined, false);
}

class Normalizer {
  readonly #known: ReadonlyMap<string, JsonObject>;
  readonly #defined = new Set<string>();

  constructor(known: ReadonlyMap<string, JsonObject>) {
    this.#known = known;
  }

  /** @param isPutIn whether this is part of a definition of another schema, which may be here already */
  of(schema: Json, namespace: string | undefined, isPutIn: boolean): Json {
    if (typeof schema === 'string') return this.#reference(qualified(schema, namespace));
    if (Array.isArray(schema)) return schema.map((branch) => this.of(branch, namespace, isPutIn));
    if (!isObject(schema)) return schema;
    if (isNamedDefinition(schema)) return this.#definition(schema, namespace, isPutIn);
    const { type, items, values, ...rest } = schema;
    const isPlain = Object.keys(schema).length === 1;
    if (type === undefined || isObject(type) || Array.isArray(type) || isPlain) {
      const inner = this.of(type ?? null, namespace, isPutIn);
      return isPlain ? inner : { ...rest, type: inner };
    }
    return {
      ...rest,
      type,
      ...(items === undefined ? {} : { items: this.of(items, namespace, isPutIn) }),
      ...(values === undefined ? {} : { values: this.of(values, namespace, isPutIn) }),
    };
  }

  #reference(name: string): Json {
    const definition = this.#known.get(name);
    return definition && !this.#defined.has(name) ? this.of(definition, undefined, true) : name;
  }

  #definition(schema: JsonObject, outer: string | undefined, isPutIn: boolean): Json {
    const { name, namespace } = nameAndSpace(schema, outer);
    if (isPutIn && this.#defined.has(name)) return name;
    this.#defined.add(name);
    const { namespace: _, aliases, fields, ...rest } = schema;
    return {
      ...rest,
      name,
      ...(Array.isArray(aliases)
        ? { aliases: aliases.map((alias) => qualified(String(alias), namespace)) }
        : {}),
      ...(Array.isArray(fields)
        ? {
            fields: fields.map((field) =>
              isObject(field) ? { ...field, type: this.of(field.type ?? null, namespace, isPutIn) } : field,
            ),
          }
        : {}),
    };
  }
}

/**
 * A schema with the types of others that it names, each defined at the first place that names it: whole, whatever becomes of the others. With others it is written with full names,
 * because each may have a namespace of its own.
 *
 * @example bundledAvro({ type: 'array', items: 'n.Money' }, [{ type: 'fixed', name: 'n.Money', size: 8 }])
 * // { type: 'array', items: { type: 'fixed', name: 'n.Money', size: 8 } }
 */
export function bundledAvro(schema: Json, others: readonly Json[]): Json {
  if (others.length === 0) return schema;
  const known = new Map<string, JsonObject>();
  for (const other of others) definitionsIn(normalizedAvro(other), known);
  return normalizedAvro(schema, known);
}

/** The definitions in a normalized schema, by full name. */
function definitionsIn(normalized: Json, found = new Map<string, JsonObject>()): Map<string, JsonObject> {
  if (Array.isArray(normalized)) for (const branch of normalized) definitionsIn(branch, found);
  if (!isObject(normalized)) return found;
  if (isNamedDefinition(normalized)) {
    found.set(String(normalized.name), normalized);
    if (Array.isArray(normalized.fields))
      for (const field of normalized.fields) if (isObject(field)) definitionsIn(field.type ?? null, found);
    return found;
  }
  for (const part of [normalized.type, normalized.items, normalized.values])
    if (part !== undefined) definitionsIn(part, found);
  return found;
}
