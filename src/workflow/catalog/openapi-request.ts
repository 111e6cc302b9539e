import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly style: string;
  readonly explode: boolean;
}

/** An operation as the compiler of flows found it in its document (`openapi.ts` of the language). */
export interface OpenApiOperation {
  readonly method: string;
  readonly url: string;
  readonly parameters: readonly Parameter[];
  readonly body?: { readonly contentType: string; readonly required: boolean; readonly name?: string };
}

const DELIMITERS: { readonly [style: string]: string } = {
  spaceDelimited: '%20',
  pipeDelimited: '%7C',
  tabDelimited: '%09',
};

/**
 * The request of an operation (OpenAPI 3.1.1, "Style Values"). A parameter that the operation does not have belongs to its body: the member `body` (or the name
 * that 2.0 gives it) is the whole of it, without it the others are its members.
 *
 * @throws AiosError `connectors.input_invalid` for a parameter that is missing, or one too many
 * @example openApiRequest(operation, { petId: 7 }) // { method: 'GET', url: 'https://example.org/pets/7', headers: {} }
 */
export function openApiRequest(operation: OpenApiOperation, given: JsonObject) {
  const rest = { ...given };
  const query: string[] = [];
  const cookies: string[] = [];
  const headers: Record<string, string> = {};
  let { url } = operation;
  for (const parameter of operation.parameters) {
    const { name } = parameter;
    const value = rest[name];
    delete rest[name];
    if (value === undefined || value === null) {
      if (parameter.required) throw invalid(`The parameter “${name}” is missing.`);
      url = url.replaceAll(`{${name}}`, '');
    } else if (parameter.in === 'path') url = url.replaceAll(`{${name}}`, inPath(parameter, value));
    else if (parameter.in === 'header')
      headers[name.toLowerCase()] = simple(value, parameter.explode, String);
    else if (parameter.in === 'cookie') cookies.push(...pairs(parameter, value));
    else query.push(...pairs(parameter, value));
  }
  if (cookies.length > 0) headers.cookie = cookies.join('; ');
  const body = bodyOf(operation, rest);
  if (body !== undefined) headers['content-type'] = operation.body!.contentType;
  const joined = query.length === 0 ? '' : `${url.includes('?') ? '&' : '?'}${query.join('&')}`;
  return { method: operation.method, url: url + joined, headers, body };
}

function bodyOf({ body }: OpenApiOperation, rest: JsonObject): Json | undefined {
  const names = Object.keys(rest);
  if (!body) {
    if (names.length > 0) throw invalid(`The operation has no parameter “${names[0]}”.`);
    return undefined;
  }
  const whole = [body.name ?? 'body', 'body'].find((name) => rest[name] !== undefined);
  const value: Json | undefined = whole === undefined ? (names.length > 0 ? rest : undefined) : rest[whole];
  if (value === undefined) {
    if (body.required) throw invalid('The body is missing: give its members, or “body”.');
    return undefined;
  }
  if (/^application\/x-www-form-urlencoded/.test(body.contentType))
    return pairs({ name: '', in: 'form', required: false, style: 'form', explode: true }, value).join('&');
  // Text is sent as it is; a text that is to be JSON has to be made so.
  return typeof value === 'string' && /[/+]json/.test(body.contentType) ? JSON.stringify(value) : value;
}

function inPath({ name, style, explode }: Parameter, value: Json): string {
  if (style === 'label') {
    const parts = isObject(value)
      ? Object.entries(value).flatMap(([key, member]) =>
          explode ? [`${key}=${encode(member)}`] : [key, encode(member)],
        )
      : listOf(value).map(encode);
    return `.${parts.join(explode ? '.' : ',')}`;
  }
  if (style !== 'matrix') return simple(value, explode, encode);
  if (isObject(value) && explode)
    return Object.entries(value)
      .map(([key, member]) => `;${encode(key)}=${encode(member)}`)
      .join('');
  if (Array.isArray(value) && explode) return value.map((item) => `;${name}=${encode(item)}`).join('');
  return `;${name}=${simple(value, false, encode)}`;
}

function simple(value: Json, explode: boolean, text: (value: Json) => string): string {
  if (!isObject(value))
    return listOf(value)
      .map((item) => text(plain(item)))
      .join(',');
  return Object.entries(value)
    .map(([key, member]) => `${text(key)}${explode ? '=' : ','}${text(plain(member))}`)
    .join(',');
}

/** `name=value` for queries, forms and cookies. */
function pairs({ name, style, explode }: Parameter, value: Json): string[] {
  const key = encode(name);
  if (style === 'json') return [`${key}=${encode(JSON.stringify(value))}`];
  if (isObject(value)) {
    const members = Object.entries(value).filter(([, member]) => member !== null);
    if (style === 'deepObject')
      return members.map(([part, member]) => `${key}%5B${encode(part)}%5D=${encode(member)}`);
    if (explode)
      return members.flatMap(([part, member]) =>
        listOf(member).map((item) => `${encode(part)}=${encode(item)}`),
      );
    return [`${key}=${members.flatMap(([part, member]) => [encode(part), encode(member)]).join(',')}`];
  }
  if (!Array.isArray(value)) return [`${key}=${encode(value)}`];
  if (explode) return value.map((item) => `${key}=${encode(item)}`);
  return [`${key}=${value.map(encode).join(DELIMITERS[style] ?? ',')}`];
}

function listOf(value: Json): Json[] {
  return Array.isArray(value) ? value : [value];
}

function plain(value: Json): Json {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
}

function encode(value: Json): string {
  return encodeURIComponent(String(plain(value)));
}

function invalid(detail: string): AiosError {
  return new AiosError('connectors.input_invalid', { detail });
}
