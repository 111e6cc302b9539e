import { digestOfBytes } from '../../kernel/canonical.ts';
import { readDocument } from '../../kernel/document.ts';
import { AiosError, type Issue } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { escapePointer } from '../../kernel/schema.ts';
import { catalogOf } from '../catalog/primitive.ts';
import { asyncApiOperation } from './asyncapi.ts';
import { Compiler } from './compile.ts';
import { asyncApiChoice, asyncApiKey } from './compile-asyncapi.ts';
import { takeSecrets } from './compile-secrets.ts';
import { grpcMethod } from './grpc-method.ts';
import { keyOf, uriOf, withMetadata, withoutResources } from './kept-resources.ts';
import { openApiOperation } from './openapi.ts';
import { isStatic } from './templates.ts';

/**
 * Reads a resource: a file of the project, or an address.
 *
 * @param secretsAt JSON Pointers into the endpoint where references to secrets stand
 * @throws AiosError when it cannot be had
 */
export type ReadResource = (
  endpoint: { uri: string; authentication?: JsonObject },
  secretsAt: readonly string[],
) => Promise<string>;

interface Wanted {
  readonly key: string;
  readonly endpoint: Json;
  readonly path: string;
  /** What is kept of it. */
  readonly keep: (
    text: string,
    uri: string,
    beside: (uri: string) => Promise<string>,
  ) => JsonObject | Promise<JsonObject>;
}

/** A function of a catalog: `log:1.0.0@global`. */
const CATALOGED = /^([^:@]+):([^:@]+)@([^:@]+)$/;
/** Members whose content is data, whatever it looks like. */
const DATA = new Set(['set', 'metadata', 'emit', 'with']);
const whole = (text: string): JsonObject => ({ text });

/**
 * The definition with everything that it names from elsewhere: documents of calls, schemas, scripts, functions of catalogs and what those name in turn. They are
 * read once, when the flow is applied, and kept with it under `document.metadata.aios.resources`, with their digests: a version of a flow means the same for ever.
 *
 * @throws AiosError `workflow.resource_unavailable` or `definition.invalid`, with the place that names the resource
 * @example await withResources(document.value, (endpoint) => readFile(endpoint.uri))
 */
export async function withResources(body: JsonObject, read: ReadResource): Promise<JsonObject> {
  const compiler = new Compiler(body, catalogOf([]), () => ({ stdout: '', stderr: '', exitCode: 0 }));
  const found = new Map<string, JsonObject>();
  const issues: Issue[] = [];
  let code: AiosError['code'] = 'definition.invalid';
  for (let wanted = [...namedIn(body, body, '')]; wanted.length > 0; ) {
    const next: Wanted[] = [];
    for (const { key, endpoint, path, keep } of wanted) {
      if (found.has(key)) continue;
      try {
        const { text, uri, beside } = await readOne(compiler, endpoint, path, read);
        const kept = await keep(text, uri, beside);
        found.set(key, { digest: digestOfBytes(text), ...kept });
        if (CATALOGED.test(key)) next.push(...namedIn(body, readDocument(text, uri).value, path));
      } catch (error) {
        if (!(error instanceof AiosError)) throw error;
        if (error.code === 'workflow.unsupported') code = error.code;
        else if (!error.code.startsWith('definition.')) code = 'workflow.resource_unavailable';
        issues.push({ path, message: error.message });
      }
    }
    wanted = next;
  }
  if (issues.length > 0) throw new AiosError(code, { issues });
  if (found.size === 0) return withoutResources(body);
  return withMetadata(body, Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1))));
}

async function readOne(compiler: Compiler, endpoint: Json, path: string, read: ReadResource) {
  const { input, secretsAt } = takeSecrets(compiler, 'catalog', { endpoint }, path);
  compiler.throwFaults();
  const uri = uriOf(input.endpoint);
  if (!isStatic(input.endpoint ?? null))
    throw new AiosError('definition.invalid', {
      detail: 'A resource is read when the flow is applied: its address and credentials hold no expression.',
    });
  const authentication = isObject(input.endpoint) ? input.endpoint.authentication : undefined;
  const places = secretsAt.map((place) => place.replace(/^\/endpoint/, ''));
  const from = (at: string) =>
    read(isObject(authentication) ? { uri: at, authentication } : { uri: at }, places);
  return { text: await from(uri), uri, beside: from };
}

