import { trace } from '@opentelemetry/api';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { digestOf } from '../../kernel/canonical.ts';
import { ManualClock } from '../../kernel/clock.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import type { Committer } from '../../store/group-commit.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { RequestLog, type RequestRecord } from './request-log.ts';
import { servingMigrations } from './request-log-lane.ts';
import type { Serving } from './serving.ts';
import type { TrafficOptions } from './traffic-options.ts';
import { rows, servingUnderTest } from './traffic-under-test.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(servingMigrations);
});
afterAll(() => database?.close());
const open: Serving[] = [];
afterEach(async () => {
  for (const serving of open.splice(0)) serving.close();
  await database.db.query('truncate inference_requests');
});

function logging(options: TrafficOptions, overrides = '', commit: Committer = database.commit) {
  const clock = new ManualClock(1_800_000_000_000);
  const audited: RequestRecord[] = [];
  const objects: string[] = [];
  const errors: unknown[] = [];
  const requestLog = new RequestLog({
    db: database.db,
    commit,
    clock,
    limits: limitsFrom(overrides),
    record: ({ object, requests }) => {
      audited.push(...requests);
      objects.push(object);
      return [];
    },
    onError: (error) => errors.push(error),
  });
  const { serving, serve } = servingUnderTest({ 'risk/2': { options }, 'rules/1': {} }, { requestLog });
  open.push(serving);
  const kept = async (count: number) => {
    await expect.poll(async () => (await requestLog.read({ model: 'risk' }, 500)).length).toBe(count);
    return requestLog.read({ model: 'risk' }, 500);
  };
  return { serving, serve, requestLog, clock, audited, objects, errors, kept };
}
const caller = { kind: 'key', id: 'key_1' };
const features = { a: 2, b: 3 };

