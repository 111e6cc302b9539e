import { context, propagation } from '@opentelemetry/api';
import type { Agent } from 'undici';
import { AiosError } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Method } from './connector.ts';
import { idempotencyHeader } from './connectors.ts';
import { BODY_SHOWN_LENGTH, mayPass } from './delivery.ts';
import { createGuardedAgent, namesHost, type Resolve } from './egress.ts';
import { type ExchangeResponse, exchange } from './http-exchange.ts';
import { redact } from './secrets.ts';
import type { Variables } from './template.ts';

const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Credentials by the name of a secret: `user:password`, or the token. */
type HttpAuthentication = { basic: { use: string } } | { bearer: { use: string } };

interface HttpCall {
  /** In capitals. */
  readonly method: string;
  /** Absolute, `http` or `https`. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly query?: Readonly<Record<string, Json>> | undefined;
  /** Text is sent as it is, everything else as JSON. */
  readonly body?: Json | undefined;
  readonly authentication?: HttpAuthentication | undefined;
  /** Whether redirects are followed; without it a redirect is an error (OWS 1.0.3, "HTTP Call"). */
  readonly redirect?: boolean | undefined;
  readonly idempotencyKey: string;
  readonly signal?: AbortSignal | undefined;
}

interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** Of the request that was answered, after redirects. */
  readonly url: string;
}

interface Dependencies {
  limits: Limits;
  variables: Variables;
  /** `host` or `host:port` that may be called although its address is private. */
  allowPrivate: readonly string[];
  resolve?: Resolve;
}

const REDIRECTS_MAX = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Set by us, or of one connection only: a flow may not. */
const RESERVED =
  /^(host|connection|content-length|transfer-encoding|upgrade|idempotency-key|authorization)$/i;

/**
 * HTTP calls that a flow writes out itself, without a connector: guarded egress, one attempt (a flow's `try` says when to try again), an idempotency
 * key on everything that is no reading.
 *
 * @example await calls.call({ method: 'GET', url: 'https://example.org/rates', idempotencyKey: 'run_1/rates' })
 */
export class HttpCalls {
  readonly #dependencies: Dependencies;
  readonly #agent: Agent;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
    const { limits, allowPrivate, resolve } = dependencies;
    const names = allowPrivate.map((name) => name.toLowerCase());
    this.#agent = createGuardedAgent({
      isAllowed: (hostname, port) => names.some((name) => namesHost(name, hostname, port)),
      connectionsMax: limits.httpConnectionsMax,
      connectTimeoutMs: limits.httpCallMs,
      ...(resolve ? { resolve } : {}),
    });
  }

  /**
   * @throws AiosError `connectors.input_invalid`, `connectors.variable_unset`, `connectors.egress_refused`, `connectors.refused` (a status that says no),
   * `connectors.failed` (one that may say yes later), `connectors.unreachable`, `connectors.outcome_unknown`, `connectors.canceled`,
   * `connectors.response_too_large`; those with an answer have its status as `remoteStatus`
   */
  async call(call: HttpCall): Promise<HttpAnswer> {
    const secret = this.#secretOf(call.authentication);
    try {
      return await this.#follow(call, authorization(call.authentication, secret));
    } catch (error) {
      if (secret === undefined || !(error instanceof AiosError)) throw error;
      throw new AiosError(error.code, {
        detail: redact(error.message, [secret, Buffer.from(secret).toString('base64')]),
        extensions: error.extensions,
      });
    }
  }

  /** Waits for what is under way, then closes the connections. */
  close(): Promise<void> {
    return this.#agent.close();
  }

  async #follow(call: HttpCall, credentials: string | undefined): Promise<HttpAnswer> {
    let url = addressOf(call.url);
    for (const [name, value] of Object.entries(call.query ?? {}))
      if (value !== null)
        url.searchParams.append(name, typeof value === 'string' ? value : JSON.stringify(value));
    if (!METHODS.includes(call.method))
      throw invalid(`“${call.method}” is not one of ${METHODS.join(', ')}.`);
    let method = call.method as Method;
    let body = call.body === undefined || call.body === null ? undefined : call.body;
    const { origin } = url;
    for (let hop = 0; ; hop++) {
      const response = await this.#exchange(
        call,
        method,
        url,
        body,
        url.origin === origin ? credentials : undefined,
      );
      const target = response.headers.location;
      if (!call.redirect || !REDIRECTS.has(response.status) || target === undefined)
        return answerOf(response, method, url);
      if (hop === REDIRECTS_MAX) throw refusal(response, `after ${REDIRECTS_MAX} redirects`);
      url = addressOf(new URL(target, url).href);
      // RFC 9110, section 15.4: what was posted is looked at by GET, except for 307 and 308.
      if (response.status < 307 && method !== 'HEAD' && method !== 'GET') {
        method = 'GET';
        body = undefined;
      }
    }
  }

  #exchange(
    call: HttpCall,
    method: Method,
    url: URL,
    body: Json | undefined,
    credentials: string | undefined,
  ) {
    const { limits } = this.#dependencies;
    const headers: Record<string, string> = {
      accept: 'application/json',
      'accept-encoding': 'identity',
      'user-agent': 'aios',
    };
    if (method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS')
      headers['idempotency-key'] = idempotencyHeader(call.idempotencyKey);
    if (body !== undefined)
      headers['content-type'] = typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json';
    for (const [name, value] of Object.entries(call.headers ?? {})) {
      if (RESERVED.test(name)) throw invalid(`The header ${name} is not a flow's to set.`);
      headers[name.toLowerCase()] = value;
    }
    if (credentials !== undefined) headers.authorization = credentials;
    propagation.inject(context.active(), headers);
    return exchange(this.#agent, {
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers,
      body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
      timeoutMs: limits.httpCallMs,
      responseBytesMax: limits.connectorResponseBytesMax,
      signal: call.signal,
    });
  }

  #secretOf(authentication: HttpAuthentication | undefined): string | undefined {
    if (!authentication) return undefined;
    const { use } = 'basic' in authentication ? authentication.basic : authentication.bearer;
    const value = this.#dependencies.variables('secrets', use);
    if (value === undefined)
      throw new AiosError('connectors.variable_unset', { detail: `The secret “${use}” is not set.` });
    return value;
  }
}

function authorization(
  authentication: HttpAuthentication | undefined,
  secret: string | undefined,
): string | undefined {
  if (!authentication || secret === undefined) return undefined;
  return 'basic' in authentication ? `Basic ${Buffer.from(secret).toString('base64')}` : `Bearer ${secret}`;
}

function addressOf(text: string): URL {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol))
    throw invalid(`“${text.slice(0, 200)}” is no address of http or https.`);
  if (url.username || url.password)
    throw invalid('An address with credentials in it is refused: use authentication.');
  return url;
}

function answerOf(response: ExchangeResponse, method: Method, url: URL): HttpAnswer {
  const { status, headers, text } = response;
  if (status < 200 || status > 299) throw refusal(response, `to ${method} ${url.origin}${url.pathname}`);
  return { status, headers, text, url: url.href };
}

function refusal({ status, text }: ExchangeResponse, where: string): AiosError {
  return new AiosError(mayPass(status) ? 'connectors.failed' : 'connectors.refused', {
    detail: `Status ${status} ${where}: ${text.slice(0, BODY_SHOWN_LENGTH)}`,
    extensions: { remoteStatus: status },
  });
}

function invalid(detail: string): AiosError {
  return new AiosError('connectors.input_invalid', { detail });
}
