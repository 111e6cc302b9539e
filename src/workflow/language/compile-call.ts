import { closestName } from '../../kernel/closest-name.ts';
import { readDocument } from '../../kernel/document.ts';
import { isObject, type JsonObject } from '../../kernel/json.ts';
import { compileSchema } from '../../kernel/schema.ts';
import { isA2aReading } from '../catalog/a2a.ts';
import { isReading } from '../catalog/http.ts';
import { isMcpReading } from '../catalog/mcp.ts';
import { openApiRequest } from '../catalog/openapi-request.ts';
import { bound } from '../catalog/outgoing.ts';
import type { Compiler } from './compile.ts';
import { compileAsyncApi } from './compile-asyncapi.ts';
import type { Nested } from './compile-listen.ts';
import { takeSecrets } from './compile-secrets.ts';
import type { Kind } from './compile-steps.ts';
import { keptResource, keyOf, uriOf } from './kept-resources.ts';
import { checkStaticInput } from './static-input.ts';
import { expandUris } from './uri-templates.ts';

/** What a call may hold: a function that is a task of another kind than a call, the list of an iteration. */
interface Inner {
  readonly asFunction: (name: string, definition: JsonObject, input: JsonObject) => Kind | undefined;
  readonly nested: Nested;
}

/** `call`: a function of the specification, of `use.functions` or of a catalog. */
export function compileCall(
  compiler: Compiler,
  body: JsonObject,
  path: string,
  { asFunction, nested }: Inner,
): Kind | undefined {
  let called = body.call as string;
  let input = isObject(body.with) ? body.with : {};
  const functions = isObject(compiler.body.use) ? compiler.body.use.functions : undefined;
  if (isObject(functions) && Object.hasOwn(functions, called)) {
    const used = functions[called] as JsonObject;
    if (typeof used.call !== 'string') return asFunction(called, used, input);
    called = used.call;
    input = { ...(isObject(used.with) ? used.with : {}), ...input };
  }
  if (called === 'http')
    return compilePrimitive(compiler, called, isReading(input.method) ? 'http-read' : 'http', input, path);
  if (called === 'a2a')
    return compilePrimitive(compiler, called, isA2aReading(input.method) ? 'a2a-read' : 'a2a', input, path);
  if (called === 'asyncapi') return compileAsyncApi(compiler, input, path, nested);
  if (called === 'grpc') return compileGrpc(compiler, input, path);
  if (called === 'mcp') return compileMcp(compiler, input, path);
  if (called === 'openapi') return compileOpenApi(compiler, input, path);
  const resource = keptResource(compiler.body, called);
  if (resource && 'text' in resource) {
    const definition = compiler.try(`${path}/call`, () => readDocument(resource.text, called).value);
    if (definition) compiler.learnNames(definition);
    return definition && asFunction(called, definition, input);
  }
  const primitive = compiler.catalog.get(called.replace(/@default$/, ''));
  if (!primitive || !called.endsWith('@default')) {
    compiler.unsupported(`${path}/call`, ...notInCatalog(compiler, called));
    return undefined;
  }
  checkStaticInput(compiler, primitive.inputSchema, input, `${path}/with`);
  return {
    type: 'call',
    primitive,
    with: compiler.template(input, `${path}/with`),
    // What is written out whole was checked above: only what expressions give is checked again at each call.
    validate: compiler.isStatic(input) ? undefined : compileSchema(primitive.inputSchema),
  };
}

/** What the specification calls by its name alone; `http-read` and the like are how AIOS keeps reading and acting apart. */
const SPECIFIED = ['http', 'openapi', 'grpc', 'asyncapi', 'mcp', 'a2a'];
const OF_SPECIFIED = new RegExp(`^(?:${SPECIFIED.join('|')}|script|shell|container)(?:-[a-z]+)*:`);

