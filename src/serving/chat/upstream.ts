import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { AiosError, type ErrorOptions } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import { retryAfterMs } from '../../kernel/retry-after.ts';
import type { Target } from './endpoint.ts';
import { eventData } from './event-source.ts';

export interface UpstreamOptions {
  /** The guard of what leaves. */
  dispatcher: Dispatcher;
  /** The value of a secret, by name, for the server at `url`; undefined when it is not set. @throws AiosError when it may not be sent there */
  secret(name: string, url: string): string | undefined;
  limits: Pick<Limits, 'chatAnswerBytesMax' | 'chatEventBytesMax'>;
}

const REFERENCE = /\$\{secrets\.([A-Z][A-Z0-9_]*)\}/g;
const DETAIL_CHARS_MAX = 1_000;
const ERROR_BYTES_MAX = 64 * 1024;
const RETRIED = new Set([408, 409, 425, 500, 502, 503, 504, 529]);

/**
 * One attempt at one server that speaks OpenAI's protocol. What it throws says by `retryable` whether another may be asked.
 *
 * @example await new Upstream({ dispatcher, secret, limits }).ask(target, '/embeddings', { input: 'x' }, signal)
 */
export class Upstream {
  readonly #options: UpstreamOptions;

  constructor(options: UpstreamOptions) {
    this.#options = options;
  }

  /**
   * A whole answer.
   *
   * @throws AiosError `chat.refused`, `chat.misconfigured`, `chat.upstream_failed`, `chat.upstream_limited`, `serving.timeout`, `serving.canceled`
   */
  ask(target: Target, path: string, body: JsonObject, signal: AbortSignal): Promise<JsonObject> {
    return this.#whole(target, path, body, new Attempt(signal, target.timeoutMs));
  }

  /** As `ask`, by GET. */
  get(target: Target, path: string, signal: AbortSignal): Promise<JsonObject> {
    return this.#whole(target, path, undefined, new Attempt(signal, target.timeoutMs));
  }

  async #whole(
    target: Target,
    path: string,
    body: JsonObject | undefined,
    attempt: Attempt,
  ): Promise<JsonObject> {
    try {
      const response = await this.#send(target, path, body, attempt, 'application/json');
      return parseObject(await textOf(response.body, this.#options.limits.chatAnswerBytesMax));
    } catch (error) {
      throw attempt.failure(error, target);
    } finally {
      attempt.end();
    }
  }

  /**
   * The chunks of a stream. Resolves when the first one is there: until then another server can be asked. Leaving the loop ends the request.
   *
   * @throws AiosError as `ask`; from the loop also `chat.stream_cut`
   */
  async stream(
    target: Target,
    path: string,
    body: JsonObject,
    signal: AbortSignal,
  ): Promise<AsyncGenerator<JsonObject, void>> {
    const attempt = new Attempt(signal, target.timeoutMs);
    try {
      const response = await this.#send(target, path, body, attempt, 'text/event-stream');
      const chunks = this.#chunks(response.body, attempt, target);
      const first = await chunks.next();
      if (first.done)
        throw new AiosError('chat.upstream_failed', { detail: `${nameOf(target)} sent an empty stream.` });
      return withFirst(first.value, chunks);
    } catch (error) {
      attempt.end();
      throw attempt.failure(error, target);
    }
  }

  async *#chunks(body: Readable, attempt: Attempt, target: Target): AsyncGenerator<JsonObject, void> {
    const { chatEventBytesMax: eventBytesMax, chatAnswerBytesMax: bytesMax } = this.#options.limits;
    let begun = false;
    let finished = false;
    try {
      for await (const data of eventData(body, { eventBytesMax, bytesMax })) {
        if (data === '[DONE]') return;
        const chunk = parseObject(data);
        if (chunk.error !== undefined && chunk.error !== null) throw refusal(500, {}, chunk);
        finished ||= isFinished(chunk);
        begun = true;
        attempt.wait(target.idleMs);
        yield chunk;
      }
      // Some servers leave out [DONE]; an answer that says why it ended is whole.
      if (!finished)
        throw new AiosError('chat.upstream_failed', { detail: `${nameOf(target)} ended its stream early.` });
    } catch (error) {
      const failure = attempt.failure(error, target);
      throw begun && failure.code === 'chat.upstream_failed'
        ? new AiosError('chat.stream_cut', { detail: failure.message, cause: failure })
        : failure;
    } finally {
      attempt.end();
      body.destroy();
    }
  }

  async #send(
    target: Target,
    path: string,
    body: JsonObject | undefined,
    attempt: Attempt,
    accept: string,
  ): Promise<Dispatcher.ResponseData> {
    const { origin, pathname, search } = new URL(target.url);
    const credentials = this.#credentials(target);
    const response = await this.#options.dispatcher.request({
      origin,
      path: `${pathname === '/' ? '' : pathname.replace(/\/$/, '')}${path}${search}`,
      method: body ? 'POST' : 'GET',
      headers: {
        ...(body ? { 'content-type': 'application/json' } : {}),
        accept,
        'user-agent': 'aios',
        ...credentials.headers,
      },
      body: body ? JSON.stringify({ ...body, model: target.model }) : null,
      headersTimeout: 0, // the attempt has its own times
      bodyTimeout: 0,
      signal: attempt.signal,
    });
    if (response.statusCode >= 200 && response.statusCode < 300) return response;
    let text = await textOf(response.body, ERROR_BYTES_MAX).catch(() => '');
    // Some servers repeat the key that they refuse.
    for (const secret of credentials.secrets) text = text.replaceAll(secret, '***');
    throw refusal(response.statusCode, response.headers, tryParse(text) ?? text);
  }

  #credentials({ url, secret, headers }: Target): { headers: Record<string, string>; secrets: string[] } {
    const secrets: string[] = [];
    const value = (name: string) => {
      const found = this.#options.secret(name, url);
      if (found === undefined)
        throw new AiosError('chat.misconfigured', {
          detail: `The secret “${name}” is not set: AIOS_SECRET_${name}.`,
        });
      if (found !== '') secrets.push(found);
      return found;
    };
    const sent: Record<string, string> = {};
    if (secret !== undefined) sent.authorization = `Bearer ${value(secret)}`;
    for (const [name, text] of Object.entries(headers))
      sent[name.toLowerCase()] = text.replace(REFERENCE, (_, reference: string) => value(reference));
    return { headers: sent, secrets };
  }
}

