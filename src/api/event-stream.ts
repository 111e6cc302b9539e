import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import type { AccessPort } from './routes.ts';

/** A reader this far behind gets no more until it has caught up: what it misses it reads again. */
const BEHIND_BYTES_MAX = 1024 * 1024;

/** Server-sent events (HTML standard, "Server-sent events") to one reader. */
export interface EventStream {
  readonly closed: boolean;
  /** False when the reader is too far behind and the event was dropped. With an id, a reader who comes back says it. */
  send(event: string, data: unknown, id?: string): boolean;
  /** Only says how far the reader has come. */
  position(id: string): void;
  /** Resolves once the reader has taken most of what was sent, or is gone. */
  drained(): Promise<void>;
  close(): void;
  onClose(listener: () => void): void;
}

declare module 'fastify' {
  interface FastifyInstance {
    streams: StreamGate;
  }
}

/** Bounds the streams of a server, and ends those whose reader lost the right to read: a stream outlives the check of its request. */
export class StreamGate {
  readonly heartbeatMs: number;
  readonly #max: number;
  readonly #access: AccessPort;
  readonly #open = new Set<{ close(): void }>();
  #isClosed = false;

  constructor({ streamsMax, streamHeartbeatMs }: Limits, access: AccessPort) {
    this.heartbeatMs = streamHeartbeatMs;
    this.#max = streamsMax;
    this.#access = access;
  }

  /** @throws AiosError `request.overloaded` */
  requirePlace(): void {
    if (this.#open.size >= this.#max)
      throw new AiosError('request.overloaded', {
        detail: `${this.#max} streams are open.`,
        extensions: { limitName: 'streamsMax', limit: this.#max },
      });
  }

  /** One whose request was still under way when the server began to stop is ended, too: its reader comes again. */
  add(stream: { close(): void }): void {
    this.#open.add(stream);
    if (this.#isClosed) stream.close();
  }

  delete(stream: { close(): void }): void {
    this.#open.delete(stream);
  }

  /** A server that stops would wait for its streams. */
  close(): void {
    this.#isClosed = true;
    for (const stream of [...this.#open]) stream.close();
  }

  /** Whether the key or session still stands and still has the permission of the route. */
  async stillMay(request: FastifyRequest): Promise<boolean> {
    try {
      const caller = await this.#access.authenticate(request);
      return caller !== undefined && this.#access.can(caller, request.routeOptions.config.permission ?? '');
    } catch (error) {
      // The database being away says nothing about the reader.
      return !(error instanceof AiosError && error.code.startsWith('access.'));
    }
  }
}

/**
 * Takes over a reply and streams events with heartbeats until either side ends it, or the reader may read no more.
 *
 * @throws AiosError `request.overloaded`
 * @example const stream = openEventStream(request, reply); stream.send('run', run); stream.close()
 */
export function openEventStream(request: FastifyRequest, reply: FastifyReply): EventStream {
  const gate = reply.server.streams;
  gate.requirePlace();
  const response = reply.raw;
  reply.hijack();
  response.writeHead(200, {
    ...(reply.getHeaders() as OutgoingHttpHeaders),
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    connection: 'close',
  });
  // At once, so that the browser knows that the stream stands, and when to come back after a break.
  response.write('retry: 2000\n\n');
  let closed = false;
  const listeners: (() => void)[] = [];
  const end = () => {
    if (closed) return;
    closed = true;
    clearInterval(heartbeat);
    gate.delete(stream);
    for (const listener of listeners) listener();
  };
  const close = () => {
    end();
    response.end();
  };
  const heartbeat = setInterval(async () => {
    if (await gate.stillMay(request)) response.write(': alive\n\n');
    else close();
  }, gate.heartbeatMs);
  heartbeat.unref();
  response.once('close', end);
  response.on('error', end);
  const stream: EventStream = {
    get closed() {
      return closed;
    },
    send(event, data, id) {
      if (closed || response.writableLength > BEHIND_BYTES_MAX) return false;
      const place = id === undefined ? '' : `id: ${id}\n`;
      response.write(`${place}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
      return true;
    },
    position(id) {
      if (!closed) response.write(`id: ${id}\n\n`);
    },
    async drained() {
      if (closed || !response.writableNeedDrain) return;
      await new Promise<void>((resolve) => {
        const end = () => {
          response.off('drain', end);
          response.off('close', end);
          resolve();
        };
        response.once('drain', end);
        response.once('close', end);
      });
    },
    close,
    onClose(listener) {
      if (closed) listener();
      else listeners.push(listener);
    },
  };
  gate.add(stream);
  if (request.method === 'HEAD') close(); // who asks for the head waits for its end
  return stream;
}
