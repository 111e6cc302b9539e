import { context, propagation } from '@opentelemetry/api';
import { AiosError } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';
import { type Authentication, secretsOf } from './authentication.ts';
import type { Method } from './connector.ts';
import { idempotencyHeader } from './connectors.ts';
import { BODY_SHOWN_LENGTH, mayPass } from './delivery.ts';
import { type ExchangeResponse, exchange } from './http-exchange.ts';
import type { Outgoing } from './outgoing.ts';
import { redact } from './secrets.ts';

const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

interface HttpCall {
  /** In capitals. */
  readonly method: string;
  /** Absolute, `http` or `https`. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly query?: Readonly<Record<string, Json>> | undefined;
  /** Text is sent as it is, everything else as JSON. */
  readonly body?: Json | undefined;
  readonly authentication?: Authentication | undefined;
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
  readonly #outgoing: Outgoing;

  constructor(outgoing: Outgoing) {
    this.#outgoing = outgoing;
  }

  /**
   * @throws AiosError `connectors.input_invalid`, `connectors.variable_unset`, `connectors.egress_refused`, `connectors.refused` (a status that says no),
   * `connectors.failed` (one that may say yes later), `connectors.unreachable`, `connectors.outcome_unknown`, `connectors.canceled`,
   * `connectors.response_too_large`; those with an answer have its status as `remoteStatus`
   */
  async call(call: HttpCall): Promise<HttpAnswer> {
    const sent = new Set<string>();
    try {
      return clean(await this.#follow(call, sent), sent);
    } catch (error) {
      if (sent.size === 0 || !(error instanceof AiosError)) throw error;
      throw new AiosError(error.code, { detail: redact(error.message, sent), extensions: error.extensions });
    }
  }

  async #follow(call: HttpCall, sent: Set<string>): Promise<HttpAnswer> {
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
      // Another origin gets neither credentials nor headers: those may hold secrets too.
      const own = url.origin === origin ? call : { ...call, authentication: undefined, headers: undefined };
      const response = await this.#authenticated(own, method, url, body, sent);
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

  /** With the credentials of its policy; once more when the answer 401 asks for others, for then nothing was done. */
  async #authenticated(
    call: HttpCall,
    method: Method,
    url: URL,
    body: Json | undefined,
    sent: Set<string>,
  ): Promise<ExchangeResponse> {
    const { authentication: policy, signal } = call;
    const ask = async (challenge?: string) => {
      const credentials = await this.#outgoing.authenticator.authorization(
        policy,
        { method, url },
        challenge,
        signal,
      );
      for (const secret of secretsOf(credentials)) sent.add(secret);
      return credentials;
    };
    const response = await this.#exchange(call, method, url, body, await ask());
    if (response.status !== 401 || !policy) return response;
    const others = await ask(response.headers['www-authenticate'] ?? '');
    return others === undefined ? response : this.#exchange(call, method, url, body, others);
  }

  #exchange(
    call: HttpCall,
    method: Method,
    url: URL,
    body: Json | undefined,
    credentials: string | undefined,
  ) {
    const { limits, agent } = this.#outgoing;
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
    return exchange(agent, {
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
}

function addressOf(text: string): URL {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol))
    throw invalid(`“${text.slice(0, 200)}” is not an address of http or https.`);
  if (url.username || url.password)
    throw invalid('An address with credentials in it is refused: use authentication.');
  return url;
}

/** A server may echo the credentials that it was sent. */
function clean(answer: HttpAnswer, sent: Iterable<string>): HttpAnswer {
  return { ...answer, text: redact(answer.text, sent) };
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