function notInCatalog({ catalog, body }: Compiler, called: string): [message: string, expected: string] {
  const own = [...catalog.keys()].filter((key) => !OF_SPECIFIED.test(key)).map((key) => `${key}@default`);
  const functions = isObject(body.use) && isObject(body.use.functions) ? Object.keys(body.use.functions) : [];
  const known = [...own, ...SPECIFIED, ...functions];
  const name = called.replace(/[:@].*$/, '');
  const meant = closestName(
    name,
    known.map((each) => each.replace(/[:@].*$/, '')),
  );
  const whole = known.find((each) => each.replace(/[:@].*$/, '') === meant);
  return [`“${called}” is not in the catalog${whole ? `; did you mean ${whole}?` : ''}`, known.join(', ')];
}

function compileGrpc(compiler: Compiler, given: JsonObject, path: string): Kind | undefined {
  const { proto, service, method } = given;
  const { endpoint } = isObject(proto) ? proto : {};
  if (endpoint === undefined || !isObject(service) || typeof method !== 'string') {
    compiler.fault(
      `${path}/with`,
      'a call of grpc names a proto, a service and a method',
      'proto, service, method',
    );
    return undefined;
  }
  const key = keyOf(endpoint, `${String(service.name)}/${method}`);
  const found = compiler.resource(key, `${path}/with/proto/endpoint`);
  if (!found || !('operation' in found)) return undefined;
  const { operation } = found;
  const input = { ...given, proto: { endpoint: uriOf(endpoint) } };
  const name = operation.isReading ? 'grpc-read' : 'grpc';
  return compilePrimitive(compiler, 'grpc', name, input, path, operation);
}

function compileMcp(compiler: Compiler, input: JsonObject, path: string): Kind | undefined {
  const isStdio = isObject(input.transport) && input.transport.stdio !== undefined;
  const name = `mcp${isStdio ? '-stdio' : ''}${isMcpReading(input.method) ? '-read' : ''}`;
  if (isStdio && !compiler.catalog.has(`${name}:1`)) {
    compiler.unsupported(
      `${path}/with/transport/stdio`,
      'MCP servers are not started by a command here',
      'transport: { http }, or the command in AIOS_MCP_COMMANDS, which an operator sets',
    );
    return undefined;
  }
  return compilePrimitive(compiler, 'mcp', name, input, path);
}

function compileOpenApi(compiler: Compiler, given: JsonObject, path: string): Kind | undefined {
  const { document, operationId } = given;
  const { endpoint } = isObject(document) ? document : {};
  if (endpoint === undefined || typeof operationId !== 'string') {
    compiler.fault(
      `${path}/with`,
      'a call of openapi names a document and an operation',
      'document, operationId',
    );
    return undefined;
  }
  const key = keyOf(endpoint, operationId);
  const found = compiler.resource(key, `${path}/with/document/endpoint`);
  if (!found || !('operation' in found)) return undefined;
  const { operation } = found;
  const { parameters } = given;
  if (isObject(parameters))
    compiler.try(`${path}/with/parameters`, () => openApiRequest(operation as never, parameters));
  const name = isReading(operation.method) ? 'openapi-read' : 'openapi';
  const input = { ...given, document: { endpoint: uriOf(endpoint) } };
  return compilePrimitive(compiler, 'openapi', name, input, path, operation);
}

/** A function of the specification: its credentials resolved, its secrets left as references, and what `fixed` adds not journaled. */
function compilePrimitive(
  compiler: Compiler,
  called: string,
  name: string,
  given: JsonObject,
  path: string,
  operation?: JsonObject,
): Kind | undefined {
  const primitive = compiler.catalog.get(`${name}:1`);
  if (!primitive || primitive.kind === 'wait') {
    compiler.unsupported(`${path}/call`, `“${called}” is not run here`, 'a primitive of the catalog');
    return undefined;
  }
  const { input, secretsAt, pinned } = takeSecrets(compiler, called, given, `${path}/with`);
  checkStaticInput(compiler, primitive.inputSchema, input, `${path}/with`);
  const template = compiler.template(input, `${path}/with`);
  const expand = expandUris(called, input);
  return {
    type: 'call',
    primitive: bound(primitive, operation ? { operation, secretsAt } : { secretsAt }),
    pinned,
    with: expand ? (scope) => expand(template(scope) as JsonObject, scope) : template,
    // Also of what is written out whole: an operator may give other arguments when the step is done again.
    validate: compileSchema(primitive.inputSchema),
  };
}
