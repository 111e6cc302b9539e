import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { pythonEnvironment, runPython } from '../src/testing/python.ts';
import { filesOf, type OpenedApp, openApp } from './app-under-test.ts';

const python = await pythonEnvironment(['tritonclient[http]==2.73.0', 'tritonclient[grpc]==2.73.0']);
const OPEN_MS = 600_000;

interface Told {
  outcome: 'answered' | [status: string, message: string];
  ready: boolean;
  success: number;
  fail: number;
}

/** A server of a model that fails, or waits with its answers, as it is told. */
async function serverOfModel() {
  const state = { isIll: false, held: undefined as Promise<void> | undefined, asked: 0 };
  const server = createServer(async (request, response) => {
    state.asked++;
    request.resume();
    await state.held;
    response.statusCode = state.isIll ? 500 : 200;
    response.setHeader('content-type', 'application/json').end('{"y":[[1]]}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { state, server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

describe.skipIf(!python)(
  `a circuit breaker before the stock tritonclient${python ? '' : ' (skipped: no python3 here, or no PyPI)'}`,
  () => {
    let upstream: Awaited<ReturnType<typeof serverOfModel>>;
    let aios: OpenedApp;
    beforeAll(async () => {
      process.env.AIOS_HTTP_ALLOW_PRIVATE = '127.0.0.1';
      upstream = await serverOfModel();
      aios = await openApp({ grpc: { port: 0 } });
      await aios.app.apply(filesOf({ 'models/far/model.yaml': modelAt(upstream.url) }));
    });
    afterAll(async () => {
      vi.restoreAllMocks();
      delete process.env.AIOS_HTTP_ALLOW_PRIVATE;
      await aios?.close();
      upstream?.server.close();
    });

    const modelAt = (url: string) => `name: far
runtime: http
endpoint: { url: '${url}', response: body.y }
signature:
  inputs: [{ name: x, datatype: FP32, shape: [-1, 1] }]
  outputs: [{ name: y, datatype: FP32, shape: [-1, 1] }]
serving: { replicas: 2, batchMax: 1, breaker: { errorRate: 0.5, callsMin: 4, openMs: ${OPEN_MS}, probes: 2 } }
`;
    const ask = async (path: string, body?: object) =>
      fetch(`${aios.app.url}${path}`, {
        headers: { authorization: `Bearer ${aios.app.adminKey}` },
        ...(body && { method: 'POST', body: JSON.stringify(body) }),
      });
    const infer = () =>
      ask('/v2/models/far/infer', {
        inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: [1] }],
      });
    /** What clients are told, and what the statistics and the metrics say then. */
    const look = async () => {
      const { app } = aios;
      const script = join(import.meta.dirname, 'tritonclient', 'circuit_calls.py');
      const doors = [new URL(app.url).host, `127.0.0.1:${app.grpc!.port}`];
      const told = (await runPython(python!, script, ...doors, app.adminKey, 'far')) as {
        http: Told;
        grpc: Told;
      };
      const model = (await (await ask('/api/v1/models/far')).json()) as { serving: { circuit: object } };
      const metrics = await (await ask('/metrics')).text();
      const metric = (name: string) =>
        Number(metrics.match(new RegExp(`^aios_serving_${name}\\{[^}]*\\} (\\d+)`, 'm'))?.[1]);
      return {
        ...told,
        circuit: model.serving.circuit,
        measured: ['circuit', 'circuit_opened_total', 'circuit_refused_total'].map(metric),
      };
    };
    const counted = (http: Told['outcome'], grpc: Told['outcome'], success: number, fail: number) => ({
      http: expect.objectContaining({ outcome: http, ready: true, fail }),
      grpc: { outcome: grpc, ready: true, success, fail },
    });
    const opened = {
      openedAt: expect.any(String),
      openedBy: '3 of 5 calls failed and 0 were slow within 10000 ms; the last by serving.upstream_failed',
    };
    const refusal = (what: string) =>
      expect.stringMatching(`far/1 failed or was slow too often; ${what}\\.$`);

    it('tells the same by both protocols, the statistics and the metrics, from closed over open to closed', async () => {
      expect(await look()).toEqual({
        ...counted('answered', 'answered', 2, 0),
        circuit: { state: 'closed', opened: 0, refused: 0, openedAt: null, openedBy: null, closedAt: null },
        measured: [0, 0, 0],
      });

      const logged = vi.spyOn(process.stderr, 'write');
      const { state } = upstream;
      state.isIll = true;
      for (let i = 0; i < 3; i++) expect((await infer()).status).toBe(502); // 3 of 5 calls: it opens
      const { asked } = state;
      const open = 'it is tried again in \\d+ ms';
      expect(await look()).toEqual({
        ...counted(['503', refusal(open)], ['StatusCode.UNAVAILABLE', refusal(open)], 2, 3),
        circuit: { state: 'open', opened: 1, refused: 2, ...opened, closedAt: null },
        measured: [2, 1, 2],
      });
      expect(state.asked).toBe(asked);

      const now = performance.now.bind(performance);
      vi.spyOn(performance, 'now').mockImplementation(() => now() + OPEN_MS);
      state.isIll = false;
      let release = () => {};
      state.held = new Promise((done) => {
        release = done;
      });
      const probes = [infer(), infer()];
      await expect.poll(() => state.asked).toBe(asked + 2);
      const trying = 'a few calls try it now';
      expect(await look()).toEqual({
        ...counted(['503', refusal(trying)], ['StatusCode.UNAVAILABLE', refusal(trying)], 2, 3),
        circuit: { state: 'half-open', opened: 1, refused: 4, ...opened, closedAt: null },
        measured: [1, 1, 4],
      });
      release();
      for (const probe of probes) expect((await probe).status).toBe(200);
      const lines = logged.mock.calls
        .map(([line]) => String(line))
        .filter((line) => line.includes('The circuit'));
      expect(lines).toEqual([
        expect.stringContaining(`The circuit of far/1 opened: ${opened.openedBy}`),
        expect.stringMatching(/The circuit of far\/1 closed: open for \d+ s, calls refused: 4/),
      ]);
      expect(await look()).toEqual({
        ...counted('answered', 'answered', 6, 3),
        circuit: { state: 'closed', opened: 1, refused: 4, ...opened, closedAt: expect.any(String) },
        measured: [0, 1, 4],
      });
    });
  },
);
