import { createHash, createHmac, randomUUID } from 'node:crypto';
import type { Dispatcher } from 'undici';
import { canonicalize } from '../kernel/canonical.ts';
import { destinationOf } from '../kernel/destination.ts';
import { AiosError } from '../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import { exchange } from './http-exchange.ts';
import type { SecretAudience } from './secret-hosts.ts';
import { redact } from './secrets.ts';

/** A token is not used in its last seconds: the call has to arrive before it expires. */
const EXPIRY_MARGIN_MS = 30_000;
/** RFC 6749 only recommends `expires_in`. */
const LIFETIME_DEFAULT_MS = 300_000;
const TOKENS_KEPT_MAX = 1_000;
const ASSERTION_SECONDS = 60;
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

const GUARDED = new Set(['connectors.egress_refused', 'connectors.secret_refused']);

/** Under it a policy keeps where its secrets may be sent: no JSON has a member of this name. */
export const AUDIENCE = Symbol('where the secrets of a policy may be sent');

interface Kept {
  readonly token: string;
  readonly untilMs: number;
}

/** Access tokens by the grants of RFC 6749 and RFC 8693, kept in memory until they expire; with `oidc` the endpoint is discovered. */
export class OAuth2Tokens {
  readonly #dispatcher: Dispatcher;
  readonly #limits: Limits;
  readonly #kept = new Map<string, Kept>();
  readonly #pending = new Map<string, Promise<Kept>>();

  constructor(dispatcher: Dispatcher, limits: Limits) {
    this.#dispatcher = dispatcher;
    this.#limits = limits;
  }

  /**
   * @param refused the kept token was answered 401: undefined when it was made for that very request, else a fresh one
   * @throws AiosError `connectors.authentication_failed` when the authority gives none
   */
  async token(
    scheme: 'oauth2' | 'oidc',
    policy: JsonObject,
    refused: boolean,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const key = createHash('sha256').update(canonicalize({ scheme, policy })).digest('base64');
    const kept = this.#kept.get(key);
    if (kept && !refused && performance.now() < kept.untilMs) return kept.token;
    this.#kept.delete(key);
    const asked = this.#pending.get(key) ?? this.#ask(scheme, policy, signal);
    this.#pending.set(key, asked);
    try {
      const fresh = await asked;
      if (this.#kept.size >= TOKENS_KEPT_MAX) this.#kept.clear();
      this.#kept.set(key, fresh);
      return fresh.token;
    } finally {
      this.#pending.delete(key);
    }
  }

  async #ask(scheme: string, policy: JsonObject, signal: AbortSignal | undefined): Promise<Kept> {
    const secrets = [...secretMembers(policy)];
    const startedMs = performance.now();
    try {
      const { url, issuers } = await this.#endpoint(scheme, policy, signal);
      const answer = await this.#post(url, tokenRequest(policy, url), policy, signal);
      const token = answer.access_token;
      if (typeof token !== 'string' || token === '') throw failed(`${url.origin} gave no access_token.`);
      checkIssuer(token, issuers);
      const lifetimeMs =
        Number(answer.expires_in) > 0 ? Number(answer.expires_in) * 1000 : LIFETIME_DEFAULT_MS;
      return { token, untilMs: startedMs + lifetimeMs - EXPIRY_MARGIN_MS };
    } catch (error) {
      if (!(error instanceof AiosError) || GUARDED.has(error.code)) throw error;
      // Whatever became of the request for a token, the call itself was not made.
      throw failed(redact(error.message, secrets));
    }
  }

  async #endpoint(scheme: string, policy: JsonObject, signal: AbortSignal | undefined) {
    const issuers = Array.isArray(policy.issuers) ? policy.issuers.map(String) : [];
    const address = tokenAddress(scheme, policy);
    const url = addressOf(address);
    if (!isDiscovered(scheme, authorityOf(policy))) return { url, issuers };
    const found = await this.#exchange(url, 'GET', {}, null, signal);
    if (typeof found.token_endpoint !== 'string') throw failed(`${address} names no token_endpoint.`);
    const endpoint = addressOf(found.token_endpoint);
    (policy as { [AUDIENCE]?: SecretAudience })[AUDIENCE]?.check(destinationOf(endpoint));
    return { url: endpoint, issuers };
  }

  #post(url: URL, members: { [name: string]: string }, policy: JsonObject, signal: AbortSignal | undefined) {
    const { client, request } = policy as { client?: JsonObject; request?: JsonObject };
    const isJson = request?.encoding === 'application/json';
    const headers: Record<string, string> = {
      'content-type': isJson ? 'application/json' : 'application/x-www-form-urlencoded',
    };
    if (client?.authentication === 'client_secret_basic') {
      // RFC 6749, section 2.3.1: both are form-encoded first.
      const login = [client.id, client.secret]
        .map((part) => encodeURIComponent(String(part ?? '')))
        .join(':');
      headers.authorization = `Basic ${Buffer.from(login).toString('base64')}`;
    }
    const body = isJson ? JSON.stringify(members) : new URLSearchParams(members).toString();
    return this.#exchange(url, 'POST', headers, body, signal);
  }

  async #exchange(
    url: URL,
    method: 'GET' | 'POST',
    headers: Record<string, string>,
    body: string | null,
    signal: AbortSignal | undefined,
  ): Promise<JsonObject> {
    const { status, text } = await exchange(this.#dispatcher, {
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers: {
        accept: 'application/json',
        'accept-encoding': 'identity',
        'user-agent': 'aios',
        ...headers,
      },
      body,
      timeoutMs: this.#limits.httpCallMs,
      responseBytesMax: this.#limits.connectorResponseBytesMax,
      signal,
    });
    const where = `${url.origin}${url.pathname}`;
    if (status < 200 || status > 299) throw failed(`${where} answered ${status}: ${text.slice(0, 200)}`);
    try {
      const value = JSON.parse(text) as Json;
      if (isObject(value)) return value;
    } catch {
      // told below
    }
    throw failed(`${where} answered no JSON object.`);
  }
}

