// The load generator of the serving bench, a process of its own: takes one LoadCommand after the other over its IPC channel and answers each with
// a LoadReport. Written on bare sockets with requests made beforehand, because it shares the machine's cores with the server.
import { connect, type Socket } from 'node:net';
import { seededRandom } from '../examples/returns/simulator.ts';
import { quantile } from './load.ts';
import { inferBody, type ModelName, rowOf } from './serving-models.ts';

export interface LoadCommand {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly clients: number;
  readonly durationMs: number;
  /** Ends earlier after as many requests. */
  readonly requestsMax?: number;
  /** The rows that requests are made of. */
  readonly model: ModelName;
  /** A request has 1 to so many rows; each request of an own body. */
  readonly rowsMax: number;
  readonly bodies: number;
  /** `bare`: `{"x": [[…]]}`, for servers without the Open Inference Protocol. */
  readonly form: 'oip' | 'bare';
  /** What the server calls the model, over gRPC. */
  readonly served?: string;
  /** Requests a second, whatever is answered (an open loop); a closed loop when left out. */
  readonly ratePerSecond?: number;
  /** By row: what the model answers with, so that each answer is held to the rows that were asked for. */
  readonly expected?: readonly (readonly number[])[];
}

export interface LoadReport {
  readonly requests: number;
  readonly failed: number;
  readonly misrouted: number;
  readonly firstFailure: string | undefined;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the generator itself, a request. */
  readonly cpuUs: number;
}

const TOLERANCE = 2e-3; // batches of other sizes add up in another order; rows differ by far more

interface Prepared {
  readonly bytes: Buffer;
  /** Numbers of the rows that it asks for. */
  readonly rows: readonly number[];
}

/** Of the load under way, allocated once: an array that grows by copying itself stops the generator for milliseconds, which would count as the server's. */
let latenciesMs = new Float64Array(1 << 22);

/** Latencies and counts of one load. */
class Tally {
  failed = 0;
  misrouted = 0;
  firstFailure: string | undefined;
  requests = 0;

  took(ms: number): void {
    if (this.requests === latenciesMs.length) {
      const larger = new Float64Array(2 * latenciesMs.length);
      larger.set(latenciesMs);
      latenciesMs = larger;
    }
    latenciesMs[this.requests++] = ms;
  }

  failure(text: string): void {
    this.failed++;
    this.firstFailure ??= text.slice(0, 1000);
  }
}

/** One kept connection with one request at a time. */
class Client {
  isFree = true;
  readonly #port: number;
  #socket: Socket;
  #prepared!: Prepared;
  #startedAt = 0;
  #head = '';
  #chunks: Buffer[] = [];
  #missing = -1;
  readonly #onAnswer: (client: Client, head: string, body: Buffer[], prepared: Prepared, ms: number) => void;
  readonly #onLost: (client: Client) => void;

  constructor(
    port: number,
    onAnswer: (client: Client, head: string, body: Buffer[], prepared: Prepared, ms: number) => void,
    onLost: (client: Client) => void,
  ) {
    this.#port = port;
    this.#onAnswer = onAnswer;
    this.#onLost = onLost;
    this.#socket = this.#connect();
  }

  send(prepared: Prepared, startedAt: number): void {
    this.isFree = false;
    this.#prepared = prepared;
    this.#startedAt = startedAt;
    this.#socket.write(prepared.bytes);
  }

  close(): void {
    this.#socket.removeAllListeners().on('error', () => {});
    this.#socket.destroy();
  }

