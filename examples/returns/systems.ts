import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, readFileSync, truncateSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { dirname } from 'node:path';

/** An outside system of the example: a small real HTTP server that remembers what it did. */
export interface OutsideSystem {
  readonly url: string;
  /** Calls by idempotency key: how often each key came. The work was done once for each. */
  readonly calls: ReadonlyMap<string, number>;
  /** What was done, by idempotency key. */
  readonly done: ReadonlyMap<string, Record<string, unknown>>;
  stop(): Promise<void>;
}

interface Behaviour {
  path: string;
  perform(body: Record<string, unknown>, key: string): Record<string, unknown>;
  /** Every n-th new call is answered with 503 before anything is done: systems have bad moments. 0 for never. */
  failEvery?: number;
}

/** Pays refunds. One per idempotency key, whatever comes again. */
export function startRefunds(file: string, failEvery = 0, port = 0): Promise<OutsideSystem> {
  return start(file, port, {
    path: '/refunds',
    failEvery,
    perform: ({ returnId, amount }, key) => ({ refundId: `refund-${returnId}`, returnId, amount, key }),
  });
}

/** Expects goods to come back. */
export function startWarehouse(file: string, failEvery = 0, port = 0): Promise<OutsideSystem> {
  return start(file, port, {
    path: '/expected',
    failEvery,
    perform: ({ returnId, product, quantity }, key) => ({
      noticeId: `notice-${returnId}`,
      returnId,
      product,
      quantity,
      key,
    }),
  });
}

/** What was done is appended to a file before it is answered, so that a restart forgets nothing. */
async function start(file: string, port: number, behaviour: Behaviour): Promise<OutsideSystem> {
  mkdirSync(dirname(file), { recursive: true });
  const done = new Map<string, Record<string, unknown>>(readDone(file));
  const calls = new Map<string, number>();
  let fresh = 0;
  const server = createServer(async (request, response) => {
    const key = String(request.headers['idempotency-key'] ?? '');
    const body = await readBody(request);
    if (request.method !== 'POST' || request.url !== behaviour.path || !key)
      return answer(response, 400, { error: 'POST with an Idempotency-Key' });
    calls.set(key, (calls.get(key) ?? 0) + 1);
    const before = done.get(key);
    if (before) return answer(response, 200, before);
    if (behaviour.failEvery && ++fresh % behaviour.failEvery === 0)
      return answer(response, 503, { error: 'a bad moment' });
    const result = behaviour.perform(body, key);
    appendFileSync(file, `${JSON.stringify([key, result])}\n`);
    done.set(key, result);
    return answer(response, 201, result);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const { port: taken } = server.address() as { port: number };
  return { url: `http://127.0.0.1:${taken}`, calls, done, stop: () => stop(server) };
}

/**
 * What was done before. A crash can cut the last line off: that work was never answered, so the key comes again; the line is taken out, or the next
 * one would be glued to it.
 */
function readDone(file: string): [string, Record<string, unknown>][] {
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) truncateSync(file, Buffer.byteLength(whole));
  return whole
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as [string, Record<string, unknown>]);
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = '';
  for await (const chunk of request) text += chunk;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function answer(response: ServerResponse, status: number, body: Record<string, unknown>): void {
  const text = JSON.stringify(body);
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    .end(text);
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}
