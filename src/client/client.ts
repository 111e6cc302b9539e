import { Blob } from 'node:buffer';
import { setTimeout as sleep } from 'node:timers/promises';
import { AiosError, type Problem } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';
import type { Operations } from './generated.ts';

export interface ClientOptions {
  /** `http://127.0.0.1:7700` */
  baseUrl: string;
  /** An API key, `aios_…`. */
  key: string;
  /** How often a call that may succeed later (429, 503, no connection) is made again; 3 when left out. */
  retriesMax?: number;
}

export interface RequestOptions {
  query?: Record<string, string | number | boolean | undefined>;
  /** A file as a blob (`openAsBlob` of node:fs) is sent without being read whole. */
  body?: Json | Uint8Array | Blob;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

type OptionsOf<Operation> = Omit<Operation, 'answer'> & Pick<RequestOptions, 'headers' | 'signal'>;
type AnswerOf<Operation> = Operation extends { answer: infer Answer } ? Answer : Json;
/** The options may be left out where an operation needs none. */
type Arguments<Options> = Record<never, never> extends Options ? [options?: Options] : [options: Options];

export interface ServerEvent {
  event: string;
  data: Json;
}

/** What the server answered instead of a result: an RFC 9457 problem. Match on `problem.code`. */
export class ProblemError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.detail);
    this.name = 'ProblemError';
    this.problem = problem;
  }
}

const RETRY_STATUSES = new Set([429, 503]);
const RETRY_MS = 250;
const ANSWER_CHARS_MAX = 120; // of a page that is not ours
const ENDED = new Set(['completed', 'failed', 'canceled']);
const EVENT = /^event: (.*)\ndata: (.*)$/m;

/**
 * A client of the HTTP API: authentication, problems as errors, and patience with a server that asks for it.
 *
 * @example
 * const client = new AiosClient({ baseUrl: 'http://127.0.0.1:7700', key: process.env.AIOS_API_KEY });
 * const { items } = await client.request('GET', '/api/v1/runs', { query: { status: 'waiting' } });
 */
export class AiosClient {
  readonly baseUrl: string;
  readonly #key: string;
  readonly #retriesMax: number;

  /** @throws AiosError `client.address` */
  constructor({ baseUrl, key, retriesMax = 3 }: ClientOptions) {
    if (!/^https?:\/\//.test(baseUrl) || !URL.canParse(baseUrl))
      throw new AiosError('client.address', { detail: `“${baseUrl}” is not the address of a server.` });
    this.baseUrl = baseUrl.replace(/\/$/, '');
    this.#key = key;
    this.#retriesMax = retriesMax;
  }

  /**
   * One call; the parsed JSON of its answer.
   *
   * @throws ProblemError with the server's problem
   */
  async request<Result = Json>(method: string, path: string, options: RequestOptions = {}): Promise<Result> {
    const response = await this.#send(method, path, options);
    const text = await response.text();
    if (!response.ok) throw new ProblemError(toProblem(response, text));
    return (response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text) as Result;
  }

  /** The bytes of an answer that is not JSON. @throws ProblemError */
  async bytes(path: string): Promise<Uint8Array> {
    return new Uint8Array(await new Response(await this.download(path)).arrayBuffer());
  }

  /** The bytes of an answer as they come. @throws ProblemError @example await pipeline(await client.download(path), createWriteStream(file)) */
  async download(path: string, query: RequestOptions['query'] = {}): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#send('GET', path, { query });
    if (!response.ok) throw new ProblemError(toProblem(response, await response.text()));
    return response.body as ReadableStream<Uint8Array>;
  }

