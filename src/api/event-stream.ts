import type { FastifyReply } from 'fastify';

/** Below the 30 s after which common proxies drop a silent connection. */
const HEARTBEAT_MS = 15_000;
/** A reader this far behind gets no more until it has caught up: what it misses it reads again. */
const BEHIND_BYTES_MAX = 1024 * 1024;

/** Server-sent events (HTML standard, "Server-sent events") to one reader. */
export interface EventStream {
  readonly closed: boolean;
  /** False when the reader is too far behind and the event was dropped. */
  send(event: string, data: unknown): boolean;
  close(): void;
  onClose(listener: () => void): void;
}

/**
 * Takes over a reply and streams events with heartbeats until either side ends it.
 *
 * @example const stream = openEventStream(reply); stream.send('run', run); stream.close()
 */
export function openEventStream(reply: FastifyReply): EventStream {
  const response = reply.raw;
  reply.hijack();
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  });
  // At once, so that the browser knows that the stream stands, and when to come back after a break.
  response.write('retry: 2000\n\n');
  let closed = false;
  const heartbeat = setInterval(() => response.write(': alive\n\n'), HEARTBEAT_MS);
  heartbeat.unref();
  const listeners: (() => void)[] = [];
  const end = () => {
    if (closed) return;
    closed = true;
    clearInterval(heartbeat);
    for (const listener of listeners) listener();
  };
  response.once('close', end);
  response.on('error', end);
  return {
    get closed() {
      return closed;
    },
    send(event, data) {
      if (closed || response.writableLength > BEHIND_BYTES_MAX) return false;
      response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
      return true;
    },
    close() {
      end();
      response.end();
    },
    onClose(listener) {
      if (closed) listener();
      else listeners.push(listener);
    },
  };
}
