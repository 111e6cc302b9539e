import type { ErrorCode } from '../kernel/error-codes.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import { compileExpression } from '../kernel/expressions.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { type MicroUsd, microUsd } from '../kernel/money.ts';
import { compileSchema, escapePointer, type Validator } from '../kernel/schema.ts';
import { compileTemplate, type Template } from './template.ts';

/** An outside system, as its author writes it in `connectors/<name>.yaml`. */
interface ConnectorDefinition {
  readonly name: string;
  readonly type: 'http';
  /** `https://host/path`; may hold `${env.NAME}` and `${secrets.NAME}`, resolved at each call. */
  readonly baseUrl: string;
  /** May hold `${secrets.NAME}`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly retry?: {
    readonly attemptsMax?: number;
    readonly backoff?: { initialMs?: number; maxMs?: number };
  };
  readonly breaker?: { readonly failuresMax?: number; readonly openMs?: number };
  /** `host:port` or `host` (any port) that may be reached although its address is private. */
  readonly allowPrivate?: readonly string[];
  readonly costPerCallUsd?: number;
  readonly concurrencyMax?: number;
  readonly operations: Readonly<Record<string, OperationDefinition>>;
}

type MappingDefinition = string | { readonly [member: string]: MappingDefinition };

interface OperationDefinition {
  readonly method: Method;
  /** With `{placeholders}` filled from the input: `/refunds/{returnId}`. */
  readonly path: string;
  /** JSON Schema of the input. */
  readonly input?: JsonObject;
  /** Parameter name to CEL over `input`; a null is left out. */
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** CEL over `input`, or members each of CEL; the input as it is when left out. */
  readonly body?: MappingDefinition;
  /** CEL over `status`, `headers`, `body`, `input`; the body as it is when left out. */
  readonly response?: MappingDefinition;
  /** Statuses that are an answer; 200 to 299 when left out. */
  readonly success?: readonly number[];
  /** Whether the receiver does it once for the same Idempotency-Key: only then a call whose outcome is unknown is sent again. */
  readonly idempotent?: boolean;
  readonly costPerCallUsd?: number;
}

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
/** From the variables in scope to JSON. */
type Mapping = (scope: Readonly<Record<string, unknown>>) => Json;

export interface Operation {
  readonly name: string;
  readonly method: Method;
  readonly validate: Validator;
  path(input: JsonObject): string;
  readonly headers: readonly [name: string, value: Template][];
  /** Undefined for a request without a body. */
  readonly body: Mapping | undefined;
  readonly response: Mapping | undefined;
  isSuccess(status: number): boolean;
  readonly idempotent: boolean;
  readonly costPerCallMicroUsd: MicroUsd;
}

/** A connector ready for use. */
export interface Connector {
  readonly name: string;
  readonly baseUrl: Template;
  readonly timeoutMs: number;
  readonly attemptsMax: number;
  readonly backoffInitialMs: number;
  readonly backoffMaxMs: number;
  readonly breakerFailuresMax: number;
  readonly breakerOpenMs: number;
  readonly concurrencyMax: number;
  readonly allowPrivate: readonly Template[];
  readonly operations: ReadonlyMap<string, Operation>;
}

const DEFAULTS = {
  timeoutMs: 10_000,
  attemptsMax: 3,
  initialMs: 200,
  maxMs: 5_000,
  failuresMax: 5,
  openMs: 10_000,
  concurrencyMax: 16,
} as const;

/** A fault in a connector's document, at its place. */
export class ConnectorFault extends Error {
  readonly path: string;
  readonly code: ErrorCode;
  constructor(path: string, message: string, code: ErrorCode = 'definition.invalid') {
    super(message);
    this.path = path;
    this.code = code;
  }
}

/** @throws ConnectorFault with the place of what does not compile */
export function compileConnector(body: JsonObject): Connector {
  const definition = body as unknown as ConnectorDefinition;
  const baseUrl = at('/baseUrl', () => compileTemplate(definition.baseUrl, ['env', 'secrets']));
  if (baseUrl.isConstant) at('/baseUrl', () => parseBaseUrl(definition.baseUrl));
  const headers = compileHeaders('/headers', definition.headers);
  const operations = Object.entries(definition.operations).map(([name, operation]): [string, Operation] => [
    name,
    compileOperation(`/operations/${escapePointer(name)}`, name, operation, headers, definition),
  ]);
  return {
    name: definition.name,
    baseUrl,
    timeoutMs: definition.timeoutMs ?? DEFAULTS.timeoutMs,
    attemptsMax: definition.retry?.attemptsMax ?? DEFAULTS.attemptsMax,
    backoffInitialMs: definition.retry?.backoff?.initialMs ?? DEFAULTS.initialMs,
    backoffMaxMs: definition.retry?.backoff?.maxMs ?? DEFAULTS.maxMs,
    breakerFailuresMax: definition.breaker?.failuresMax ?? DEFAULTS.failuresMax,
    breakerOpenMs: definition.breaker?.openMs ?? DEFAULTS.openMs,
    concurrencyMax: definition.concurrencyMax ?? DEFAULTS.concurrencyMax,
    allowPrivate: (definition.allowPrivate ?? []).map((text, index) =>
      at(`/allowPrivate/${index}`, () => compileTemplate(text, ['env'])),
    ),
    operations: new Map(operations),
  };
}

