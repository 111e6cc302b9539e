import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { AiosError } from '../kernel/errors.ts';
import { limitsFrom } from '../kernel/limits.ts';
import type { Quota } from '../kernel/quota.ts';
import type { InferCall, Serving } from '../serving/traffic/serving.ts';
import type { ModelVersions } from './model-repository.ts';
import type { AccessPort, Caller } from './routes.ts';
import { servingRoutes } from './routes-serving.ts';
import { createServer } from './server.ts';

/** A door with a model `double`, which answers twice what it is given, one that hangs until `release`, and three keys. */
export interface InferUnderTest {
  readonly server: FastifyInstance;
  readonly port: number;
  readonly faults: AiosError[];
  /** Of the requests that met them. */
  readonly faultIds: (string | undefined)[];
  /** Calls that reached the model, in order. */
  readonly calls: InferCall[];
  /** Lets the calls of the model `hangs` be answered. */
  release(): void;
  close(): Promise<void>;
}

const ROLES: Readonly<Record<string, readonly string[]>> = { may: ['serving.infer'], other: [] };

const access: AccessPort = {
  authenticate({ headers }) {
    const name = headers.authorization?.replace('Bearer ', '');
    if (name === undefined) return undefined;
    if (!(name.replace('slowly-', '') in ROLES))
      throw new AiosError('access.unauthenticated', { detail: 'no such key' });
    const caller: Caller = { id: name, name, kind: 'key', roles: [name], groups: [] };
    // As when a key is looked up in the database.
    return name.startsWith('slowly-') ? Promise.resolve(caller) : caller;
  },
  can: ({ name }, permission) => ROLES[name.replace('slowly-', '')]!.includes(permission),
};

const QUOTA: Quota = {
  ...{ name: 'requests', unit: 'requests', limit: 5, remaining: 4 },
  ...{ resetMs: 250, windowMs: 1_000 },
};

export async function openInferUnderTest(
  limits = '',
  corsOrigins: readonly string[] = [],
): Promise<InferUnderTest> {
  const calls: InferCall[] = [];
  const faults: AiosError[] = [];
  const faultIds: (string | undefined)[] = [];
  let release = Promise.withResolvers<void>();
  const infer = async (call: InferCall) => {
    calls.push(call);
    if (['limited', 'limited-full'].includes(call.model)) call.onQuota?.(QUOTA);
    if (call.model === 'hangs') await release.promise;
    if (call.model.endsWith('full'))
      throw new AiosError('request.overloaded', { extensions: { retryAfterMs: 2500 } });
    if (call.model === 'broken') throw new Error('connect ECONNREFUSED 10.0.0.5:5432');
    if (call.model === 'refuses')
      throw new AiosError('serving.rate_limited', { extensions: { retryAfterMs: 500, quota: { ...QUOTA } } });
    if (!['double', 'hangs', 'limited'].includes(call.model)) throw new AiosError('models.unknown_model');
    const outputs = call.inputs.map((input) => ({
      ...input,
      name: 'y',
      data: (input.data as Float32Array).map((value) => 2 * value),
    }));
    return {
      outputs,
      computeUs: 1,
      batchRows: 1,
      costMicroUsd: 0,
      model: call.model,
      version: 3,
      digest: '',
    };
  };
  const serving = { infer } as unknown as Serving;
  const server = await createServer({
    limits: limitsFrom(limits),
    access,
    serving,
    corsOrigins,
    onFault(fault, requestId) {
      faults.push(fault);
      faultIds.push(requestId);
    },
    routes: [
      servingRoutes({ serving, models: {} as ModelVersions, version: 'test', limits: limitsFrom(limits) }),
      (scope) => scope.post('/v2/open', { config: { permission: 'public' } }, () => ({ open: true })),
    ],
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  return {
    server,
    port: (server.server.address() as { port: number }).port,
    faults,
    faultIds,
    calls,
    release() {
      release.resolve();
      release = Promise.withResolvers();
    },
    close: () => server.close(),
  };
}

export interface Asked {
  url?: string;
  method?: string;
  key?: string | undefined;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
}

export const inferOf = (values: readonly number[]): string =>
  JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, values.length], data: values }] });

/** The bytes of a request, `double` of [1, 2] unless said otherwise. */
export function message({
  url = '/v2/models/double/infer',
  method = 'POST',
  key = 'may',
  headers,
  body,
}: Asked): Buffer {
  const bytes = Buffer.from(body ?? inferOf([1, 2]));
  const all = { host: 'localhost', ...(key ? { authorization: `Bearer ${key}` } : {}), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const length = method === 'GET' ? '' : `content-length: ${bytes.length}\r\n`;
  const head = Buffer.from(`${method} ${url} HTTP/1.1\r\n${lines.join('')}${length}\r\n`, 'latin1');
  return method === 'GET' ? head : Buffer.concat([head, bytes]);
}

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** A bare connection that reads whole answers. */
export class Wire {
  readonly socket: Socket;
  #received = Buffer.alloc(0);

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.on('error', () => {});
    this.socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.socket.emit('grown');
    });
    this.socket.on('close', () => this.socket.emit('grown'));
  }

  write(bytes: Uint8Array | string): this {
    this.socket.write(bytes as string, 'latin1');
    return this;
  }

  /** The next whole answer; undefined when the connection ended without one. */
  async answer(): Promise<Answer | undefined> {
    for (;;) {
      const answer = this.#take();
      if (answer) return answer;
      if (this.socket.closed) return undefined;
      await once(this.socket, 'grown');
    }
  }

  async ended(): Promise<void> {
    if (!this.socket.closed) await once(this.socket, 'close');
  }

  #take(): Answer | undefined {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end === -1) return undefined;
    const [status = '', ...lines] = this.#received.toString('latin1', 0, end).split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 1).trim(),
      ]),
    );
    const length = Number(headers['content-length'] ?? 0);
    if (this.#received.length < end + 4 + length) return undefined;
    const body = this.#received.subarray(end + 4, end + 4 + length);
    this.#received = this.#received.subarray(end + 4 + length);
    return { status: Number(status.split(' ')[1]), headers, body };
  }
}