describe('the request log', () => {
  it('keeps what was asked, what was answered, by which version, for whom and how long it took', async () => {
    const { serving, kept, audited, objects, clock } = logging({ log: { sample: 1, redact: ['a'] } });
    const step = { runId: 'run_1', stepKey: 'score' };
    await serving.score({ model: 'risk', features, caller, step });
    const [logged] = await kept(1);
    expect(logged).toEqual({
      id: expect.stringMatching(/^inf_/),
      at: clock.now(),
      auditObject: objects[0],
      runId: 'run_1',
      stepKey: 'score',
      model: 'risk',
      version: 2,
      digest: 'risk/2',
      status: 'answered',
      answeredBy: { model: 'risk', version: 2, digest: 'risk/2' },
      degraded: null,
      cached: null,
      caller,
      traceId: null,
      latencyMs: expect.any(Number),
      computeUs: expect.any(Number),
      batchRows: 1,
      costMicroUsd: 5,
      redacted: ['a'],
      request: { features: { a: '[redacted]', b: 3 } },
      answer: { outputs: { total: 205 } },
      error: null,
      truncated: false,
    });
    const { request, answer } = logged as unknown as { request: object; answer: object };
    expect(audited).toEqual([
      {
        id: logged!.id,
        model: 'risk',
        version: 2,
        status: 'answered',
        caller,
        requestDigest: digestOf(request as never),
        answerDigest: digestOf(answer as never),
      },
    ]);
  });

  it('keeps tensors, degraded answers with the model that gave them, and errors', async () => {
    const fallback = [{ model: 'rules' }];
    const { serving, kept, clock, serve } = logging({ log: { sample: 1 }, fallback });
    await serving.infer({ model: 'risk', inputs: rows([2, 3]) });
    clock.advanceBy(1);
    await expect(serving.infer({ model: 'risk', inputs: [] })).rejects.toThrow();
    clock.advanceBy(1);
    const run = () => new Promise<never>(() => {});
    serve('risk/2', { run, options: { log: { sample: 1, redact: ['total'] }, fallback, timeoutMs: 15 } });
    await serving.infer({ model: 'risk', inputs: rows([2, 3]) });
    const [degraded, failed, answered] = await kept(3);
    expect(degraded).toMatchObject({
      version: 2,
      status: 'degraded',
      answeredBy: { model: 'rules', version: 1 },
      degraded: { model: 'risk', version: 2, reason: 'serving.timeout', by: 'model' },
      answer: { outputs: [{ name: 'sum', data: [null] }] },
    });
    expect(answered).toMatchObject({
      status: 'answered',
      request: { inputs: [{ name: 'features', data: [2, 3] }] },
      answer: { outputs: [{ name: 'sum', data: [205] }] },
      caller: null,
    });
    expect(failed).toMatchObject({
      status: 'failed',
      answer: null,
      answeredBy: null,
      error: { code: 'serving.missing_input' },
    });
  });

  it('keeps its part of the requests, none at 0, and no copies', async () => {
    const { serving, requestLog, kept, audited } = logging({ log: { sample: 0.3 } });
    for (let i = 0; i < 300; i++) await serving.score({ model: 'risk', features });
    await serving.score({ model: 'risk', features, isCopy: true });
    await requestLog.stop();
    const count = audited.length;
    expect(count).toBeGreaterThan(50);
    expect(count).toBeLessThan(140);
    await kept(count);
    const none = logging({ log: { sample: 0 } });
    await none.serving.score({ model: 'risk', features });
    expect(none.audited).toEqual([]);
  });

  it('keeps the trace that a request belongs to', async () => {
    const { requestLog, serving, kept } = logging({ log: { sample: 1 } });
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const span = trace.wrapSpanContext({ traceId, spanId: 'b7ad6b7169203331', traceFlags: 1 });
    const active = trace.getActiveSpan;
    trace.getActiveSpan = () => span;
    try {
      await serving.score({ model: 'risk', features });
    } finally {
      trace.getActiveSpan = active;
    }
    await kept(1);
    expect(await requestLog.read({ model: 'risk', traceId }, 10)).toHaveLength(1);
    expect(await requestLog.read({ model: 'risk', traceId: 'other' }, 10)).toEqual([]);
  });

  it('pages from the newest to the oldest, and finds by version, caller, status, run and time', async () => {
    const { serving, requestLog, clock, kept } = logging({ log: { sample: 1 } });
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      const step = { runId: `run_${i}`, stepKey: 's' };
      await serving.score({ model: 'risk', features, caller: { kind: 'key', id: `key_${i % 2}` }, step });
      ids.unshift((await kept(i + 1))[0]!.id);
      clock.advanceBy(1_000);
    }
    const first = await requestLog.read({ model: 'risk' }, 2);
    const second = await requestLog.read({ model: 'risk' }, 3, first[1]!.id);
    expect([...first, ...second].map(({ id }) => id)).toEqual(ids);
    const found = async (filters: object) =>
      (await requestLog.read({ model: 'risk', ...filters }, 10)).map(({ id }) => ids.indexOf(id));
    expect(await found({ callerId: 'key_1' })).toEqual([1, 3]);
    expect(await found({ runId: 'run_4' })).toEqual([0]);
    expect(await found({ version: 1 })).toEqual([]);
    expect(await found({ status: 'answered', version: 2 })).toHaveLength(5);
    const start = 1_800_000_000_000;
    expect(await found({ sinceMs: start + 1_000, untilMs: start + 3_000 })).toEqual([2, 3]);
    expect(await requestLog.read({ model: 'rules' }, 10)).toEqual([]);
  });

  it('deletes what is over its retention', async () => {
    const { serving, requestLog, clock, kept } = logging(
      { log: { sample: 1 } },
      'requestLogRetentionMs=10000,retentionRowsMax=2',
    );
    for (let i = 0; i < 5; i++) await serving.score({ model: 'risk', features });
    await kept(5);
    clock.advanceBy(8_000);
    await serving.score({ model: 'risk', features });
    await kept(6);
    expect(await requestLog.forget()).toBe(0);
    clock.advanceBy(3_000);
    expect(await requestLog.forget()).toBe(5);
    await kept(1);
    clock.advanceBy(9_000);
    requestLog.start();
    await kept(0);
    await requestLog.stop();
  });

  it('writes what was drawn together, and the rest when it stops', async () => {
    const commits: number[] = [];
    const counting: Committer = {
      commit: (writes) => {
        commits.push(writes.length);
        return database.commit.commit(writes);
      },
    };
    const { serving, requestLog, kept, audited, objects } = logging(
      { log: { sample: 1 } },
      'requestLogPauseMs=60000',
      counting,
    );
    for (let i = 0; i < 20; i++) await serving.score({ model: 'risk', features });
    expect(commits).toEqual([]);
    await requestLog.stop();
    expect(commits).toEqual([1]);
    const logged = await kept(20);
    expect(audited.map(({ id }) => id).sort()).toEqual(logged.map(({ id }) => id).sort());
    expect(objects).toEqual([`inferences:${audited[0]!.id}`]);
    expect(new Set(logged.map(({ auditObject }) => auditObject))).toEqual(new Set(objects));
  });

  it('drops and counts what there is no room for, and fails no call when it cannot write', async () => {
    const held = Promise.withResolvers<unknown[]>();
    held.promise.catch(() => {}); // it fails before anybody writes
    const slow: Committer = { commit: () => held.promise };
    const { serving, requestLog, errors } = logging({ log: { sample: 1 } }, 'requestLogQueueMax=2', slow);
    for (let i = 0; i < 5; i++) expect((await serving.score({ model: 'risk', features })).version).toBe(2);
    expect(requestLog.dropped).toBe(3);
    held.reject(new Error('no database'));
    await expect.poll(() => requestLog.dropped).toBe(5);
    expect(errors).toHaveLength(1);
    expect((await serving.score({ model: 'risk', features })).version).toBe(2);
  });
});
