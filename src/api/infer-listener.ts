import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type ConnectionShop, InferConnection } from './infer-connection.ts';
import type { InferDoor, InferReply } from './infer-door.ts';
import { type InferHead, plainHead } from './infer-head.ts';

const SWEEP_MS = 1_000;

interface ListenerTimes {
  /** A whole request arrives within it. */
  readonly requestMs: number;
  /** A connection without a request is closed after it. */
  readonly keepAliveMs: number;
}

/**
 * Puts the inference door before a server's own listeners. Connections are read lean as long as they bring plain inferences; on all others
 * an inference is taken from node:http before the framework sees it.
 *
 * @returns closes the idle connections and lets the others answer first
 * @example const close = listenForInference(fastify.server, door, { requestMs: 120_000, keepAliveMs: 72_000 })
 */
export function listenForInference(server: Server, door: InferDoor, times: ListenerTimes): () => void {
  const ordinaryRequests = server.listeners('request') as RequestListener[];
  server.removeAllListeners('request').on('request', (request: IncomingMessage, response: ServerResponse) => {
    const head =
      request.method === 'POST' && request.url!.startsWith('/v2/models/')
        ? plainHead(request.url!, request.headers, door.bodyBytesMax)
        : undefined;
    if (head) receive(door, head, request, response);
    else for (const listener of ordinaryRequests) listener.call(server, request, response);
  });
  const ordinaryConnections = server.listeners('connection') as ((socket: Socket) => void)[];
  const lean = new Set<InferConnection>();
  let isClosed = false;
  const shop: ConnectionShop = {
    door,
    heads: new Map(),
    commonHeaders: commonHeaders(times.keepAliveMs),
    handOver(connection, socket, received) {
      lean.delete(connection);
      socket.unshift(received);
      for (const listener of ordinaryConnections) listener.call(server, socket);
    },
    ended: (connection) => void lean.delete(connection),
  };
  server.removeAllListeners('connection').on('connection', (socket: Socket) => {
    if (isClosed) socket.destroy();
    else lean.add(new InferConnection(shop, socket));
  });
  const sweeper = setInterval(() => sweep(lean, times), SWEEP_MS).unref();
  return () => {
    isClosed = true;
    clearInterval(sweeper);
    for (const connection of lean) connection.finish();
  };
}

/** Ends connections on which a body stays away, or nothing is asked. One timer for all: a timer each would cost 1 µs a request. */
function sweep(lean: Iterable<InferConnection>, { requestMs, keepAliveMs }: ListenerTimes): void {
  const nowMs = performance.now();
  for (const connection of lean) {
    if (connection.waitingSinceMs > 0) {
      if (nowMs - connection.waitingSinceMs > requestMs) connection.refuseLate();
    } else if (connection.isIdle && nowMs - connection.idleSinceMs > keepAliveMs) connection.destroy();
  }
}

const SECURITY_HEADERS = ['x-content-type-options', 'nosniff', 'referrer-policy', 'no-referrer'] as const;

/** What every answer carries, made anew when the date has changed. */
function commonHeaders(keepAliveMs: number): () => string {
  const [typeOptions, nosniff, policy, none] = SECURITY_HEADERS;
  const fixed = `${typeOptions}: ${nosniff}\r\n${policy}: ${none}\r\nkeep-alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n`;
  let second = 0;
  let text = '';
  return () => {
    const now = Math.floor(Date.now() / 1000);
    if (now !== second) {
      second = now;
      text = `${fixed}date: ${new Date(now * 1000).toUTCString()}\r\n`;
    }
    return text;
  };
}

/** An inference on an ordinary connection. */
function receive(door: InferDoor, head: InferHead, request: IncomingMessage, response: ServerResponse): void {
  const parts: Buffer[] = [];
  request.on('data', (chunk: Buffer) => void parts.push(chunk));
  request.on('end', () => {
    door.answer(head, parts.length === 1 ? parts[0]! : Buffer.concat(parts), new MessageReply(response));
  });
}

class MessageReply implements InferReply {
  readonly signal: AbortSignal;
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
    const gone = new AbortController();
    this.signal = gone.signal;
    response.once('close', () => gone.abort());
  }

  send(status: number, headers: readonly string[], body: string | Uint8Array): void {
    if (this.#response.destroyed) return;
    const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    const all = [...headers, ...SECURITY_HEADERS, 'content-length', String(bytes)];
    this.#response.writeHead(status, all);
    this.#response.end(body, typeof body === 'string' && bytes === body.length ? 'latin1' : 'utf8');
  }
}
