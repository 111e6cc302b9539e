import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';

/** What the server does with one request instead of answering as it would. */
export type Behaviour =
  | { kind: 'status'; status: number; headers?: Record<string, string>; body?: Json }
  /** Answers with this text as the content. */
  | { kind: 'content'; content: string }
  /** Sends these objects as the events of a stream, then `[DONE]`, or cuts the connection. */
  | { kind: 'chunks'; chunks: readonly Json[]; isCut?: boolean; pauseMs?: number }
  | { kind: 'raw'; text: string }
  /** Takes the request and says nothing. */
  | { kind: 'hang' }
  | { kind: 'cut' }
  /** Answers when this is settled. */
  | { kind: 'slow'; until: Promise<unknown> };

export interface SeenRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: JsonObject;
  /** True when the client went away before the answer was whole. */
  isAborted: boolean;
}

const MODELS = ['echo', 'echo-2', 'vectors'];
const DIMENSIONS = 8;

/**
 * A server that speaks OpenAI's protocol over real connections, and does what a test tells it: its model repeats the last message, calls every tool that it
 * is offered, and embeds texts by their letters. Tokens are words.
 *
 * @example const upstream = await OpenAiServer.start(); upstream.next({ kind: 'status', status: 503 })
 */
export class OpenAiServer {
  readonly requests: SeenRequest[] = [];
  readonly #planned: Behaviour[] = [];
  readonly #server: Server;
  /** The most requests that were under way at one time. */
  concurrentMax = 0;
  #concurrent = 0;
  /** Without usage in its answers. */
  tellsUsage = true;

