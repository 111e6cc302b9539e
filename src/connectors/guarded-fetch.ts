import { context, propagation } from '@opentelemetry/api';
import { type RequestInit as UndiciInit, fetch as undiciFetch } from 'undici';
import { AiosError } from '../kernel/errors.ts';
import { type Authentication, secretsOf } from './authentication.ts';
import type { Outgoing } from './outgoing.ts';

/** `fetch` for protocols whose clients bring none of their own: the same guard as every call, credentials, bounded answers. */
export class GuardedFetch {
  readonly #outgoing: Outgoing;
  readonly #authentication: Authentication | undefined;
  readonly #origin: string | undefined;
  readonly #signal: AbortSignal;
  readonly #headers: Readonly<Record<string, string>>;
  /** Credentials that were sent: what is told must not hold them. */
  readonly sent = new Set<string>();
  /** Why no answer came to the request that failed last, when that says more than the client's own error. */
  failure: AiosError | undefined;

  constructor(
    outgoing: Outgoing,
    {
      authentication,
      signal,
      headers = {},
      origin,
    }: {
      authentication: Authentication | undefined;
      signal: AbortSignal;
      headers?: Readonly<Record<string, string>> | undefined;
      /** The one that gets the credentials and headers; every one when left out. */
      origin?: string;
    },
  ) {
    this.#outgoing = outgoing;
    this.#authentication = authentication;
    this.#signal = signal;
    this.#headers = headers;
    this.#origin = origin;
  }

  /**
   * As the global `fetch`, through the guard; a redirect is answered, not followed.
   *
   * @example new Client({ fetch: guarded.fetch })
   */
  readonly fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    const method = init.method ?? 'GET';
    const policy =
      this.#origin === undefined || url.origin === this.#origin ? this.#authentication : undefined;
    const authorize = (challenge?: string) =>
      this.#outgoing.authenticator.authorization(policy, { method, url }, challenge, this.#signal);
    const response = await this.#once(url, init, await authorize());
    if (response.status !== 401 || !policy) return response;
    const others = await authorize(response.headers.get('www-authenticate') ?? '');
    if (others === undefined) return response;
    await response.body?.cancel();
    return this.#once(url, init, others);
  };

  async #once(url: URL, init: RequestInit, authorization: string | undefined): Promise<Response> {
    for (const secret of secretsOf(authorization)) this.sent.add(secret);
    const headers = new Headers(init.headers);
    for (const [name, value] of Object.entries(this.#headers)) headers.set(name, value);
    const trace: Record<string, string> = {};
    propagation.inject(context.active(), trace);
    for (const [name, value] of Object.entries(trace)) headers.set(name, value);
    if (authorization !== undefined) headers.set('authorization', authorization);
    headers.set('user-agent', 'aios');
    try {
      const response = await undiciFetch(url, {
        ...(init as unknown as UndiciInit),
        headers: Object.fromEntries(headers),
        redirect: 'manual',
        dispatcher: this.#outgoing.agent,
        signal: init.signal ? AbortSignal.any([init.signal, this.#signal]) : this.#signal,
      });
      return bounded(response as unknown as Response, this.#outgoing.limits.connectorResponseBytesMax);
    } catch (error) {
      this.failure = failureOf(error);
      throw error;
    }
  }
}

/** Connections that did not come about: nothing was sent. */
const NOT_CONNECTED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

function failureOf(error: unknown): AiosError | undefined {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof AiosError) return cause;
  const { code, message } = cause as { code?: string; message?: string };
  return NOT_CONNECTED.has(String(code))
    ? new AiosError('connectors.unreachable', { detail: `${code}: ${message}` })
    : undefined;
}

function bounded(response: Response, bytesMax: number): Response {
  if (!response.body) return response;
  let bytes = 0;
  const counted = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.byteLength;
        if (bytes > bytesMax)
          controller.error(
            new AiosError('connectors.response_too_large', {
              detail: `The answer has more than ${bytesMax} bytes.`,
              extensions: { limitName: 'connectorResponseBytesMax', limit: bytesMax },
            }),
          );
        else controller.enqueue(chunk);
      },
    }),
  );
  const { status, statusText, headers } = response;
  const copy = new Response(counted, {
    status: status < 200 ? 200 : status,
    statusText,
    headers: Object.fromEntries(headers),
  });
  Object.defineProperty(copy, 'url', { value: response.url });
  return copy;
}
