import { Server, ServerCredentials, type sendUnaryData, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import type { ServingOptions } from '../hosting/serving-options.ts';
import { loadGrpcServices } from '../protocol/grpc-services.ts';
import { createHttpRuntime } from '../runtimes/http-runtime.ts';
import { createOipRuntime } from '../runtimes/oip-runtime.ts';
import { access, serveJson } from '../runtimes/remote-under-test.ts';
import { createServing } from './serving.ts';
import type { TrafficOptions } from './traffic-options.ts';
import { rows, SIGNATURE } from './traffic-under-test.ts';

const OPTIONS: ServingOptions = {
  replicas: 1,
  batchMax: 8,
  timeoutMs: 5_000,
  queueMax: 1_000,
  costPerInferenceMicroUsd: 0,
  costPerComputeSecondMicroUsd: 0,
};
const FALLBACK: TrafficOptions = { fallback: [{ default: { outputs: { sum: [7] } } }] };
const { inputs, outputs } = SIGNATURE;

type Fault = 'none' | 'refuses' | 'fails' | 'is full' | 'talks nonsense';
const HTTP_STATUS = { none: 200, refuses: 422, fails: 500, 'is full': 429, 'talks nonsense': 200 };
const GRPC_STATUS = {
  refuses: status.INVALID_ARGUMENT,
  fails: status.INTERNAL,
  'is full': status.RESOURCE_EXHAUSTED,
};

/** What servers answer from now on; all of them answer their warm-up. */
let fault: Fault = 'none';

let asked = 0;

function answerOf(text: string): { status: number; body: string; headers?: Record<string, string> } {
  asked++;
  if (fault === 'talks nonsense') return { status: 200, body: '<html>' };
  const count = (JSON.parse(text) as { rows: number }).rows;
  const headers = { 'retry-after': '9' };
  if (fault !== 'none') return { status: HTTP_STATUS[fault], body: 'oops', headers };
  return { status: 200, body: JSON.stringify({ sum: new Array(count).fill(1) }) };
}

/** An OIP server answers the same in its own form. */
function oipAnswerOf(text: string): ReturnType<typeof answerOf> {
  if (text === '')
    return { status: 200, body: JSON.stringify({ name: 'm', inputs, outputs, extensions: [] }) };
  const [{ shape }] = (JSON.parse(text) as { inputs: [{ shape: [number, number] }] }).inputs;
  const answer = answerOf(JSON.stringify({ rows: shape[0] }));
  if (fault !== 'none') return answer;
  const { sum } = JSON.parse(answer.body) as { sum: number[] };
  const output = { name: 'sum', datatype: 'FP32', shape: [shape[0], 1], data: sum };
  return { status: 200, body: JSON.stringify({ outputs: [output] }) };
}

async function serveGrpc() {
  const { inference } = await loadGrpcServices();
  const server = new Server();
  server.addService(inference as never, {
    ModelMetadata: (_: unknown, done: sendUnaryData<object>) => done(null, { name: 'm', inputs, outputs }),
    ModelInfer: (
      { request }: { request: { inputs: [{ shape: [number] }] } },
      done: sendUnaryData<object>,
    ) => {
      const count = Number(request.inputs[0].shape[0]);
      if (fault === 'talks nonsense') return done(null, { outputs: [] });
      if (fault !== 'none') return done({ code: GRPC_STATUS[fault], details: 'oops' });
      const contents = { fp32_contents: new Array(count).fill(1) };
      done(null, { outputs: [{ name: 'sum', datatype: 'FP32', shape: [count, 1], contents }] });
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return { url: `http://127.0.0.1:${port}`, close: () => server.forceShutdown() };
}

describe('a model whose server answers with a fault', () => {
  let json: Awaited<ReturnType<typeof serveJson>>;
  let oip: Awaited<ReturnType<typeof serveJson>>;
  let grpc: Awaited<ReturnType<typeof serveGrpc>>;
  beforeAll(async () => {
    [json, oip, grpc] = await Promise.all([serveJson(answerOf), serveJson(oipAnswerOf), serveGrpc()]);
  });
  afterAll(async () => {
    await Promise.all([json.close(), oip.close()]);
    grpc.close();
  });

  /** One model behind each kind of server, warm. */
  async function served(kind: string, traffic: TrafficOptions = {}) {
    const endpoints: Record<string, JsonObject> = {
      http: { url: json.url, request: { rows: 'rows' } },
      oip: { url: oip.url },
      grpc: { url: grpc.url, protocol: 'grpc' },
    };
    const options = { access, startMs: 5_000, answerBytesMax: 1_000_000 };
    const runtime = kind === 'http' ? createHttpRuntime(options) : createOipRuntime(options);
    const model = { name: 'm', version: 1, digest: 'd', signature: SIGNATURE, runtime: 'far' };
    const serving = createServing({
      models: {
        resolve: () => ({ ...model, endpoint: endpoints[kind], serving: { ...OPTIONS, ...traffic } }),
        artifact: async () => new Uint8Array(),
      },
      runtimes: { far: runtime },
      limits: limitsFrom(),
    });
    fault = 'none';
    await serving.load('m');
    return serving;
  }
  const call = { model: 'm', inputs: rows([1, 2]) };

  it.each([
    ['http', 'refuses', 'serving.model_failed', {}],
    ['oip', 'refuses', 'serving.model_failed', {}],
    ['grpc', 'refuses', 'serving.model_failed', {}],
    ['http', 'fails', 'serving.upstream_failed', { upstreamStatus: 500 }],
    ['oip', 'fails', 'serving.upstream_failed', { upstreamStatus: 500 }],
    ['grpc', 'fails', 'serving.upstream_failed', { upstreamStatus: status.INTERNAL }],
    ['http', 'talks nonsense', 'serving.upstream_failed', {}],
    ['oip', 'talks nonsense', 'serving.upstream_failed', {}],
    ['grpc', 'talks nonsense', 'serving.upstream_failed', {}],
    ['http', 'is full', 'serving.upstream_limited', { upstreamStatus: 429, retryAfterMs: 9_000 }],
    ['oip', 'is full', 'serving.upstream_limited', { upstreamStatus: 429, retryAfterMs: 9_000 }],
    ['grpc', 'is full', 'serving.upstream_limited', { upstreamStatus: status.RESOURCE_EXHAUSTED }],
  ] as const)('says so (%s, it %s): %s', async (kind, what, code, extensions) => {
    const serving = await served(kind);
    fault = what;
    const error = await serving.infer(call).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, extensions });
    fault = 'none';
    expect((await serving.infer(call)).outputs[0]?.data).toEqual(Float32Array.of(1)); // its replica lives on
    serving.close();
  });

  it.each(['http', 'oip', 'grpc'])('falls back unless the values are at fault (%s)', async (kind) => {
    const serving = await served(kind, FALLBACK);
    for (const [what, reason] of [
      ['fails', 'serving.upstream_failed'],
      ['talks nonsense', 'serving.upstream_failed'],
      ['is full', 'serving.upstream_limited'],
    ] as const) {
      fault = what;
      const { outputs: answered, degraded } = await serving.infer(call);
      expect([degraded?.reason, answered[0]?.data]).toEqual([reason, Float32Array.of(7)]);
    }
    fault = 'refuses';
    await expect(serving.infer(call)).rejects.toMatchObject({ code: 'serving.model_failed' });
    serving.close();
  });

  it('opens the circuit by its failures, not by being full', async () => {
    const serving = await served('http', { breaker: { errorRate: 0.1, callsMin: 2, openMs: 60_000 } });
    const codes = async (what: Fault, count: number) => {
      fault = what;
      const answers = [];
      for (let i = 0; i < count; i++)
        answers.push(await serving.infer(call).catch(({ code }: { code: string }) => code));
      return answers;
    };
    expect(await codes('is full', 3)).toEqual(new Array(3).fill('serving.upstream_limited'));
    expect(await codes('fails', 3)).toEqual([
      'serving.upstream_failed',
      'serving.upstream_failed',
      'serving.circuit_open',
    ]);
    serving.close();
  });

  it('is asked by each alone where a batch fails, and by none where it is full', async () => {
    const serving = await served('http');
    fault = 'fails';
    const before = asked;
    await Promise.allSettled([1, 2, 3].map(() => serving.infer(call)));
    const failed = asked - before;
    fault = 'is full';
    await Promise.allSettled([1, 2, 3].map(() => serving.infer(call)));
    expect([failed, asked - before - failed]).toEqual([4, 1]);
    serving.close();
  });
});
