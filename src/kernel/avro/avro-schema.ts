import { AiosError } from '../errors.ts';
import { isObject, type Json, type JsonObject } from '../json.ts';
import { defaultValue } from './avro-default.ts';
import { DECIMAL_DIGITS_MAX, logicalOf } from './avro-logical.ts';
import { isPrimitive, nameAndSpace, qualified } from './avro-names.ts';
import {
  type AvroField,
  type AvroNamed,
  type AvroRecord,
  type AvroType,
  nameOf,
  type Primitive,
} from './avro-type.ts';

/** Avro 1.12, "Names". */
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const FULL_NAME = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/;
/** Larger ones are no value that an event could hold. */
const FIXED_BYTES_MAX = 0x7fffffff;

/**
 * Reads a schema of Avro 1.12 from its JSON: names resolved, defaults held to their types. Attributes and logical types that the specification does not know are left aside, as it
 * asks. A default of a union may be of any of its branches.
 *
 * @throws AiosError `definition.invalid` with the place of the fault
 * @example parseAvro({ type: 'record', name: 'Order', fields: [{ name: 'total', type: 'double' }] }).kind // 'record'
 */
export function parseAvro(schema: Json): AvroType {
  const parser = new Parser();
  const type = parser.type(schema, undefined, '');
  parser.finish();
  return type;
}

type Open<Type> = { -readonly [Key in keyof Type]: Type[Key] };

class Parser {
  readonly #named = new Map<string, AvroNamed>();
  readonly #defaults: { field: Open<AvroField>; json: Json; path: string }[] = [];

  type(schema: Json, namespace: string | undefined, path: string): AvroType {
    if (typeof schema === 'string') return this.#reference(schema, namespace, path);
    if (Array.isArray(schema)) return this.#union(schema, namespace, path);
    if (!isObject(schema)) throw fault(path, 'a schema is a name, an object or an array');
    const { type } = schema;
    if (isObject(type) || Array.isArray(type)) return this.type(type, namespace, `${path}/type`);
    if (typeof type !== 'string') throw fault(path, '`type` is required');
    if (type === 'record' || type === 'error') return this.#record(schema, namespace, path);
    if (type === 'enum') return this.#enum(schema, namespace, path);
    if (type === 'fixed') return this.#fixed(schema, namespace, path);
    if (type === 'array') return { kind: type, items: this.#part(schema, 'items', namespace, path) };
    if (type === 'map') return { kind: type, values: this.#part(schema, 'values', namespace, path) };
    if (!isPrimitive(type)) return this.#reference(type, namespace, `${path}/type`);
    return { kind: type as Primitive, logical: logicalAt(path, schema, type) };
  }

  /** What can be done only when all names are known. */
  finish(): void {
    for (const { field, json, path } of this.#defaults) {
      const found = defaultValue(field.type, json);
      if (found === undefined)
        throw fault(path, `the default is not a value of ${nameOf(field.type)}`, JSON.stringify(json));
      field.default = { json: found };
    }
  }

  #part(schema: JsonObject, member: 'items' | 'values', namespace: string | undefined, path: string) {
    const part = schema[member];
    if (part === undefined) throw fault(path, `\`${member}\` is required`);
    return this.type(part, namespace, `${path}/${member}`);
  }

  #reference(name: string, namespace: string | undefined, path: string): AvroType {
    if (isPrimitive(name)) return { kind: name as Primitive };
    const found = this.#named.get(qualified(name, namespace)) ?? this.#named.get(name);
    if (found) return found;
    throw fault(path, `there is no type “${name.slice(0, 100)}” before this place`);
  }