/** The time and the cancellation of one attempt. */
class Attempt {
  readonly signal: AbortSignal;
  readonly #own = new AbortController();
  readonly #caller: AbortSignal;
  readonly #cancel = () => this.#own.abort();
  #timer: NodeJS.Timeout | undefined;
  #ms = 0;
  #timedOut = false;

  constructor(caller: AbortSignal, ms: number) {
    this.#caller = caller;
    this.signal = this.#own.signal;
    if (caller.aborted) this.#own.abort();
    else caller.addEventListener('abort', this.#cancel, { once: true });
    this.wait(ms);
  }

  /** From now on the server may take this long. */
  wait(ms: number): void {
    if (ms === this.#ms && this.#timer) {
      this.#timer.refresh();
      return;
    }
    clearTimeout(this.#timer);
    this.#ms = ms;
    this.#timer = setTimeout(() => {
      this.#timedOut = true;
      this.#own.abort();
    }, ms);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#caller.removeEventListener('abort', this.#cancel);
  }

  failure(error: unknown, target: Target): AiosError {
    if (error instanceof AiosError) return error;
    if (this.#caller.aborted) return asAiosError(this.#caller.reason);
    if (this.#timedOut)
      return new AiosError('serving.timeout', {
        detail: `${nameOf(target)} did not answer within ${this.#ms} ms.`,
      });
    const { cause, message, code } = error as { cause?: unknown; message?: string; code?: string };
    if (cause instanceof AiosError) return cause;
    return new AiosError('chat.upstream_failed', {
      detail: `${nameOf(target)}: ${code === undefined ? message : `${code} ${message}`}`,
      cause: error,
    });
  }
}

function asAiosError(reason: unknown): AiosError {
  return reason instanceof AiosError ? reason : new AiosError('serving.canceled');
}

/** How a target is named to people: `api.example.org/qwen2.5`. */
export function nameOf({ url, model }: Target): string {
  return `${new URL(url).host}/${model}`;
}

function refusal(
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  answer: Json,
): AiosError {
  const said = isObject(answer) && isObject(answer.error) ? answer.error : answer;
  const message = isObject(said) ? (said.message ?? said.detail ?? JSON.stringify(said)) : said;
  const param = isObject(said) && typeof said.param === 'string' ? { param: said.param } : {};
  const options: ErrorOptions = {
    detail: `${status}: ${String(message).slice(0, DETAIL_CHARS_MAX)}`,
    extensions: { upstreamStatus: status, ...param, ...retryAfter(headers) },
  };
  if (status === 429) return new AiosError('chat.upstream_limited', options);
  if (RETRIED.has(status)) return new AiosError('chat.upstream_failed', options);
  if (status === 401 || status === 403 || status === 404 || status < 400)
    return new AiosError('chat.misconfigured', options);
  return new AiosError(status >= 500 ? 'chat.upstream_failed' : 'chat.refused', options);
}

/** `Retry-After`, or `retry-after-ms` as OpenAI sends it. */
function retryAfter(headers: Readonly<Record<string, string | string[] | undefined>>) {
  const ms = Number(headers['retry-after-ms']) || retryAfterMs(headers['retry-after']) || 0;
  return ms > 0 ? { retryAfterMs: ms } : {};
}

async function* withFirst<T>(first: T, rest: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return();
  }
}

/** Whether a chunk says why its answer ended. */
function isFinished({ choices }: JsonObject): boolean {
  return Array.isArray(choices) && choices.some((choice) => isObject(choice) && choice.finish_reason != null);
}

async function textOf(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > bytesMax)
      throw new AiosError('chat.upstream_failed', {
        detail: `The answer has more than ${bytesMax} bytes.`,
        extensions: { limitName: 'chatAnswerBytesMax', limit: bytesMax },
      });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function tryParse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function parseObject(text: string): JsonObject {
  const value = tryParse(text);
  if (isObject(value)) return value;
  throw new AiosError('chat.upstream_failed', {
    detail: `The server of the model sent what is not a JSON object: ${text.slice(0, 200)}`,
  });
}
