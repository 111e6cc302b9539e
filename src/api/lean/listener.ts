import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { newRequestId, REQUEST_ID } from '../request-id.ts';
import { type ConnectionShop, LeanConnection } from './connection.ts';
import { type Handling, handlingFor, type LeanDoor, type Reply } from './door.ts';
import { plainHead } from './head.ts';

const SWEEP_MS = 1_000;

interface ListenerOptions {
  /** Characters of an id that is taken from its caller. */
  readonly requestIdCharsMax: number;
  /** A whole request arrives within it. */
  readonly requestMs: number;
  /** A connection without a request is closed after it. */
  readonly keepAliveMs: number;
}

/**
 * Puts lean doors before a server's own listeners. Connections are read lean as long as they bring what the doors take; on all others
 * such a request is taken from node:http before the framework sees it.
 *
 * @returns closes the idle connections and lets the others answer first
 * @example const close = listenLean(fastify.server, [inferDoor], { requestIdCharsMax: 128, requestMs: 120_000, keepAliveMs: 72_000 })
 */
export function listenLean(server: Server, doors: readonly LeanDoor[], options: ListenerOptions): () => void {
  const ordinaryRequests = server.listeners('request') as RequestListener[];
  server.removeAllListeners('request').on('request', (request: IncomingMessage, response: ServerResponse) => {
    const handling = handlingOf(doors, request);
    if (handling) receive(handling, request, response);
    else for (const listener of ordinaryRequests) listener.call(server, request, response);
  });
  const ordinaryConnections = server.listeners('connection') as ((socket: Socket) => void)[];
  const lean = new Set<LeanConnection>();
  let isClosed = false;
  const shop: ConnectionShop = {
    doors,
    heads: new Map(),
    requestIdCharsMax: options.requestIdCharsMax,
    commonHeaders: commonHeaders(options.keepAliveMs),
    handOver(connection, socket, received) {
      lean.delete(connection);
      socket.unshift(received);
      for (const listener of ordinaryConnections) listener.call(server, socket);
    },
    ended: (connection) => void lean.delete(connection),
  };
  server.removeAllListeners('connection').on('connection', (socket: Socket) => {
    if (isClosed) socket.destroy();
    else lean.add(new LeanConnection(shop, socket));
  });
  const sweeper = setInterval(() => sweep(lean, options), SWEEP_MS).unref();
  return () => {
    isClosed = true;
    clearInterval(sweeper);
    for (const connection of lean) connection.finish();
  };
}

/** Ends connections on which a body stays away, or nothing is asked. One timer for all: a timer each would cost 1 µs a request. */
function sweep(lean: Iterable<LeanConnection>, { requestMs, keepAliveMs }: ListenerOptions): void {
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

function handlingOf(doors: readonly LeanDoor[], request: IncomingMessage): Handling | undefined {
  const { method, url, headers } = request;
  if (method !== 'POST' || !doors.some(({ prefix }) => url!.startsWith(prefix))) return undefined;
  const head = plainHead(url!, headers);
  return head && handlingFor(doors, head);
}

/** A request on an ordinary connection. */
function receive(handling: Handling, request: IncomingMessage, response: ServerResponse): void {
  const reply = new MessageReply(response, handling);
  if (!handling.admission) {
    receiveBody(handling, request, reply);
    return;
  }
  // Its body is not read unless it is let in: then the connection ends with the refusal.
  response.shouldKeepAlive = false;
  handling.admission(reply, (release) => {
    response.shouldKeepAlive = true;
    response.once('close', release);
    if (response.closed) release();
    else receiveBody(handling, request, reply);
  });
}

function receiveBody({ handle }: Handling, request: IncomingMessage, reply: MessageReply): void {
  const parts: Buffer[] = [];
  request.on('data', (chunk: Buffer) => void parts.push(chunk));
  request.on('end', () => {
    handle(parts.length === 1 ? parts[0]! : Buffer.concat(parts), reply);
  });
}

class MessageReply implements Reply {
  readonly signal: AbortSignal;
  readonly requestId: string;
  readonly #headers: readonly string[];
  readonly #response: ServerResponse;

  constructor(response: ServerResponse, { requestId = newRequestId(), headers }: Handling) {
    this.#response = response;
    this.requestId = requestId;
    this.#headers = headers;
    const gone = new AbortController();
    this.signal = gone.signal;
    response.once('close', () => gone.abort());
  }

  send(status: number, headers: readonly string[], body: string | Uint8Array): void {
    if (this.#response.destroyed) return;
    const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    const all = [
      ...headers,
      ...[REQUEST_ID, this.requestId],
      ...this.#headers,
      ...SECURITY_HEADERS,
      ...['content-length', String(bytes)],
    ];
    this.#response.writeHead(status, all);
    this.#response.end(body, typeof body === 'string' && bytes === body.length ? 'latin1' : 'utf8');
  }
}
