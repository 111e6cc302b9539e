import { createHash, randomBytes } from 'node:crypto';
import type { Dispatcher } from 'undici';
import { destinationOf } from '../kernel/destination.ts';
import { AiosError } from '../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import { AUDIENCE, OAuth2Tokens, tokenAddress } from './oauth2.ts';
import type { SecretAudience } from './secret-hosts.ts';

/**
 * An authentication policy (OWS 1.0.3, "Authentication") whose secrets are filled in: one of `basic`, `bearer`, `digest`, `oauth2`, `oidc`. `use` inside of
 * one holds the whole secret: `user:password`, a token, or a JSON object with the members of the policy.
 */
export type Authentication = JsonObject;

/** The request that is to be authenticated. */
export interface RequestTarget {
  readonly method: string;
  readonly url: URL;
}

/** Schemes whose credentials go to an authority, and only its token to the server. */
export const TOKEN_SCHEMES = ['oauth2', 'oidc'] as const;
const SCHEMES = ['basic', 'bearer', 'digest', ...TOKEN_SCHEMES] as const;

/** Makes the `Authorization` of requests; keeps tokens until they expire. */
export class Authenticator {
  readonly #tokens: OAuth2Tokens;

  constructor(dispatcher: Dispatcher, limits: Limits) {
    this.#tokens = new OAuth2Tokens(dispatcher, limits);
  }

  /**
   * The value of the `Authorization` header, undefined when there is none to send (digest before it is challenged, nothing left to try after an answer 401).
   *
   * @param challenge `www-authenticate` of an answer 401 to a request with what this answered before
   * @throws AiosError `connectors.input_invalid` for an invalid policy, `connectors.authentication_failed` when no token can be had
   * @example await authenticator.authorization({ bearer: { token: 't' } }, { method: 'GET', url }) // 'Bearer t'
   */
  async authorization(
    policy: Authentication | undefined,
    target: RequestTarget,
    challenge?: string,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    if (!policy) return undefined;
    const scheme = SCHEMES.find((name) => isObject(policy[name]));
    if (!scheme) throw invalid(`An authentication has one of ${SCHEMES.join(', ')}.`);
    const members = expanded(scheme, policy[scheme] as JsonObject);
    if (scheme === 'oauth2' || scheme === 'oidc') {
      const token = await this.#tokens.token(scheme, members, challenge !== undefined, signal);
      return token === undefined ? undefined : `Bearer ${token}`;
    }
    if (scheme === 'digest')
      return challenge === undefined ? undefined : digestAnswer(challenge, members, target);
    if (challenge !== undefined) return undefined;
    if (scheme === 'bearer') return `Bearer ${text(members, 'token')}`;
    return `Basic ${base64(`${text(members, 'username')}:${text(members, 'password')}`)}`;
  }

  /** Name and password, for protocols that have no header. @throws AiosError `connectors.input_invalid` for another scheme */
  login(policy: Authentication | undefined): { username: string; password: string } | undefined {
    if (!policy) return undefined;
    if (!isObject(policy.basic)) throw invalid('This protocol knows basic authentication only.');
    const members = expanded('basic', policy.basic);
    return { username: text(members, 'username'), password: text(members, 'password') };
  }
}

/** What must not be told of a policy: the secret parts of what was sent for it. */
export function secretsOf(authorization: string | undefined): string[] {
  if (authorization === undefined) return [];
  const value = authorization.slice(authorization.indexOf(' ') + 1);
  return [value];
}

/**
 * Holds the secrets of a policy whose secrets are filled in to where its credentials go: with `oauth2` and `oidc` to the authority first, and to the
 * endpoint that its document names when that is known.
 *
 * @returns the policy that is checked
 * @throws AiosError `connectors.secret_refused`, `connectors.input_invalid` for an invalid policy
 */
