import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { compileSchema } from '../kernel/schema.ts';

const DEPTH_MAX = 8; // a schema may name itself
const TEXTS: Readonly<Record<string, string>> = {
  date: '2026-01-31',
  'date-time': '2026-01-31T06:00:00Z',
  duration: 'PT1H',
  email: 'ann@example.com',
  time: '06:00:00Z',
  uri: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000000',
};

/**
 * A value that a JSON Schema takes, for somebody to change: its own example where it has one, else the members that it requires. Undefined where that
 * value does not fit (of a `pattern`, say): no example is better than one that is refused.
 *
 * @example exampleOfSchema({ type: 'object', required: ['amount'], properties: { amount: { type: 'number' } } }) // { amount: 1 }
 */
export function exampleOfSchema(schema: JsonObject): Json | undefined {
  try {
    const example = sampleOf(schema, schema, 0);
    return example !== undefined && compileSchema(schema)(example).length === 0 ? example : undefined;
  } catch {
    return undefined; // no schema, or one that refers to another document
  }
}

function sampleOf(schema: Json | undefined, root: JsonObject, depth: number): Json | undefined {
  if (!isObject(schema) || depth > DEPTH_MAX) return schema === true ? 'text' : undefined;
  const { const: only, examples, default: fallback, enum: choices, $ref, allOf, anyOf, oneOf } = schema;
  const told = [only, (examples as Json[] | undefined)?.[0], fallback, (choices as Json[] | undefined)?.[0]];
  const given = told.find((one) => one !== undefined);
  if (given !== undefined) return given;
  if (typeof $ref === 'string') return sampleOf(referred($ref, root), root, depth + 1);
  const [branch] = ((anyOf ?? oneOf) as Json[] | undefined) ?? [];
  const parts = [...((allOf as Json[] | undefined) ?? []), ...(branch === undefined ? [] : [branch])];
  if (parts.length === 0) return ofType(schema, root, depth);
  const { allOf: _, anyOf: __, oneOf: ___, ...own } = schema;
  const isPart = (value: Json | undefined) => value !== undefined;
  const itself = 'type' in own || 'properties' in own ? [own] : [];
  const values = [...itself, ...parts]
    .map((part) => sampleOf(part, root, depth + 1))
    .filter(isPart) as Json[];
  return values.every(isObject) ? Object.assign({}, ...values) : values.at(-1);
}

function referred(ref: string, root: JsonObject): Json | undefined {
  const names = ref.split('/').slice(1);
  return ref.startsWith('#/')
    ? names.reduce<Json | undefined>((at, name) => (isObject(at) ? at[name] : undefined), root)
    : undefined;
}

function ofType(schema: JsonObject, root: JsonObject, depth: number): Json | undefined {
  const types = [schema.type ?? (schema.properties ? 'object' : 'string')].flat() as string[];
  switch (types.find((type) => type !== 'null') ?? 'null') {
    case 'object':
      return objectOf(schema, root, depth);
    case 'array':
      return Array.from({ length: Number(schema.minItems ?? 0) }, () =>
        sampleOf(schema.items ?? true, root, depth + 1),
      ) as Json[];
    case 'boolean':
      return true;
    case 'null':
      return null;
    case 'integer':
    case 'number':
      return numberOf(schema);
    default:
      return TEXTS[String(schema.format)] ?? 'text'.padEnd(Number(schema.minLength ?? 0), '.');
  }
}

function objectOf({ properties, required }: JsonObject, root: JsonObject, depth: number): JsonObject {
  const shapes = (properties ?? {}) as JsonObject;
  const names = ((required as string[] | undefined) ?? []).map((name): [string, Json | undefined] => [
    name,
    sampleOf(shapes[name] ?? true, root, depth + 1),
  ]);
  return Object.fromEntries(names.filter(([, value]) => value !== undefined)) as JsonObject;
}

/** 1, or the number that lies nearest to it within the bounds. */
function numberOf({ minimum, exclusiveMinimum, maximum, exclusiveMaximum, multipleOf }: JsonObject): number {
  const step = Number(multipleOf ?? 1);
  const least = Math.max(Number(minimum ?? 1), Number(exclusiveMinimum ?? 0) + step, step);
  const most = Math.min(Number(maximum ?? least), Number(exclusiveMaximum ?? least + step) - step);
  return Math.min(least, most);
}