  private constructor() {
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const text = Buffer.concat(parts).toString();
        const body = text === '' ? {} : (JSON.parse(text) as JsonObject);
        const seen = { path: request.url ?? '', headers: request.headers, body, isAborted: false };
        if (seen.path !== '/v1/models') this.requests.push(seen);
        this.concurrentMax = Math.max(this.concurrentMax, ++this.#concurrent);
        response.on('close', () => {
          this.#concurrent--;
          seen.isAborted = !response.writableFinished;
        });
        void this.#answer(seen, response);
      });
    });
  }

  static async start(): Promise<OpenAiServer> {
    const server = new OpenAiServer();
    await new Promise<void>((done) => server.#server.listen(0, '127.0.0.1', done));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  /** What it does with the next requests, one each. */
  next(...behaviours: readonly Behaviour[]): void {
    this.#planned.push(...behaviours);
  }

  /** Requests that were asked since the last call of this. */
  taken(): SeenRequest[] {
    return this.requests.splice(0);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  async #answer(seen: SeenRequest, response: ServerResponse): Promise<void> {
    const { path, body } = seen;
    if (path === '/v1/models')
      return json(response, 200, { object: 'list', data: MODELS.map((id) => ({ id, object: 'model' })) });
    const planned = this.#planned.shift();
    if (planned?.kind === 'slow') await planned.until;
    else if (planned && planned.kind !== 'content') return misbehave(planned, response);
    if (path === '/v1/embeddings') return json(response, 200, this.#embeddings(body));
    if (path !== '/v1/chat/completions')
      return json(response, 404, { error: { message: 'no such path', type: 'invalid_request_error' } });
    const content = planned?.kind === 'content' ? planned.content : undefined;
    if (body.stream === true) return this.#stream(body, response, content);
    const usage = this.tellsUsage ? { usage: usageOf(body, content ?? echoOf(body)) } : {};
    const choices = Array.from({ length: Number(body.n ?? 1) }, (_, index) => choiceOf(body, index, content));
    json(response, 200, {
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model: String(body.model),
      choices,
      ...usage,
    });
  }

  #stream(body: JsonObject, response: ServerResponse, given: string | undefined): void {
    const head = {
      id: 'chatcmpl-2',
      object: 'chat.completion.chunk',
      created: 1,
      model: String(body.model),
    };
    const { message, finish_reason: reason, logprobs } = choiceOf(body, 0, given) as JsonObject;
    const { content, tool_calls: calls } = message as JsonObject;
    const deltas: JsonObject[] = [{ role: 'assistant', content: content === null ? null : '' }];
    if (typeof content === 'string')
      for (const word of content.match(/\S+\s*/g) ?? []) deltas.push({ content: word });
    for (const [index, call] of (Array.isArray(calls) ? calls : []).entries()) {
      const { id, type, function: made } = call as { id: string; type: string; function: JsonObject };
      deltas.push({ tool_calls: [{ index, id, type, function: { name: made.name!, arguments: '' } }] });
      for (const part of String(made.arguments).match(/.{1,8}/gs) ?? [])
        deltas.push({ tool_calls: [{ index, function: { arguments: part } }] });
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const send = (data: Json) => response.write(`data: ${JSON.stringify(data)}\n\n`);
    for (const delta of deltas)
      send({ ...head, choices: [{ index: 0, delta, finish_reason: null, logprobs: logprobs ?? null }] });
    send({ ...head, choices: [{ index: 0, delta: {}, finish_reason: reason ?? 'stop' }] });
    const options = body.stream_options;
    if (this.tellsUsage && isObject(options) && options.include_usage === true)
      send({ ...head, choices: [], usage: usageOf(body, String(content ?? JSON.stringify(calls))) });
    response.end('data: [DONE]\n\n');
  }

  #embeddings({ input, model, dimensions }: JsonObject): JsonObject {
    const inputs = Array.isArray(input) && typeof input[0] !== 'number' ? input : [input ?? ''];
    const size = typeof dimensions === 'number' ? dimensions : DIMENSIONS;
    const tokens = inputs.reduce<number>((sum, text) => sum + wordsIn(String(text)), 0);
    return {
      object: 'list',
      data: inputs.map((text, index) => ({
        object: 'embedding',
        index,
        embedding: vectorOf(String(text), size),
      })),
      model: String(model),
      ...(this.tellsUsage ? { usage: { prompt_tokens: tokens, total_tokens: tokens } } : {}),
    };
  }
}

async function misbehave(
  planned: Exclude<Behaviour, { kind: 'content' | 'slow' }>,
  response: ServerResponse,
): Promise<void> {
  if (planned.kind === 'hang') return;
  if (planned.kind === 'cut') return void response.destroy();
  if (planned.kind === 'status') {
    const { status, headers, body = { error: { message: `status ${status}`, type: 'planned' } } } = planned;
    return json(response, status, body, headers);
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  if (planned.kind === 'raw') return void response.end(planned.text);
  for (const chunk of planned.chunks) {
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    await sleep(planned.pauseMs ?? 5);
  }
  if (planned.isCut) response.destroy();
  else response.end('data: [DONE]\n\n');
}

function json(
  response: ServerResponse,
  status: number,
  body: Json,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

const wordsIn = (text: string) => text.split(/\s+/).filter(Boolean).length;

function echoOf({ messages, stop }: JsonObject): string {
  const last = Array.isArray(messages) ? messages.at(-1) : undefined;
  const text = `Echo: ${isObject(last) ? String(last.content) : ''}`;
  return typeof stop === 'string' ? text.split(stop)[0]! : text;
}

function choiceOf(body: JsonObject, index: number, given: string | undefined): JsonObject {
  const { tools, logprobs, messages } = body;
  const last = Array.isArray(messages) ? messages.at(-1) : undefined;
  if (Array.isArray(tools) && isObject(last) && last.role === 'user') {
    const calls = tools.map((tool, at) => {
      const { name } = (tool as { function: { name: string } }).function;
      return { id: `call_${at}`, type: 'function', function: { name, arguments: '{"city":"Paris"}' } };
    });
    const message = { role: 'assistant', content: null, tool_calls: calls };
    return { index, message, finish_reason: 'tool_calls' };
  }
  const content = given ?? echoOf(body);
  const told = logprobs === true ? { logprobs: { content: [{ token: content, logprob: -0.5 }] } } : {};
  return { index, message: { role: 'assistant', content }, finish_reason: 'stop', ...told };
}

function usageOf({ messages }: JsonObject, written: string): JsonObject {
  const read = wordsIn(JSON.stringify(messages));
  return {
    prompt_tokens: read,
    completion_tokens: wordsIn(written),
    total_tokens: read + wordsIn(written),
    prompt_tokens_details: { cached_tokens: 1 },
  };
}

/** How often each letter stands in a text, of length 1. */
function vectorOf(text: string, size: number): number[] {
  const vector = new Array<number>(size).fill(0);
  for (const letter of text) vector[letter.codePointAt(0)! % size]! += 1;
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => Math.fround(value / length));
}
