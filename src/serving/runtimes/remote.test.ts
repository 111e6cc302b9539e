import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testAuthority } from '../../connectors/tls-under-test.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { SERVING_DEFAULTS } from '../../models/model-kind.ts';
import { Capacity } from '../hosting/capacity.ts';
import { ModelHost } from '../hosting/model-host.ts';
import { InferRequest } from '../hosting/request.ts';
import type { Tensor } from '../tensors/tensor.ts';
import { createHttpRuntime, HTTP_KIND } from './http-runtime.ts';
import { createOipRuntime, OIP_KIND } from './oip-runtime.ts';
import { access, LOGISTIC, logistic, serveJson, serveModels, serveOverTls } from './remote-under-test.ts';
import {
  ModelRefused,
  RunFailed,
  type Runtime,
  type RuntimeModel,
  ServerBusy,
  ServerFailed,
} from './runtime.ts';
import { runtimeConformance } from './runtime-conformance.ts';

const options = { access, startMs: 10_000, answerBytesMax: 64 * 1024 * 1024 };
const oip = createOipRuntime(options);
const http = createHttpRuntime(options);
const headers = { authorization: `\${secrets.KEY}` };
const signature = { inputs: LOGISTIC.inputs, outputs: LOGISTIC.outputs };
const modelAt = (endpoint: object, more: Partial<RuntimeModel> = {}): RuntimeModel => ({
  name: 'logistic',
  digest: '',
  endpoint: endpoint as JsonObject,
  load: async () => new Uint8Array(),
  ...more,
});
interface Asked {
  readonly inputs: readonly [{ readonly shape: readonly [number, number] }];
  readonly parameters?: { readonly timeout: number };
}
const features = (...rows: number[][]): Tensor[] => [
  { name: 'features', datatype: 'FP32', shape: [rows.length, 2], data: Float32Array.from(rows.flat()) },
];

let doors: Awaited<ReturnType<typeof serveModels>>;
let json: Awaited<ReturnType<typeof serveJson>>;
let calls = 0;
beforeAll(async () => {
  doors = await serveModels({ logistic: LOGISTIC });
  json = await serveJson((text) => {
    calls++;
    const { instances } = JSON.parse(text) as { instances: number[][] };
    if (instances.some((row) => row.length !== 2)) return { status: 400, body: '{"error":"two columns"}' };
    const [answer] = logistic(features(...instances));
    return { body: JSON.stringify({ predictions: [...(answer!.data as Float32Array)].map((p) => ({ p })) }) };
  });
});
afterAll(() => Promise.all([doors.close(), json.close()]));

const mapping = {
  request: { instances: 'inputs.features' },
  response: 'body.predictions.map(each, [each.p])',
};
runtimeConformance('oip over HTTP', () => ({
  runtime: oip,
  logistic: modelAt({ url: doors.http, headers }),
  refused: modelAt({ url: doors.http, headers, model: 'unknown' }),
}));
runtimeConformance('oip over gRPC', () => ({
  runtime: oip,
  logistic: modelAt({ url: doors.grpc, protocol: 'grpc', headers }),
  refused: modelAt({ url: doors.grpc, protocol: 'grpc', headers, model: 'unknown' }),
}));
runtimeConformance('http', () => ({
  runtime: http,
  logistic: modelAt({ url: json.url, ...mapping }, { signature }),
  refused: modelAt({ url: json.url, ...mapping }),
}));

