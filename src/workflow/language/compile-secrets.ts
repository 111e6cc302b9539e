import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { escapePointer } from '../../kernel/schema.ts';
import type { Compiler } from './compile.ts';

/**
 * `${ $secrets.NAME }` (jq) or `${ secrets.NAME }` (CEL), `["NAME"]` for names with hyphens, with a member of a secret that is a JSON object. The value is not
 * put in here: it would stand in the journal. What stays is `{secrets.NAME}`, and the place where it stands (decisions/0011).
 */
const EXPRESSION =
  /\$\{\s*\$?secrets(?:\.([A-Za-z_]\w*)|\[\s*["']([A-Za-z][\w-]*)["']\s*\])((?:\.[A-Za-z_]\w*)*)\s*\}/g;
const SECRET_NAME = /^[A-Za-z][\w-]*$/;
/** Members of policies that are credentials: written out, they would stand in every version of the definition. */
const CREDENTIAL = /^(password|token|secret|assertion|use)$/;

/** Where the calls of the specification take credentials and secrets, as paths into `with`. */
const PLACES: {
  readonly [called: string]: {
    policies: readonly string[];
    texts: readonly string[];
    /** Members that say where a call goes. */
    addresses?: readonly string[];
  };
} = {
  http: {
    policies: ['endpoint/authentication'],
    texts: ['headers', 'query'],
    addresses: ['endpoint', 'redirect'],
  },
  openapi: { policies: ['authentication'], texts: ['parameters'] },
  grpc: { policies: ['service/authentication'], texts: [], addresses: ['service'] },
  asyncapi: { policies: ['authentication'], texts: [] },
  mcp: {
    policies: ['transport/http/endpoint/authentication'],
    texts: ['transport/http/headers', 'transport/stdio/environment'],
    addresses: ['transport'],
  },
  a2a: {
    policies: ['server/authentication', 'agentCard/endpoint/authentication'],
    texts: [],
    addresses: ['server', 'agentCard'],
  },
  catalog: { policies: ['endpoint/authentication'], texts: [] },
  process: { policies: [], texts: ['environment'], addresses: ['command', 'image', 'name'] },
};

/** A member that was looked at: with references in the place of secrets, and where they stand. */
export interface WithSecrets {
  readonly input: JsonObject;
  /** JSON Pointers into the input. */
  readonly secretsAt: readonly string[];
  /** Where there are any: the members of the input that hold them, and those that say where it goes. */
  readonly pinned: readonly string[] | undefined;
}

/** Resolves the policies that an input names, and takes the secrets out of what will be journaled. */
export function takeSecrets(
  compiler: Compiler,
  called: string,
  input: JsonObject,
  path: string,
): WithSecrets {
  const secretsAt: string[] = [];
  const places = PLACES[called];
  if (!places) return { input, secretsAt, pinned: undefined };
  let found: Json = input;
  for (const place of places.policies)
    found = changed(found, place.split('/'), (policy) =>
      resolvePolicy(compiler, policy, `/${place}`, path, secretsAt),
    );
  for (const place of places.texts)
    found = changed(found, place.split('/'), (members) =>
      isObject(members) ? readTexts(compiler, members, `/${place}`, path, secretsAt) : members,
    );
  const holding = secretsAt.map((place) => place.split('/')[1]!);
  const pinned = holding.length > 0 ? [...new Set([...holding, ...(places.addresses ?? [])])] : undefined;
  return { input: found as JsonObject, secretsAt, pinned };
}

/** Every policy of `use.authentications`, also those that no call names. */
export function checkAuthentications(compiler: Compiler, authentications: Json | undefined): void {
  if (!isObject(authentications)) return;
  for (const [name, policy] of Object.entries(authentications)) {
    const at = `/use/authentications/${escapePointer(name)}`;
    if (!isObject(policy))
      compiler.fault(at, 'an authentication is an object', 'basic, bearer, digest, oauth2, oidc');
    else readPolicy(compiler, policy, at, '', []);
  }
}

/** `use.secrets`: names, whose values come from the environment or the secrets file. */
export function checkSecretNames(compiler: Compiler, secrets: Json | undefined): void {
  if (!Array.isArray(secrets)) return;
  for (const [index, name] of secrets.entries())
    if (typeof name !== 'string' || !SECRET_NAME.test(name))
      compiler.fault(`/use/secrets/${index}`, 'a secret is a name', 'letters, digits, _ and -');
}

function resolvePolicy(
  compiler: Compiler,
  policy: Json,
  place: string,
  path: string,
  secretsAt: string[],
): Json {
  const name = typeof policy === 'string' ? policy : isObject(policy) ? policy.use : undefined;
  if (typeof name !== 'string') return readPolicy(compiler, policy, path + place, place, secretsAt);
  const used = compiler.used('authentications', name, path + place);
  if (!used) return {};
  return readPolicy(compiler, used, `/use/authentications/${escapePointer(name)}`, place, secretsAt);
}

/**
 * @param at where it stands in the definition, for faults
 * @param place where it will stand in the input of the call
 */
function readPolicy(compiler: Compiler, value: Json, at: string, place: string, secretsAt: string[]): Json {
  if (Array.isArray(value))
    return value.map((item, index) =>
      readPolicy(compiler, item, `${at}/${index}`, `${place}/${index}`, secretsAt),
    );
  if (!isObject(value)) return value;
  const result: JsonObject = {};
  for (const [name, member] of Object.entries(value)) {
    const here = `${place}/${escapePointer(name)}`;
    const where = `${at}/${escapePointer(name)}`;
    if (typeof member !== 'string') {
      result[name] = readPolicy(compiler, member, where, here, secretsAt);
      continue;
    }
    const text = name === 'use' ? `\${ $secrets["${member}"] }` : member;
    const reference = referenceOf(compiler, text, where);
    if (reference !== undefined) secretsAt.push(here);
    else if (CREDENTIAL.test(name))
      compiler.fault(
        where,
        'a credential is named, not written out: it would stand in every version of the definition and in the journal',
        `\${ $secrets.NAME }, with NAME in use.secrets`,
      );
    result[name] = reference ?? member;
  }
  return result;
}

function readTexts(
  compiler: Compiler,
  members: JsonObject,
  place: string,
  path: string,
  secretsAt: string[],
): JsonObject {
  const result: JsonObject = {};
  for (const [name, member] of Object.entries(members)) {
    const here = `${place}/${escapePointer(name)}`;
    const reference = typeof member === 'string' ? referenceOf(compiler, member, path + here) : undefined;
    if (reference !== undefined) secretsAt.push(here);
    result[name] = reference ?? member;
  }
  return result;
}

/** The text with references in the place of secrets; undefined when it holds none. */
function referenceOf(compiler: Compiler, source: string, path: string): string | undefined {
  const names: string[] = [];
  const text = source.replace(EXPRESSION, (_, plain?: string, quoted?: string, members = '') => {
    const name = plain ?? quoted ?? '';
    names.push(name);
    return `{secrets.${name}${members}}`;
  });
  if (names.length === 0) return undefined;
  if (text.includes('${') || source.includes('{secrets.'))
    compiler.fault(
      path,
      'a text with a secret holds no other expression: data could look like a secret',
      `plain text and \${ $secrets.NAME }`,
    );
  const use = isObject(compiler.body.use) ? compiler.body.use.secrets : undefined;
  const known = Array.isArray(use) ? use : [];
  for (const name of names)
    if (!known.includes(name))
      compiler.fault(
        path,
        `the secret “${name}” is not in use.secrets`,
        known.join(', ') || `use: { secrets: [${name}] }`,
      );
  return text;
}

function changed(value: Json, [member, ...rest]: readonly string[], change: (value: Json) => Json): Json {
  if (member === undefined) return change(value);
  if (!isObject(value) || value[member] === undefined) return value;
  return { ...value, [member]: changed(value[member], rest, change) };
}