  #connect(): Socket {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#socket = this.#connect();
      this.#missing = -1;
      this.#head = '';
      this.#chunks = [];
      if (!this.isFree) {
        this.isFree = true;
        this.#onLost(this);
      }
    });
    return socket;
  }

  #receive(chunk: Buffer): void {
    let body = chunk;
    if (this.#missing < 0) {
      this.#head += chunk.toString('latin1', 0, Math.min(chunk.length, 2048));
      const end = this.#head.indexOf('\r\n\r\n');
      if (end === -1) return;
      const at = this.#head.search(/content-length: /i);
      this.#missing = at === -1 ? 0 : Number.parseInt(this.#head.slice(at + 16, at + 28), 10);
      body = chunk.subarray(chunk.length - (this.#head.length - end - 4));
      this.#head = this.#head.slice(0, end);
    }
    this.#missing -= body.length;
    this.#chunks.push(body);
    if (this.#missing > 0) return;
    const { length } = this.#chunks;
    const chunks = length === 1 ? [body] : this.#chunks;
    const head = this.#head;
    this.#chunks = [];
    this.#head = '';
    this.#missing = -1;
    this.isFree = true;
    this.#onAnswer(this, head, chunks, this.#prepared, performance.now() - this.#startedAt);
  }
}

function prepare(command: LoadCommand): Prepared[] {
  const { model, rowsMax, bodies, form, path, headers } = command;
  const next = seededRandom(3);
  let row = 0;
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Array.from({ length: bodies }, () => {
    const count = 1 + Math.floor(next() * rowsMax);
    const numbers = Array.from({ length: count }, () => row++);
    const rows = numbers.map((number) => rowOf(model, number));
    const body = form === 'oip' ? inferBody(model, rows) : JSON.stringify({ x: rows });
    const text = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${lines.join('')}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    return { bytes: Buffer.from(text, 'latin1'), rows: numbers };
  });
}

/** True when each row of the answer is what the model says of that row. */
function isOwn(
  body: readonly Buffer[],
  { rows }: Prepared,
  expected: readonly (readonly number[])[],
): boolean {
  const { outputs } = JSON.parse(Buffer.concat(body).toString()) as { outputs: { data: number[] }[] };
  const data = outputs[0]?.data ?? [];
  const wanted = rows.flatMap((row) => expected[row] ?? []);
  return data.length === wanted.length && data.every((value, i) => Math.abs(value - wanted[i]!) < TOLERANCE);
}

async function run(command: LoadCommand, prepared: readonly Prepared[]): Promise<LoadReport> {
  const { port, clients, durationMs, expected, requestsMax = Number.POSITIVE_INFINITY } = command;
  const tally = new Tally();
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const endsAt = startedAt + durationMs;
  let sent = 0;
  const done = Promise.withResolvers<void>();
  const take = () => prepared[sent++ % prepared.length]!;
  const intervalMs = command.ratePerSecond ? 1000 / command.ratePerSecond : 0;
  // In an open loop a request counts from when it was due, sent or not: who waits for a free connection waits.
  const dueAt = () => (intervalMs === 0 ? performance.now() : startedAt + sent * intervalMs);
  const isOver = (now: number) => now >= endsAt || sent >= requestsMax;
  const goOn = (client: Client) => {
    const due = dueAt();
    if (isOver(due)) {
      if (all.every(({ isFree }) => isFree)) done.resolve();
    } else if (intervalMs === 0 || due <= performance.now()) client.send(take(), due);
  };
  const onAnswer = (client: Client, head: string, body: Buffer[], asked: Prepared, ms: number) => {
    tally.took(ms);
    if (head.charCodeAt(9) !== 50) tally.failure(`${head}\n${Buffer.concat(body).toString()}`);
    else if (expected && !isOwn(body, asked, expected)) tally.misrouted++;
    goOn(client);
  };
  const onLost = (client: Client) => {
    tally.took(Number.POSITIVE_INFINITY);
    tally.failure('the server closed the connection');
    goOn(client);
  };
  const all = Array.from({ length: clients }, () => new Client(port, onAnswer, onLost));
  for (const client of all) goOn(client);
  const timer = intervalMs > 0 ? setInterval(() => pump(), 1) : undefined;
  const pump = () => {
    for (const client of all) if (client.isFree) goOn(client);
  };
  await done.promise;
  clearInterval(timer);
  const wallMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpu);
  for (const client of all) client.close();
  const { requests } = tally;
  const sorted = latenciesMs.subarray(0, requests).sort() as unknown as number[];
  return {
    requests,
    failed: tally.failed,
    misrouted: tally.misrouted,
    firstFailure: tally.firstFailure,
    perSecond: (requests / wallMs) * 1000,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    cpuUs: (user + system) / requests,
  };
}

const known = new Map<string, Prepared[]>();

process.on('message', async (command: LoadCommand) => {
  const { model, rowsMax, bodies, form, path, port } = command;
  const key = JSON.stringify([model, rowsMax, bodies, form, path, port]);
  if (!known.has(key)) known.set(key, prepare(command));
  process.send!(await run(command, known.get(key)!));
});