/**
 * A base URL that may be called: http or https, without credentials, query or fragment.
 *
 * @throws Error whose message never shows the URL: it may have come from a variable
 */
export function parseBaseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new Error('the base URL must begin with http:// or https://');
  if (url.username || url.password || url.search || url.hash)
    throw new Error('the base URL must have no credentials, query or fragment: use headers and query');
  return url;
}

function compileOperation(
  path: string,
  name: string,
  definition: OperationDefinition,
  shared: readonly [string, Template][],
  connector: ConnectorDefinition,
): Operation {
  const { method, success, query, input } = definition;
  const own = compileHeaders(`${path}/headers`, definition.headers);
  const sendsBody =
    definition.body !== undefined || method === 'POST' || method === 'PUT' || method === 'PATCH';
  const fillPath = compilePath(`${path}/path`, definition.path);
  const fillQuery = compileQuery(`${path}/query`, query);
  return {
    name,
    method,
    validate: at(`${path}/input`, () => compileSchema(input ?? { type: 'object' })),
    path: (value) => fillPath(value) + fillQuery(value),
    headers: [...shared.filter(([header]) => !own.some(([other]) => other === header)), ...own],
    body: sendsBody ? compileMapping(`${path}/body`, definition.body ?? 'input') : undefined,
    response:
      definition.response === undefined ? undefined : compileMapping(`${path}/response`, definition.response),
    isSuccess: success ? (status) => success.includes(status) : (status) => status >= 200 && status < 300,
    idempotent: definition.idempotent ?? (method === 'GET' || method === 'HEAD'),
    costPerCallMicroUsd: microUsd(definition.costPerCallUsd ?? connector.costPerCallUsd ?? 0),
  };
}

// The client's own business, or ours.
const RESERVED = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'idempotency-key',
]);

function compileHeaders(path: string, headers: Readonly<Record<string, string>> = {}): [string, Template][] {
  return Object.entries(headers).map(([name, value]) => {
    const place = `${path}/${escapePointer(name)}`;
    if (RESERVED.has(name.toLowerCase()))
      throw new ConnectorFault(place, `the header ${name} is set by AIOS`);
    return [name.toLowerCase(), at(place, () => compileTemplate(value, ['secrets']))];
  });
}

function compileMapping(path: string, definition: MappingDefinition): Mapping {
  if (typeof definition === 'string') return at(path, () => compileExpression(definition));
  const members = Object.entries(definition).map(([name, member]): [string, Mapping] => [
    name,
    compileMapping(`${path}/${escapePointer(name)}`, member),
  ]);
  return (scope) => Object.fromEntries(members.map(([name, member]) => [name, member(scope)]));
}

function compileQuery(
  path: string,
  query: Readonly<Record<string, string>> = {},
): (input: JsonObject) => string {
  const parameters = Object.entries(query).map(([name, source]): [string, Mapping] => [
    name,
    at(`${path}/${escapePointer(name)}`, () => compileExpression(source)),
  ]);
  if (parameters.length === 0) return () => '';
  return (input) => {
    const search = new URLSearchParams();
    for (const [name, mapping] of parameters) {
      const value = mapping({ input });
      if (value !== null)
        search.append(name, typeof value === 'object' ? JSON.stringify(value) : String(value));
    }
    return search.size > 0 ? `?${search}` : '';
  };
}

const PLACEHOLDER = /\{([^{}]*)\}/g;
const MEMBERS = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/;

/** `/orders/{order.id}`: each placeholder is one segment's text, so that a value cannot reach another path. */
function compilePath(place: string, path: string): (input: JsonObject) => string {
  for (const [, name = ''] of path.matchAll(PLACEHOLDER)) {
    if (!MEMBERS.test(name))
      throw new ConnectorFault(place, `{${name}} names no member of the input, as {order.id} does`);
  }
  if (/[?#{}]/.test(path.replace(PLACEHOLDER, '')))
    throw new ConnectorFault(place, 'the path has a stray brace, ? or #: parameters go into query');
  return (input) =>
    path.replace(PLACEHOLDER, (_, name: string) => {
      let value: Json | undefined = input;
      for (const member of name.split('.')) value = isObject(value) ? value[member] : undefined;
      const text = typeof value === 'string' || typeof value === 'number' ? String(value) : '';
      if (text !== '' && text !== '.' && text !== '..') return encodeURIComponent(text);
      const issue: Issue = {
        path: `/${name.replaceAll('.', '/')}`,
        message: 'fills a place in the path: a text or a number',
        found: JSON.stringify(value) ?? 'nothing',
      };
      throw new AiosError('connectors.input_invalid', { issues: [issue] });
    });
}

function at<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ConnectorFault) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new ConnectorFault(path, message, error instanceof AiosError ? error.code : 'definition.invalid');
  }
}
