// Writes src/client/generated.ts, the types of every operation, from the OpenAPI document of the API's own routes; with --check only says
// whether the file is current.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ApiDependencies, allRoutes, COLLECTIONS } from '../src/api/all-routes.ts';
import { createServer } from '../src/api/server.ts';
import { limitsFrom } from '../src/kernel/limits.ts';

interface Schema {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  patternProperties?: Record<string, Schema>;
  items?: Schema;
  description?: string;
}

interface Operation {
  summary?: string;
  description?: string;
  parameters?: { name: string; in: string; required?: boolean; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses?: Record<string, { content?: Record<string, { schema: Schema }> }>;
}

interface Document {
  paths: Record<string, Record<string, Operation>>;
}

const PATH = join(import.meta.dirname, '..', 'src', 'client', 'generated.ts');
const BODIES = new Set(['post', 'put']);

/** The document of all routes. No handler is called, so that what they need may be absent. */
export async function apiDocument(): Promise<Document> {
  const limits = limitsFrom();
  const absent = { limits, collections: COLLECTIONS, metrics: async () => '' } as unknown as ApiDependencies;
  const server = await createServer({
    limits,
    access: { authenticate: () => undefined, can: () => false },
    routes: allRoutes(absent),
    onFault: () => {},
  });
  await server.ready();
  const document = server.swagger() as unknown as Document;
  await server.close();
  return document;
}

/** The source of the generated file: one member of `Operations` for each method and path, in their order. */
export function clientSource(document: Document): string {
  const operations = Object.entries(document.paths)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => member(method, path, operation)),
    );
  return `// Written from the OpenAPI document by scripts/generate-client.ts: not to be edited.
// biome-ignore-all format: as it was written
import type { Json } from '../kernel/json.ts';

/** Every operation of the API: what it takes and what it answers. */
export interface Operations {
${operations.join('\n')}
}
`;
}

function member(method: string, path: string, operation: Operation): string {
  const { summary = '', description = '', parameters = [], requestBody, responses = {} } = operation;
  const group = (place: string) => {
    const found = parameters.filter((parameter) => parameter.in === place);
    if (found.length === 0) return [];
    const optional = found.every(({ required }) => !required) ? '?' : '';
    const members = found.map(({ name, required, schema }) => property(name, Boolean(required), schema));
    return [`${place === 'path' ? 'params' : place}${optional}: { ${members.join('; ')} }`];
  };
  const body = Object.values(requestBody?.content ?? {})[0]?.schema;
  const answer = Object.values(Object.values(responses)[0]?.content ?? {})[0]?.schema;
  const parts = [
    ...group('path'),
    ...group('query'),
    ...(body ? [`body: ${typeOf(body)}`] : BODIES.has(method) ? ['body?: Json | Uint8Array'] : []),
    `answer: ${answer ? typeOf(answer) : 'Json'}`,
  ];
  const key = `${method.toUpperCase()} ${path}`;
  return `  /** ${summary}.${description ? ` ${description}` : ''} */\n  '${key}': { ${parts.join('; ')} };`;
}

function typeOf(schema: Schema): string {
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(' | ');
  if (Array.isArray(schema.type)) return schema.type.map((type) => typeOf({ ...schema, type })).join(' | ');
  switch (schema.type) {
    case 'string':
      return 'string';
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
    case 'null':
      return schema.type;
    case 'array':
      return `Array<${typeOf(schema.items ?? {})}>`;
    case 'object':
      return objectType(schema);
    default:
      return 'Json';
  }
}

function objectType({
  properties = {},
  required = [],
  additionalProperties,
  patternProperties,
}: Schema): string {
  const members = Object.entries(properties).map(([name, schema]) =>
    property(name, required.includes(name), schema),
  );
  const open = patternProperties ? Object.values(patternProperties)[0] : additionalProperties;
  if (members.length === 0) return `{ [name: string]: ${typeof open === 'object' ? typeOf(open) : 'Json'} }`;
  return `{ ${members.join('; ')}${open === true ? '; [name: string]: Json | undefined' : ''} }`;
}

function property(name: string, required: boolean, schema: Schema): string {
  const key = /^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name);
  return `${key}${required ? '' : '?'}: ${typeOf(schema)}${required ? '' : ' | undefined'}`;
}

if (process.argv[1] === import.meta.filename) {
  const source = clientSource(await apiDocument());
  const current = (() => {
    try {
      return readFileSync(PATH, 'utf8') === source;
    } catch {
      return false;
    }
  })();
  if (process.argv.includes('--check')) {
    if (!current) console.error('src/client/generated.ts is not current: node scripts/generate-client.ts');
    process.exitCode = current ? 0 : 1;
  } else {
    if (!current) writeFileSync(PATH, source);
    console.log(current ? 'current' : 'written: src/client/generated.ts');
  }
}