  /**
   * One operation of the OpenAPI document, its parameters and answer typed.
   *
   * @throws ProblemError with the server's problem
   * @example await client.call('POST /api/v1/tasks/{id}/complete', { params: { id }, body: { result, contextDigest } })
   */
  call<Name extends keyof Operations>(
    operation: Name,
    ...[options]: Arguments<OptionsOf<Operations[Name]>>
  ): Promise<AnswerOf<Operations[Name]>> {
    const { params = {}, ...rest } = (options ?? {}) as RequestOptions & {
      params?: Record<string, string | number>;
    };
    const [method = '', template = ''] = operation.split(' ');
    const path = template.replace(/\{([^}]+)\}/g, (_, name: string) => {
      const value = String(params[name]);
      // A wildcard stands for the rest of the path.
      return name === '*' ? value.split('/').map(encodeURIComponent).join('/') : encodeURIComponent(value);
    });
    return this.request(method, path, rest);
  }

  /**
   * Server-sent events of a path, until the server ends the stream or the signal aborts it.
   *
   * @throws ProblemError with the server's problem
   * @example for await (const { data } of client.stream(`/api/v1/runs/${id}/stream`)) console.log(data)
   */
  async *stream(
    path: string,
    options: Pick<RequestOptions, 'query' | 'signal'> = {},
  ): AsyncGenerator<ServerEvent> {
    const response = await this.#send('GET', path, { ...options, headers: { accept: 'text/event-stream' } });
    if (!response.ok) throw new ProblemError(toProblem(response, await response.text()));
    let text = '';
    for await (const chunk of (response.body as ReadableStream<Uint8Array>).pipeThrough(
      new TextDecoderStream(),
    )) {
      text += chunk;
      if (!chunk.includes('\n')) continue; // splitting what came so far with each chunk of a large event would be quadratic
      const blocks = text.split('\n\n');
      text = blocks.pop() as string;
      for (const block of blocks) {
        const found = EVENT.exec(block);
        if (found) yield { event: found[1] as string, data: JSON.parse(found[2] as string) as Json };
      }
    }
  }

  /** Follows a run until it has ended; answers with all of it. @throws ProblemError with the server's problem */
  async waitForRun(id: string, signal?: AbortSignal): Promise<AnswerOf<Operations['GET /api/v1/runs/{id}']>> {
    for (;;) {
      for await (const { event } of this.stream(`/api/v1/runs/${id}/stream`, signal ? { signal } : {})) {
        if (event !== 'run') break;
      }
      // The stream ends with the run, or with the connection: then it is followed again.
      const run = await this.call('GET /api/v1/runs/{id}', { params: { id }, ...(signal ? { signal } : {}) });
      if (ENDED.has(run.status)) return run;
    }
  }

  /** Every item of a list, page after page. */
  async *items<Item>(path: string, query: RequestOptions['query'] = {}): AsyncGenerator<Item> {
    let cursor: string | undefined;
    do {
      const page = await this.request<{ items: Item[]; nextCursor?: string | null }>('GET', path, {
        query: { ...query, cursor },
      });
      yield* page.items;
      cursor = page.nextCursor ?? undefined;
    } while (cursor);
  }

  async #send(
    method: string,
    path: string,
    { query = {}, body, headers, signal }: RequestOptions,
  ): Promise<Response> {
    const url = new URL(this.baseUrl + path);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const init: RequestInit = {
      method,
      headers: {
        authorization: `Bearer ${this.#key}`,
        ...(body === undefined || isBinary(body) ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: isBinary(body) ? (body as Uint8Array<ArrayBuffer> | Blob) : JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    };
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await fetch(url, init);
        if (attempt >= this.#retriesMax || !RETRY_STATUSES.has(response.status)) return response;
        await response.body?.cancel();
        const afterSeconds = Number(response.headers.get('retry-after'));
        await sleep(afterSeconds > 0 ? afterSeconds * 1000 : RETRY_MS * 2 ** attempt);
      } catch (error) {
        if (attempt >= this.#retriesMax || signal?.aborted) throw unreachable(this.baseUrl, error);
        await sleep(RETRY_MS * 2 ** attempt);
      }
    }
  }
}

function isBinary(body: RequestOptions['body']): body is Uint8Array | Blob {
  return body instanceof Uint8Array || body instanceof Blob;
}

function toProblem(response: Response, text: string): Problem {
  try {
    const problem = JSON.parse(text) as Problem;
    if (problem.code) return problem;
  } catch {
    // not from AIOS: a proxy in between, say
  }
  const { status, statusText, url } = response;
  const start = text.replace(/\s+/g, ' ').trim().slice(0, ANSWER_CHARS_MAX);
  return problemOf(
    'client.not_aios',
    status,
    `${new URL(url).origin} answers ${status} ${statusText}, not as AIOS does${start ? `: ${start}` : '.'}`,
  );
}

function unreachable(baseUrl: string, error: unknown): ProblemError {
  const reason =
    error instanceof Error ? ((error.cause as Error | undefined)?.message ?? error.message) : String(error);
  return new ProblemError(
    problemOf('client.unreachable', 503, `Nothing answers at ${baseUrl} (${reasonOf(reason, baseUrl)})`),
  );
}

/** A server of HTTP that is asked by HTTPS answers with what OpenSSL takes for a broken record. */
function reasonOf(reason: string, baseUrl: string): string {
  if (!/wrong version number|packet length too long/.test(reason)) return reason;
  return `it does not speak TLS: ${baseUrl.replace(/^https/, 'http')}?`;
}

/** Told by the client itself: the code's own row says what to do. */
function problemOf(code: Problem['code'], status: number, detail: string): Problem {
  return { ...new AiosError(code, { detail }).toProblem(), status };
}
