import type { Json, JsonObject } from '../json.ts';
import { escapePointer } from '../schema.ts';
import { INT_MAX, INT_MIN, NO_NUMBERS } from './avro-default.ts';
import { logicalSchema } from './avro-logical.ts';
import type { AvroFixed, AvroNamed, AvroPrimitive, AvroType } from './avro-type.ts';

/**
 * JSON Schema (2020-12) of the values that `avroReader` makes: what holds for an event whose data was never Avro, too. A field with a default may be missing, as a reader fills it in;
 * other members are let in. Named types that are used twice stand under `$defs`.
 *
 * @example jsonSchemaOfAvro(parseAvro(['null', 'string'])) // { type: ['null', 'string'] }
 */
export function jsonSchemaOfAvro(type: AvroType): JsonObject {
  const uses = new Map<AvroNamed, number>();
  count(type, uses);
  const shared = new Map([...uses].filter(([, times]) => times > 1).map(([named]) => [named, named.name]));
  const schema = schemaOf(type, shared, undefined);
  const $defs = Object.fromEntries(
    [...shared].map(([named, name]): [string, Json] => [name, schemaOf(named, shared, named)]),
  );
  return shared.size === 0 ? schema : { ...schema, $defs };
}

function count(type: AvroType, uses: Map<AvroNamed, number>): void {
  if ('name' in type) {
    const times = uses.get(type) ?? 0;
    uses.set(type, times + 1);
    if (times > 0) return;
  }
  if (type.kind === 'record') for (const field of type.fields) count(field.type, uses);
  else if (type.kind === 'array') count(type.items, uses);
  else if (type.kind === 'map') count(type.values, uses);
  else if (type.kind === 'union') for (const branch of type.branches) count(branch, uses);
}

/** @param defining the type whose definition this is: all others of its kind are referred to */
function schemaOf(
  type: AvroType,
  shared: ReadonlyMap<AvroNamed, string>,
  defining: AvroNamed | undefined,
): JsonObject {
  const inner = (part: AvroType) => schemaOf(part, shared, undefined);
  if ('name' in type && shared.has(type) && type !== defining)
    return { $ref: `#/$defs/${encodeURIComponent(escapePointer(type.name))}` };
  switch (type.kind) {
    case 'record': {
      const required = type.fields.flatMap(({ name, default: filled }) => (filled ? [] : [name]));
      const properties = type.fields.map((field): [string, Json] => [
        field.name,
        described(inner(field.type), field.doc),
      ]);
      return described(
        {
          type: 'object',
          ...(required.length > 0 ? { required } : {}),
          properties: Object.fromEntries(properties),
        },
        type.doc,
      );
    }
    case 'enum':
      return described({ type: 'string', enum: [...type.symbols] }, type.doc);
    case 'array':
      return { type: 'array', items: inner(type.items) };
    case 'map':
      return { type: 'object', additionalProperties: inner(type.values) };
    case 'union':
      return unionSchema(type.branches.map(inner));
    case 'fixed':
      return fixedSchema(type);
    default:
      return primitiveSchema(type);
  }
}

/** Where every branch is a type and nothing else, a list of types. */
function unionSchema(branches: JsonObject[]): JsonObject {
  if (branches.length === 1) return branches[0]!;
  const isPlain = branches.every((one) => Object.keys(one).join() === 'type' && typeof one.type === 'string');
  return isPlain ? { type: [...new Set(branches.map(({ type }) => type!))] } : { anyOf: branches };
}

function primitiveSchema({ kind, logical }: AvroPrimitive): JsonObject {
  if (logical) return logicalSchema(logical);
  switch (kind) {
    case 'int':
      return { type: 'integer', minimum: INT_MIN, maximum: INT_MAX };
    case 'long':
      return { type: ['integer', 'string'], pattern: '^-?[0-9]{1,19}$' };
    case 'float':
    case 'double':
      return { anyOf: [{ type: 'number' }, { enum: [...NO_NUMBERS] }] };
    case 'bytes':
      return { type: 'string', contentEncoding: 'base64' };
    default:
      return { type: kind };
  }
}

function fixedSchema({ size, logical, doc }: AvroFixed): JsonObject {
  if (logical) return described(logicalSchema(logical), doc);
  const length = Math.ceil(size / 3) * 4;
  return described({ type: 'string', contentEncoding: 'base64', minLength: length, maxLength: length }, doc);
}

function described(schema: JsonObject, doc: string | undefined): JsonObject {
  return doc ? { ...schema, description: doc } : schema;
}