describe('a model of another server', () => {
  const remote = (kind: string): [Runtime, () => RuntimeModel] => {
    if (kind === 'http') return [http, () => modelAt({ url: json.url, ...mapping }, { signature })];
    if (kind === 'grpc') return [oip, () => modelAt({ url: doors.grpc, protocol: 'grpc', headers })];
    return [oip, () => modelAt({ url: doors.http, headers })];
  };

  it.each(['oip', 'grpc', 'http'])('has several batches under way by several replicas (%s)', async (kind) => {
    const [runtime, model] = remote(kind);
    const replicas = await Promise.all([1, 2, 3, 4].map(() => runtime.start(model())));
    const answers = await Promise.all(replicas.map((replica, i) => replica.run([features([i, 0])])));
    for (const [i, { outputs }] of answers.entries())
      expect(Number((outputs[0]!.data as Float32Array)[0])).toBeCloseTo(1 / (1 + Math.exp(-(i + 0.5))), 5);
    for (const replica of replicas) replica.kill();
  });

  it.each([
    ['an OIP server over HTTP', oip, { url: 'http://127.0.0.1:9', headers }],
    ['an OIP server over gRPC', oip, { url: 'http://127.0.0.1:9', protocol: 'grpc', headers }],
    ['a JSON server', http, { url: 'http://127.0.0.1:9/' }],
  ])('is lost, not refused, when %s is away', async (_, runtime, endpoint) => {
    const started = runtime.start(modelAt(endpoint, { signature })).then((replica) => {
      const ended = new Promise((done) => replica.onEnd(done));
      return replica.run([features([0, 0])]).catch(async (error: unknown) => {
        await ended;
        throw error;
      });
    });
    const error: unknown = await started.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(ModelRefused);
    expect(error).not.toBeInstanceOf(RunFailed);
  });

  it.each([
    ['refuses the values', { status: 422, body: 'no' }, RunFailed, false],
    ['fails inside', { status: 500, body: 'oops' }, ServerFailed, false],
    ['has no room', { status: 429, body: '' }, ServerBusy, false],
    ['is about to go', { status: 503, body: '' }, Error, true],
    ['answers what is not JSON', { body: '<html>' }, ServerFailed, false],
    ['answers another shape', { body: '[[1, 2]]' }, ServerFailed, false],
    ['answers another type', { body: '[["a"]]' }, ServerFailed, false],
    ['answers without the output', { body: '{"other": [[1]]}' }, ServerFailed, false],
    ['never answers', undefined, Error, true],
  ])('says what it is when the server %s', async (_, answer, kind, ends) => {
    const server = await serveJson(() => answer);
    const replica = await http.start(
      modelAt({ url: server.url, timeoutMs: answer ? 5000 : 200 }, { signature }),
    );
    let ended = false;
    replica.onEnd(() => {
      ended = true;
    });
    const error: unknown = await replica.run([features([0, 0])]).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(kind);
    if (kind === Error) expect(error).not.toBeInstanceOf(RunFailed);
    if (kind === RunFailed) expect(error).not.toBeInstanceOf(ServerFailed);
    expect(ended).toBe(ends);
    replica.kill();
    await server.close();
  });

  it('takes no more of an answer than the limit', async () => {
    const small = createHttpRuntime({ ...options, answerBytesMax: 100 });
    const server = await serveJson(() => ({ body: `[[0.5]]${' '.repeat(1_000)}` }));
    const replica = await small.start(modelAt({ url: server.url }, { signature }));
    await expect(replica.run([features([0, 0])])).rejects.toThrow(/more than 100 bytes/);
    await server.close();
  });

  it('passes on how long anybody still waits', async () => {
    let asked = '';
    const server = await serveJson((text) => {
      if (!text) return { body: JSON.stringify({ name: 'm', ...signature, extensions: [] }) };
      asked = text;
      return undefined;
    });
    const replica = await oip.start(modelAt({ url: server.url }));
    await expect(replica.run([features([0, 0])], 150)).rejects.toThrow('no answer within 150 ms');
    expect(JSON.parse(asked).parameters).toEqual({ timeout: 150_000 });
    await expect(replica.run([features([0, 0])], 50)).rejects.toThrow('no answer within 50 ms'); // it lives on
    await server.close();
  });

  it('is told by its host how long the most patient caller of a batch still waits', async () => {
    const timeouts: number[] = [];
    const server = await serveJson((text) => {
      if (!text) return { body: JSON.stringify({ name: 'm', ...signature, extensions: [] }) };
      const { inputs, parameters } = JSON.parse(text) as Asked;
      const rows = inputs[0].shape[0];
      if (parameters) timeouts.push(parameters.timeout);
      const data = new Array(rows).fill(0.5);
      return { body: JSON.stringify({ outputs: [{ ...LOGISTIC.outputs[0], shape: [rows, 1], data }] }) };
    });
    const limits = limitsFrom();
    const model = modelAt({ url: server.url });
    const host = new ModelHost('m/1', model, oip, SERVING_DEFAULTS, new Capacity(limits, 1));
    await host.start();
    expect(timeouts).toEqual([]); // the warm-up has no caller
    const requests = [700, 900].map(
      (waitMs) => new InferRequest(features([0, 0]), 1, performance.now(), waitMs),
    );
    for (const request of requests) host.submit(request);
    await Promise.all(requests.map(({ answer }) => answer));
    expect(timeouts).toHaveLength(1);
    expect(timeouts[0]).toBeGreaterThan(700_000);
    expect(timeouts[0]).toBeLessThanOrEqual(900_000);
    host.close();
    await server.close();
  });

  const authority = testAuthority();
  it.skipIf(!authority)(
    `is known by its certificate${authority ? '' : ' (skipped: no openssl here)'}`,
    async () => {
      const server = await serveOverTls(authority!);
      const model = modelAt({ url: server.url, protocol: 'grpc' });
      await expect(oip.start(model)).rejects.toThrow();
      const trusted = { ...access, roots: () => readFileSync(authority!.caFile) };
      const replica = await createOipRuntime({ ...options, access: trusted }).start(model);
      const { outputs } = await replica.run([features([1.5, 1])]);
      expect(outputs[0]).toMatchObject({ name: 'probabilities', shape: [1, 1], data: Float32Array.of(0.5) });
      replica.kill();
      server.close();
    },
  );

  it('is asked once for each batch', async () => {
    const replica = await http.start(modelAt({ url: json.url, ...mapping }, { signature }));
    const before = calls;
    await replica.run([features([1, 0]), features([0, 1], [2, 2])]);
    expect(calls).toBe(before + 1);
    replica.kill();
  });

  it.each([
    ['a nested answer by name', '{"probabilities": [[0.25], [0.5]]}', 'body', [0.25, 0.5]],
    ['a flat answer by name', '{"probabilities": [0.25, 0.5]}', 'body', [0.25, 0.5]],
    ['the one output itself', '{"a": {"b": [0.25, 0.5]}}', 'body.a.b', [0.25, 0.5]],
    ['an absent number', '[[null], [0.5]]', 'body', [Number.NaN, 0.5]],
  ])('maps %s', async (_, body, response, expected) => {
    const server = await serveJson(() => ({ body }));
    const replica = await http.start(modelAt({ url: server.url, response }, { signature }));
    const { outputs } = await replica.run([features([0, 0], [1, 1])]);
    expect(outputs[0]).toMatchObject({ shape: [2, 1], data: Float32Array.from(expected) });
    replica.kill();
    await server.close();
  });
});

describe('the endpoint of a model', () => {
  it.each([
    [OIP_KIND, { headers: { authorization: 'Bearer abc' } }, '/headers/authorization'],
    [HTTP_KIND, { headers: { 'X-Api-Key': 'abc' } }, '/headers/X-Api-Key'],
    [HTTP_KIND, { request: 'inputs.' }, '/request'],
    [HTTP_KIND, { response: { a: { b: '1 +' } } }, '/response/a/b'],
  ])('is refused for what would not do', (kind, members, path) => {
    const issues = kind.check({ url: 'http://a', ...members } as JsonObject);
    expect(issues.map((issue) => issue.path)).toEqual([path]);
  });

  it('holds credentials as secrets', () => {
    expect(OIP_KIND.check({ url: 'http://a', headers })).toEqual([]);
  });
});