  #union(branches: readonly Json[], namespace: string | undefined, path: string): AvroType {
    const types = branches.map((branch, index) => this.type(branch, namespace, `${path}/${index}`));
    const seen = new Set<string>();
    for (const [index, type] of types.entries()) {
      if (type.kind === 'union') throw fault(`${path}/${index}`, 'a union holds no union');
      const name = 'name' in type ? type.name : type.kind;
      if (seen.has(name)) throw fault(`${path}/${index}`, `the union has “${name}” twice`);
      seen.add(name);
    }
    if (types.length === 0) throw fault(path, 'a union has a branch at least');
    return { kind: 'union', branches: types };
  }

  #record(schema: JsonObject, outer: string | undefined, path: string): AvroType {
    const { fields } = schema;
    if (!Array.isArray(fields)) throw fault(path, '`fields` is required, a list');
    const record: Open<AvroRecord> = { kind: 'record', ...named(schema, outer, path), fields: [] };
    this.#define(record, path);
    const { namespace } = nameAndSpace(schema, outer);
    const seen = new Set<string>();
    record.fields = fields.map((field, index) => {
      const at = `${path}/fields/${index}`;
      if (!isObject(field)) throw fault(at, 'a field is an object');
      const { name, type, aliases, default: json } = field;
      if (typeof name !== 'string' || !NAME.test(name)) throw fault(`${at}/name`, NO_NAME, preview(name));
      if (seen.has(name)) throw fault(`${at}/name`, `the record has the field “${name}” twice`);
      if (type === undefined) throw fault(at, '`type` is required');
      seen.add(name);
      const made: Open<AvroField> = {
        name,
        aliases: aliasesOf(aliases, `${at}/aliases`, NAME),
        type: this.type(type, namespace, `${at}/type`),
        doc: textOf(field.doc),
      };
      if (json !== undefined) this.#defaults.push({ field: made, json, path: `${at}/default` });
      return made;
    });
    return record;
  }

  #enum(schema: JsonObject, outer: string | undefined, path: string): AvroType {
    const { symbols, default: unknown } = schema;
    if (!Array.isArray(symbols)) throw fault(path, '`symbols` is required, a list');
    const seen = new Set<Json>(); // a schema may have hundreds of thousands: each is looked up, not searched for
    for (const [index, symbol] of symbols.entries()) {
      const at = `${path}/symbols/${index}`;
      if (typeof symbol !== 'string' || !NAME.test(symbol)) throw fault(at, NO_NAME, preview(symbol));
      if (seen.has(symbol)) throw fault(at, `the enum has “${symbol}” twice`);
      seen.add(symbol);
    }
    if (unknown !== undefined && !seen.has(unknown))
      throw fault(`${path}/default`, 'the default is none of the symbols', preview(unknown));
    return this.#define(
      {
        kind: 'enum',
        ...named(schema, outer, path),
        symbols: symbols as string[],
        default: textOf(unknown),
      },
      path,
    );
  }

  #fixed(schema: JsonObject, outer: string | undefined, path: string): AvroType {
    const { size } = schema;
    if (!Number.isInteger(size) || (size as number) < 0 || (size as number) > FIXED_BYTES_MAX)
      throw fault(`${path}/size`, '`size` is a number of bytes', preview(size));
    const fixed = { kind: 'fixed', ...named(schema, outer, path), size: size as number } as const;
    return this.#define({ ...fixed, logical: logicalAt(path, schema, 'fixed', fixed.size) }, path);
  }

  #define<Type extends AvroNamed>(type: Type, path: string): Type {
    if (this.#named.has(type.name)) throw fault(`${path}/name`, `“${type.name}” is defined twice`);
    this.#named.set(type.name, type);
    return type;
  }
}

const NO_NAME = 'a name has letters, digits and underscores, and begins with no digit';

function named(schema: JsonObject, outer: string | undefined, path: string) {
  if (typeof schema.name !== 'string') throw fault(path, '`name` is required');
  const { name, namespace } = nameAndSpace(schema, outer);
  if (!FULL_NAME.test(name) || isPrimitive(name)) throw fault(`${path}/name`, NO_NAME, preview(name));
  const aliases = aliasesOf(schema.aliases, `${path}/aliases`, FULL_NAME);
  return { name, aliases: aliases.map((alias) => qualified(alias, namespace)), doc: textOf(schema.doc) };
}

function logicalAt(path: string, schema: JsonObject, base: string, size?: number) {
  const logical = logicalOf(schema, base, size);
  if (logical?.name === 'decimal' && logical.precision > DECIMAL_DIGITS_MAX)
    throw fault(
      `${path}/precision`,
      `a decimal has at most ${DECIMAL_DIGITS_MAX} digits`,
      preview(schema.precision),
    );
  return logical;
}

function aliasesOf(aliases: Json | undefined, path: string, form: RegExp): string[] {
  if (aliases === undefined) return [];
  if (!Array.isArray(aliases)) throw fault(path, '`aliases` is a list of names');
  for (const [index, alias] of aliases.entries())
    if (typeof alias !== 'string' || !form.test(alias))
      throw fault(`${path}/${index}`, NO_NAME, preview(alias));
  return aliases as string[];
}

function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function preview(value: Json | undefined): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 60);
}

function fault(path: string, message: string, found?: string): AiosError {
  const issue = { path, message, ...(found === undefined ? {} : { found }) };
  return new AiosError('definition.invalid', {
    detail: `Not an Avro schema: ${path || '/'}: ${message}${found === undefined ? '' : ` (${found})`}.`,
    issues: [issue],
  });
}
