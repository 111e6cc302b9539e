/** A request that no client of good will sends. */
export interface FuzzCase {
  readonly method: string;
  readonly path: string;
  readonly contentType: string;
  readonly body: string | Buffer | undefined;
  /** What is wrong with it. */
  readonly label: string;
}

interface Schema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
}

interface Operation {
  readonly parameters?: readonly { in: string; name: string; schema: Schema }[];
  readonly requestBody?: { content: Readonly<Record<string, { schema?: Schema }>> };
}

export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const PATH_VALUES = [
  'x',
  '\u0000',
  'a'.repeat(300),
  '../../etc',
  '😀',
  '9'.repeat(22),
  '-1',
  '0',
  '1',
  'return-risk', // a model and a flow of the example
  '%ED%A0%80', // half of a surrogate pair, which is no UTF-8
];
const QUERY_VALUES = [
  '%00',
  '-1',
  '1e308',
  '99999999999999', // past 32 bits
  '9'.repeat(30),
  '%F0%9F%98%80',
  '2026-13-45',
  '%2B275760-09-13T00:00:00Z',
  'true',
  'a'.repeat(3000),
];
const TEXTS = [
  '\u0000',
  'x\ud800',
  '2026-01-01T00:00:00Z',
  'a'.repeat(100_000),
  '+275760-09-13T00:00:00Z',
  '1'.repeat(400),
  '-1',
  'a\u0000',
];
const NUMBERS = [1, 2 ** 53, 1e308, -1, 0, 2 ** 31, -(2 ** 63), 3];
const ANYTHING = [{ a: '\u0000' }, 'x', 1, null, [], {}, '\ud800', -1];
const NESTED = 20_000;
const SCHEMA_DEPTH = 5;
/** Bodies that no schema asks for, each with what is wrong with it. */
const BROKEN: readonly (readonly [string, string | Buffer])[] = [
  ['nested objects', `${'{"a":'.repeat(NESTED)}1${'}'.repeat(NESTED)}`],
  ['nested arrays', '['.repeat(NESTED) + ']'.repeat(NESTED)],
  ['no UTF-8', Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0xfe, 0x22, 0x7d])],
  ['null', 'null'],
  ['a number', '1'],
  ['a text', '"x"'],
  ['an array', '[]'],
  ['nothing', ''],
  ['no JSON', '{"a":'],
  ['__proto__', '{"__proto__":{"x":1}}'],
];

/**
 * What there is to ask of each operation of a document: places, queries and bodies that fit their schemas in form and hold the values that programs stumble
 * over, and bodies that fit nothing.
 */
export function fuzzCases(document: OpenApi): FuzzCase[][] {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => casesOf(path, method.toUpperCase(), operation)),
  );
}

function casesOf(path: string, method: string, operation: Operation): FuzzCase[] {
  const content = Object.entries(operation.requestBody?.content ?? {})[0];
  const places = path.includes('{') ? PATH_VALUES : ['x'];
  const cases: FuzzCase[] = [];
  const add = (place: string, query: string, body: string | Buffer | undefined, label: string) =>
    cases.push({
      method,
      path: path.replaceAll(/\{[^}]*\}/g, () => place) + query,
      contentType: content?.[0] ?? 'application/json',
      body,
      label,
    });
  const plain = content ? JSON.stringify(madeOf(content[1].schema, 3, 0)) : undefined;
  for (const place of places) {
    const encoded = place.startsWith('%') ? place : encodeURIComponent(place);
    add(encoded, '', plain, `at ${JSON.stringify(place.slice(0, 12))}`);
  }
  for (const { name } of (operation.parameters ?? []).filter((parameter) => parameter.in === 'query'))
    for (const value of QUERY_VALUES)
      add('return-risk', `?${name}=${value}`, plain, `${name}=${value.slice(0, 24)}`);
  if (!content) return cases;
  for (const place of path.includes('{') ? ['x', 'return-risk'] : ['x'])
    for (let turn = 0; turn < TEXTS.length; turn++)
      add(place, '', JSON.stringify(madeOf(content[1].schema, turn, 0)), `values ${turn} at ${place}`);
  for (const [label, body] of BROKEN) add('x', '', body, label);
  return cases;
}

/** A value in the form that a schema asks for, made of what programs stumble over. */
function madeOf(schema: Schema | undefined, turn: number, depth: number): unknown {
  if (!schema || depth > SCHEMA_DEPTH) return 'x';
  if ('const' in schema) return schema.const;
  if (schema.enum) return schema.enum[turn % schema.enum.length];
  const choice = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (choice) return madeOf(choice[turn % choice.length], turn, depth + 1);
  switch (typeof schema.type === 'string' ? schema.type : schema.type?.[0]) {
    case 'string':
      return TEXTS[turn];
    case 'integer':
    case 'number':
      return NUMBERS[turn];
    case 'boolean':
      return turn % 2 === 0;
    case 'array':
      return [madeOf(schema.items, turn, depth + 1)];
    case 'object':
      return objectOf(schema, turn, depth);
    default:
      return schema.properties ? objectOf(schema, turn, depth) : ANYTHING[turn];
  }
}

function objectOf({ properties = {} }: Schema, turn: number, depth: number): unknown {
  const members = Object.entries(properties).map(([name, member]) => [name, madeOf(member, turn, depth + 1)]);
  if (members.length > 0) return Object.fromEntries(members);
  return { 'k\u0000': ['\u0000'], constructor: 1, a: TEXTS[turn] };
}
