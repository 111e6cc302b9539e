import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { resolveReference } from './references.ts';

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'];
/** Bodies that are sent, the best first. */
const CONTENT_TYPES = [/[/+]json$/, /^application\/x-www-form-urlencoded$/, /^text\//];

/**
 * The operation of an OpenAPI document (2.0, 3.0, 3.1) as calls of it need it: its method, its address, how each parameter is written, what the body is.
 * Small enough to be kept with the flow, so that a call reads no document.
 *
 * @param uri where the document lies: relative addresses of servers count from there
 * @throws AiosError `definition.invalid` for an invalid document, an operation that it lacks, a body that is not sent
 * @example openApiOperation(document, 'findPets', 'https://example.org/openapi.json') // { method: 'GET', url: 'https://example.org/v2/pets', parameters: […] }
 */
export function openApiOperation(document: Json, operationId: string, uri: string): JsonObject {
  if (!isObject(document) || (document.openapi === undefined && document.swagger === undefined))
    throw invalid(`${uri} is no OpenAPI document: it has neither “openapi” nor “swagger”.`);
  const isV2 = document.swagger !== undefined;
  const found = find(document, operationId);
  const listed = [found.item.parameters, found.operation.parameters].flatMap((list) =>
    Array.isArray(list) ? list.map((parameter) => resolveReference(document, parameter)) : [],
  );
  const byPlace = new Map(listed.map((parameter) => [`${parameter.in}/${parameter.name}`, parameter]));
  const all = [...byPlace.values()];
  const base = isV2 ? serverOfV2(document, found.operation, uri) : serverOf(document, found, uri);
  const body = isV2
    ? bodyOfV2(document, found.operation, all)
    : bodyOf(document, found.operation, operationId);
  return {
    method: found.method.toUpperCase(),
    url: base.replace(/\/+$/, '') + found.path,
    parameters: all
      .filter((parameter) => parameter.in !== 'body' && parameter.in !== 'formData')
      .map((parameter) => (isV2 ? parameterOfV2(parameter) : parameterOf(parameter))),
    ...(body ? { body } : {}),
  };
}

interface Found {
  path: string;
  method: string;
  item: JsonObject;
  operation: JsonObject;
}

function find(document: JsonObject, operationId: string): Found {
  const known: string[] = [];
  for (const [path, value] of Object.entries(isObject(document.paths) ? document.paths : {})) {
    const item = resolveReference(document, value);
    for (const method of METHODS) {
      const operation = item[method];
      if (!isObject(operation)) continue;
      if (operation.operationId === operationId) return { path, method, item, operation };
      if (typeof operation.operationId === 'string') known.push(operation.operationId);
    }
  }
  throw invalid(
    `The document has no operation “${operationId}”; it has ${known.slice(0, 40).join(', ') || 'none with an id'}.`,
  );
}

function serverOf(document: JsonObject, { item, operation }: Found, uri: string): string {
  const lists = [operation.servers, item.servers, document.servers];
  const servers = lists.find((list) => Array.isArray(list) && list.length > 0) as JsonObject[] | undefined;
  const { url = '/', variables } = servers?.[0] ?? {};
  const text = String(url).replace(/\{([^}]+)\}/g, (_, name: string) => {
    const variable = isObject(variables) ? variables[name] : undefined;
    return isObject(variable) ? String(variable.default ?? '') : '';
  });
  return absolute(text, uri);
}

function serverOfV2(document: JsonObject, operation: JsonObject, uri: string): string {
  const schemes = [operation.schemes, document.schemes].find(Array.isArray) as string[] | undefined;
  const at = URL.parse(uri);
  const scheme =
    schemes?.includes('https') || !schemes ? (schemes ? 'https' : at?.protocol.slice(0, -1)) : schemes[0];
  const host = typeof document.host === 'string' ? document.host : at?.host;
  const basePath = typeof document.basePath === 'string' ? document.basePath : '';
  return absolute(`${scheme ?? 'https'}://${host ?? ''}${basePath}`, uri);
}

function absolute(url: string, uri: string): string {
  const found = URL.parse(url, URL.canParse(uri) ? uri : undefined);
  if (!found || !/^https?:$/.test(found.protocol))
    throw invalid(`“${url}” is not an address of a server: the document has to name one of http or https.`);
  return found.href;
}

function parameterOf(parameter: JsonObject): JsonObject {
  const place = String(parameter.in);
  const style = String(parameter.style ?? (place === 'query' || place === 'cookie' ? 'form' : 'simple'));
  const content = isObject(parameter.content) ? Object.keys(parameter.content)[0] : undefined;
  return {
    name: String(parameter.name),
    in: place,
    required: place === 'path' || parameter.required === true,
    style: content?.includes('json') ? 'json' : style,
    explode: typeof parameter.explode === 'boolean' ? parameter.explode : style === 'form',
  };
}

/** `collectionFormat` of 2.0, in the words of 3. */
function parameterOfV2(parameter: JsonObject): JsonObject {
  const place = String(parameter.in);
  const format = String(parameter.collectionFormat ?? 'csv');
  const delimited = { ssv: 'spaceDelimited', tsv: 'tabDelimited', pipes: 'pipeDelimited' }[format];
  return {
    name: String(parameter.name),
    in: place,
    required: place === 'path' || parameter.required === true,
    style: delimited ?? (place === 'query' ? 'form' : 'simple'),
    explode: format === 'multi',
  };
}

function bodyOf(document: JsonObject, operation: JsonObject, operationId: string): JsonObject | undefined {
  if (operation.requestBody === undefined) return undefined;
  const { content, required } = resolveReference(document, operation.requestBody);
  const types = Object.keys(isObject(content) ? content : {});
  const contentType = chosen(types);
  if (contentType === undefined)
    throw invalid(
      `The body of “${operationId}” is ${types.join(', ') || 'of no type'}: JSON, forms and text are sent.`,
    );
  return { contentType, required: required === true };
}

function bodyOfV2(
  document: JsonObject,
  operation: JsonObject,
  parameters: JsonObject[],
): JsonObject | undefined {
  const consumes = [operation.consumes, document.consumes].find(Array.isArray) as string[] | undefined;
  const fields = parameters.filter((parameter) => parameter.in === 'formData');
  if (fields.some(({ type }) => type === 'file')) throw invalid('Files in forms are not sent.');
  const whole = parameters.find((parameter) => parameter.in === 'body');
  if (fields.length > 0)
    return {
      contentType: 'application/x-www-form-urlencoded',
      required: fields.some(({ required }) => required === true),
    };
  if (!whole) return undefined;
  const contentType = chosen(consumes ?? ['application/json']);
  if (contentType === undefined)
    throw invalid(`A body of ${consumes?.join(', ')} is not sent: JSON, forms and text are.`);
  return { contentType, required: whole.required === true, name: String(whole.name) };
}

function chosen(types: readonly string[]): string | undefined {
  for (const pattern of CONTENT_TYPES) {
    const found = types.find((type) => pattern.test(type.split(';')[0]!.trim()));
    if (found !== undefined) return found;
  }
  return types.includes('*/*') || types.includes('application/*') ? 'application/json' : undefined;
}

function invalid(detail: string): AiosError {
  return new AiosError('definition.invalid', { detail });
}