/** Everything that a part of a definition names. */
function* namedIn(body: JsonObject, value: Json, path: string): Generator<Wanted> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* namedIn(body, item, `${path}/${index}`);
    return;
  }
  if (!isObject(value)) return;
  const { resource, source } = value;
  for (const [name, external] of Object.entries({ resource, source }))
    if (isObject(external) && external.endpoint !== undefined)
      yield {
        key: uriOf(external.endpoint),
        endpoint: external.endpoint,
        path: `${path}/${name}/endpoint`,
        keep: whole,
      };
  if (typeof value.call === 'string') yield* namedByCall(body, value.call, value.with, path);
  for (const [name, member] of Object.entries(value))
    if (!DATA.has(name)) yield* namedIn(body, member, `${path}/${escapePointer(name)}`);
}

function* namedByCall(
  body: JsonObject,
  call: string,
  input: Json | undefined,
  path: string,
): Generator<Wanted> {
  const { document, operationId, proto, service, method } = isObject(input) ? input : {};
  if (call === 'openapi' && isObject(document) && typeof operationId === 'string')
    yield {
      key: keyOf(document.endpoint!, operationId),
      endpoint: document.endpoint!,
      path: `${path}/with/document/endpoint`,
      keep: (text, uri) => ({ operation: openApiOperation(readDocument(text, uri).value, operationId, uri) }),
    };
  if (call === 'grpc' && isObject(proto) && isObject(service) && typeof method === 'string') {
    const name = String(service.name);
    yield {
      key: keyOf(proto.endpoint!, `${name}/${method}`),
      endpoint: proto.endpoint!,
      path: `${path}/with/proto/endpoint`,
      keep: async (text, uri, beside) => ({ operation: await grpcMethod(text, name, method, uri, beside) }),
    };
  }
  if (call === 'asyncapi' && isObject(document) && isObject(input)) {
    const { foreach } = isObject(input.subscription) ? input.subscription : {};
    if (foreach !== undefined) yield* namedIn(body, foreach, `${path}/with/subscription/foreach`);
    yield {
      key: asyncApiKey(document.endpoint!, input),
      endpoint: document.endpoint!,
      path: `${path}/with/document/endpoint`,
      keep: (text, uri) => ({
        operation: asyncApiOperation(readDocument(text, uri).value, asyncApiChoice(input), uri),
      }),
    };
  }
  const endpoint = catalogEndpoint(body, call);
  if (endpoint !== undefined) yield { key: call, endpoint, path: `${path}/call`, keep: whole };
}

/** Where a function of a catalog lies (github.com/serverlessworkflow/catalog, "Structure"); undefined for one of AIOS's own, and for what is no such name. */
function catalogEndpoint(body: JsonObject, call: string): Json | undefined {
  const [, name, version, catalog = ''] = CATALOGED.exec(call) ?? [];
  const catalogs = isObject(body.use) ? body.use.catalogs : undefined;
  const found = isObject(catalogs) && Object.hasOwn(catalogs, catalog) ? catalogs[catalog] : undefined;
  if (name === undefined || !isObject(found)) return undefined;
  const root = rawAddress(uriOf(found.endpoint)).replace(/\/+$/, '');
  const uri = `${root}/functions/${name}/${version}/function.yaml`;
  return isObject(found.endpoint) ? { ...found.endpoint, uri } : uri;
}

/** GitHub's and GitLab's pages of a folder, as the addresses of their contents (dsl.md, "Catalogs", "File Structure"). */
function rawAddress(uri: string): string {
  const github = /^https:\/\/github\.com\/([^/]+)\/([^/]+)(?:\/tree\/([^/]+)(\/.*)?)?\/?$/.exec(uri);
  if (github) {
    const [, owner, repository, branch = 'main', folder = ''] = github;
    return `https://raw.githubusercontent.com/${owner}/${repository}/refs/heads/${branch}${folder}`;
  }
  return uri.replace(/^(https:\/\/gitlab\.com\/.+)\/-\/tree\//, '$1/-/raw/');
}