/**
 * Where the credentials of a policy go, or the document that says it.
 *
 * @example tokenAddress('oauth2', { authority: 'https://idp.example.org' }) // 'https://idp.example.org/oauth2/token'
 */
export function tokenAddress(scheme: string, policy: JsonObject): string {
  const authority = authorityOf(policy);
  if (isDiscovered(scheme, authority))
    return authority.includes('/.well-known/') ? authority : `${authority}/.well-known/openid-configuration`;
  const endpoints = isObject(policy.endpoints) ? policy.endpoints : {};
  const path = String(endpoints.token ?? '/oauth2/token');
  return /^https?:/.test(path) ? path : `${authority}/${path.replace(/^\/+/, '')}`;
}

function authorityOf(policy: JsonObject): string {
  return String(policy.authority ?? '').replace(/\/+$/, '');
}

function isDiscovered(scheme: string, authority: string): boolean {
  return scheme !== 'oauth2' || authority.includes('/.well-known/');
}

function tokenRequest(policy: JsonObject, url: URL): { [name: string]: string } {
  const members: { [name: string]: string } = { grant_type: String(policy.grant) };
  const { client, scopes, audiences } = policy as {
    client?: JsonObject;
    scopes?: string[];
    audiences?: string[];
  };
  if (scopes?.length) members.scope = scopes.join(' ');
  if (audiences?.length) members.audience = audiences.join(' ');
  for (const name of ['username', 'password'])
    if (policy.grant === 'password' && typeof policy[name] === 'string') members[name] = policy[name];
  const { subject, actor } = policy as { subject?: JsonObject; actor?: JsonObject };
  if (policy.grant === 'refresh_token') members.refresh_token = String(subject?.token ?? '');
  else
    for (const [name, of] of Object.entries({ subject, actor })) {
      if (!of) continue;
      members[`${name}_token`] = String(of.token);
      members[`${name}_token_type`] = String(of.type);
    }
  return { ...members, ...clientMembers(client ?? {}, url) };
}

/** How the client proves who it is (OpenID Connect Core, section 9). */
function clientMembers(client: JsonObject, url: URL): { [name: string]: string } {
  const { id, secret, assertion, authentication = 'client_secret_post' } = client;
  const identity = id === undefined ? {} : { client_id: String(id) };
  switch (authentication) {
    case 'client_secret_basic':
      return {};
    case 'client_secret_jwt':
      return {
        ...identity,
        client_assertion_type: JWT_BEARER,
        client_assertion: signed(String(id), String(secret), url),
      };
    case 'private_key_jwt':
      return { ...identity, client_assertion_type: JWT_BEARER, client_assertion: String(assertion) };
    default:
      return secret === undefined || authentication === 'none'
        ? identity
        : { ...identity, client_secret: String(secret) };
  }
}

function signed(id: string, secret: string, url: URL): string {
  const seconds = Math.floor(Date.now() / 1000); // the authority's clock is the wall's, whatever a replay's is
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    iss: id,
    sub: id,
    aud: url.href,
    jti: randomUUID(),
    iat: seconds,
    exp: seconds + ASSERTION_SECONDS,
  };
  const head = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${head}.${createHmac('sha256', secret).update(head).digest('base64url')}`;
}

/** `issuers` of the policy: a token that is a JWT has to name one of them. */
function checkIssuer(token: string, issuers: readonly string[]): void {
  if (issuers.length === 0) return;
  const [, payload, signature] = token.split('.');
  if (payload === undefined || signature === undefined) return; // an opaque token says nothing about its issuer
  let issuer: unknown;
  try {
    issuer = (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { iss?: unknown }).iss;
  } catch {
    return;
  }
  if (!issuers.includes(String(issuer)))
    throw failed(`The token is of the issuer ${String(issuer)}, which is not one of issuers.`);
}

function* secretMembers(value: Json): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (Array.isArray(value)) for (const item of value) yield* secretMembers(item);
  else if (isObject(value))
    for (const [name, member] of Object.entries(value))
      if (isObject(member) || /^(password|token|secret|assertion)$/.test(name)) yield* secretMembers(member);
}

function addressOf(text: string): URL {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol))
    throw failed(`“${text.slice(0, 200)}” is not an address of http or https.`);
  return url;
}

function failed(detail: string): AiosError {
  return new AiosError('connectors.authentication_failed', { detail });
}
