import { connect, type Socket } from 'node:net';

/** What a load of requests measured. Latencies are in milliseconds, sorted. */
export interface LoadResult {
  requests: number;
  failed: number;
  wallMs: number;
  latenciesMs: number[];
  /** The first answer that was not 2xx, to show why. */
  firstFailure?: string;
}

export interface LoadOptions {
  port: number;
  clients: number;
  /** The raw HTTP/1.1 request with the given number. */
  request(index: number): string;
  /** Where numbering starts, so that two loads of one server never send the same request. */
  from: number;
  durationMs: number;
}

/**
 * A closed loop: each client holds one connection and sends its next request when the answer to the last is complete. Written
 * on bare sockets because the client shares the machine's cores with the server: it costs about 10 µs a request, undici about 40.
 */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const result: LoadResult = { requests: 0, failed: 0, wallMs: 0, latenciesMs: [] };
  const startedAt = performance.now();
  const endsAt = startedAt + options.durationMs;
  let next = options.from;
  const take = () => (performance.now() < endsAt ? next++ : undefined);
  await Promise.all(Array.from({ length: options.clients }, () => client(options, take, result)));
  result.wallMs = performance.now() - startedAt;
  result.latenciesMs.sort((a, b) => a - b);
  return result;
}

async function client(
  options: LoadOptions,
  take: () => number | undefined,
  result: LoadResult,
): Promise<void> {
  const socket = connect({ port: options.port, host: '127.0.0.1', noDelay: true });
  try {
    for (let index = take(); index !== undefined; index = take()) {
      const startedAt = performance.now();
      const answer = await exchange(socket, options.request(index));
      result.latenciesMs.push(performance.now() - startedAt);
      result.requests++;
      if (!answer.startsWith('HTTP/1.1 2')) {
        result.failed++;
        result.firstFailure ??= answer.slice(0, 2000);
      }
    }
  } finally {
    socket.destroy();
  }
}

function exchange(socket: Socket, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const onData = (chunk: Buffer) => {
      received += chunk.toString('latin1');
      const head = received.indexOf('\r\n\r\n');
      if (head === -1) return;
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(received)?.[1] ?? Number.NaN);
      if (Number.isNaN(length))
        return finish(new Error(`an answer without Content-Length: ${received.slice(0, 200)}`));
      if (received.length >= head + 4 + length) finish();
    };
    const onError = (error: Error) => finish(error);
    const onClose = () => finish(new Error('the server closed the connection'));
    const finish = (error?: Error) => {
      socket.off('data', onData).off('error', onError).off('close', onClose);
      if (error) reject(error);
      else resolve(received);
    };
    socket.on('data', onData).on('error', onError).on('close', onClose);
    socket.write(request, 'latin1');
  });
}

/** The value below which the share `q` of sorted values lies. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}

/** A raw POST of a JSON body on a kept connection. Bodies must be Latin-1. */
export function post(path: string, body: string, headers: Record<string, string>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${lines.join('')}content-length: ${body.length}\r\n\r\n${body}`;
}

/** To three places. */
export function round3(value: number): number {
  return Math.round(value * 1000) / 1000;
}