export function checkedForTokens(policy: Authentication, audience: SecretAudience): Authentication {
  const scheme = TOKEN_SCHEMES.find((name) => isObject(policy[name]));
  if (!scheme) return policy;
  const members = expanded(scheme, policy[scheme] as JsonObject);
  audience.check(destinationOf(tokenAddress(scheme, members)));
  return { ...policy, [scheme]: Object.assign({ ...members }, { [AUDIENCE]: audience }) };
}

/** The members of a policy that a secret holds whole. */
function expanded(scheme: string, members: JsonObject): JsonObject {
  const { use, ...rest } = members;
  if (typeof use !== 'string') return members;
  const parsed = jsonObject(use);
  if (parsed) return { ...parsed, ...rest };
  if (scheme === 'bearer') return { token: use };
  const colon = use.indexOf(':');
  if (colon > 0 && (scheme === 'basic' || scheme === 'digest'))
    return { username: use.slice(0, colon), password: use.slice(colon + 1) };
  throw invalid(`The secret of ${scheme} is a JSON object with the members of the policy.`);
}

function jsonObject(value: string): JsonObject | undefined {
  if (!value.trimStart().startsWith('{')) return undefined;
  try {
    const parsed = JSON.parse(value) as Json;
    return isObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function text(members: JsonObject, name: string): string {
  const value = members[name];
  if (typeof value === 'string') return value;
  throw invalid(`The authentication lacks “${name}”.`);
}

/**
 * The answer to a digest challenge (RFC 7616): MD5, SHA-256 and their session forms, with `qop=auth` or none (RFC 2069).
 *
 * @example digestAnswer('Digest realm="r", nonce="n", qop="auth"', { username: 'u', password: 'p' }, { method: 'GET', url })
 */
export function digestAnswer(
  challenge: string,
  { username, password }: JsonObject,
  { method, url }: RequestTarget,
  cnonce = randomBytes(16).toString('hex'),
): string | undefined {
  const chosen = challengesOf(challenge).find(({ algorithm = 'MD5' }) =>
    /^(MD5|SHA-256)(-sess)?$/i.test(algorithm),
  );
  const { realm = '', nonce, opaque, algorithm = 'MD5', qop } = chosen ?? {};
  if (nonce === undefined) return undefined;
  const name = /^SHA-256/i.test(algorithm) ? 'sha256' : 'md5';
  const hash = (value: string) => createHash(name).update(value).digest('hex');
  const uri = url.pathname + url.search;
  const isSession = /-sess$/i.test(algorithm);
  const login = hash(`${String(username)}:${realm}:${String(password)}`);
  const a1 = isSession ? hash(`${login}:${nonce}:${cnonce}`) : login;
  const a2 = hash(`${method}:${uri}`);
  const quality = qop?.split(',').map((value) => value.trim().toLowerCase());
  if (quality && !quality.includes('auth')) return undefined;
  const count = '00000001';
  const response = quality
    ? hash(`${a1}:${nonce}:${count}:${cnonce}:auth:${a2}`)
    : hash(`${a1}:${nonce}:${a2}`);
  const quoted = { username: String(username), realm, nonce, uri, response, ...(opaque ? { opaque } : {}) };
  const parts = Object.entries(quoted).map(([key, value]) => `${key}="${value.replace(/["\\]/g, '\\$&')}"`);
  parts.push(`algorithm=${algorithm}`);
  if (quality) parts.push('qop=auth', `nc=${count}`, `cnonce="${cnonce}"`);
  return `Digest ${parts.join(', ')}`;
}

/** The digest challenges of a `www-authenticate` header, which may hold several of any scheme. */
function challengesOf(header: string): { [name: string]: string | undefined }[] {
  return header
    .split(/(?:^|,\s*)(?=Digest\s)/i)
    .filter((part) => /^Digest\s/i.test(part))
    .map((part) => {
      const members: { [name: string]: string } = {};
      for (const [, name = '', quoted, plain] of part.matchAll(
        /(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g,
      ))
        members[name.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '';
      return members;
    });
}

function base64(value: string): string {
  return Buffer.from(value).toString('base64');
}

function invalid(detail: string): AiosError {
  return new AiosError('connectors.input_invalid', { detail });
}
