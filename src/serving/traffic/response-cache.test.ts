import { afterEach, describe, expect, it, vi } from 'vitest';
import { AiosError } from '../../kernel/errors.ts';
import { bytesOf } from '../tensors/tensor.ts';
import { ResponseCache } from './response-cache.ts';
import type { Serving } from './serving.ts';
import { rows, servingUnderTest, sums } from './traffic-under-test.ts';

const open: Serving[] = [];
afterEach(() => {
  for (const serving of open.splice(0)) serving.close();
});

function cached(
  run = (tensors: Parameters<typeof sums>[0]): ReturnType<typeof sums> | Promise<ReturnType<typeof sums>> =>
    sums(tensors),
  cache: { ttlMs: number; entriesMax?: number; bytesMax?: number } = { ttlMs: 60_000 },
) {
  const made = servingUnderTest({ 'risk/1': { run, options: { cache, timeoutMs: 60_000 } } });
  open.push(made.serving);
  return made;
}

/** A model whose runs end when they are told to. */
function held() {
  const waiting: ((error?: Error) => void)[] = [];
  const run = (tensors: Parameters<typeof sums>[0]) =>
    new Promise<ReturnType<typeof sums>>((resolve, reject) => {
      waiting.push((error) => (error ? reject(error) : resolve(sums(tensors))));
    });
  const running = async (count: number) => {
    await vi.waitFor(() => expect(waiting.length, 'runs that began').toBeGreaterThanOrEqual(count), {
      timeout: 30_000,
      interval: 2,
    });
    return waiting;
  };
  return { run, running };
}

describe('the response cache', () => {
  it('answers the same input again without the model and without cost, and marks it', async () => {
    const { serving, runs } = cached();
    const first = await serving.score({ model: 'risk', features: { a: 2, b: 3 } });
    const again = await serving.score({ model: 'risk', features: { b: 3, a: 2, other: 'unused' } });
    expect(first).toMatchObject({ outputs: { total: 105 }, costMicroUsd: 5 });
    expect(first).not.toHaveProperty('cached');
    expect(again).toMatchObject({ outputs: { total: 105 }, costMicroUsd: 0, computeUs: 0, cached: 'hit' });
    await serving.score({ model: 'risk', features: { a: 3, b: 2 } });
    expect(runs).toEqual({ 'risk/1': 2 });
    expect(serving.statistics()['risk/1']!.cache).toMatchObject({
      hits: 1,
      misses: 2,
      shared: 0,
      entries: 2,
    });
  });

  it('tells tensors from named results, one shape from another, and one version from another', async () => {
    const { serving, runs, serve } = cached();
    serve('risk/2', { options: { cache: { ttlMs: 60_000 } } });
    await serving.score({ model: 'risk', features: { a: 2, b: 3 } });
    const tensors = await serving.infer({ model: 'risk', inputs: rows([2, 3]) });
    expect([...tensors.outputs[0]!.data]).toEqual([105]);
    const two = await serving.infer({ model: 'risk', inputs: rows([2, 3], [2, 3]) });
    expect(two.outputs[0]!.shape).toEqual([2, 1]);
    const other = await serving.infer({ model: 'risk', ref: 2, inputs: rows([2, 3]) });
    expect([...other.outputs[0]!.data]).toEqual([205]);
    expect(runs).toEqual({ 'risk/1': 3, 'risk/2': 1 });
    const hit = await serving.infer({ model: 'risk', inputs: rows([2, 3], [2, 3]) });
    expect(hit).toMatchObject({ cached: 'hit', batchRows: 2, version: 1 });
  });

  it('knows large inputs by a digest of all of their bytes', async () => {
    const { serving, runs } = cached();
    const many = (last: number) =>
      rows(...Array.from({ length: 8 }, (_, i): [number, number] => [i + 2, i === 7 ? last : 5]));
    const wide = servingUnderTest({ 'risk/1': { options: { batchMax: 64, cache: { ttlMs: 60_000 } } } });
    open.push(wide.serving);
    const long = (last: number) => rows(...Array.from({ length: 64 }, (): [number, number] => [last, 5]));
    for (const last of [2, 3, 2]) await wide.serving.infer({ model: 'risk', inputs: long(last) });
    for (const last of [2, 3, 2]) await serving.infer({ model: 'risk', inputs: many(last) });
    expect([runs['risk/1'], wide.runs['risk/1']]).toEqual([2, 2]);
  });

  it('keeps rows of a batch apart from the batch: an entry is as large as its own rows', async () => {
    const { serving } = cached();
    await Promise.all([2, 3, 4, 5].map((a) => serving.infer({ model: 'risk', inputs: rows([a, 9]) })));
    const hit = await serving.infer({ model: 'risk', inputs: rows([3, 9]) });
    expect(bytesOf(hit.outputs[0]!.data).buffer.byteLength).toBe(4);
    expect([...hit.outputs[0]!.data]).toEqual([112]);
  });

  it('forgets after its time, and the least used beyond its number and its bytes', async () => {
    const short = cached(undefined, { ttlMs: 15 });
    await short.serving.score({ model: 'risk', features: { a: 2, b: 2 } });
    await new Promise((resolve) => setTimeout(resolve, 30));
    await short.serving.score({ model: 'risk', features: { a: 2, b: 2 } });
    expect(short.runs['risk/1']).toBe(2);
    for (const bound of [{ entriesMax: 2 }, { bytesMax: 600 }]) {
      const { serving } = cached(undefined, { ttlMs: 60_000, ...bound });
      for (const a of [2, 3, 4, 5]) await serving.score({ model: 'risk', features: { a, b: 2 } });
      expect(serving.statistics()['risk/1']!.cache!.entries).toBe(2);
    }
  });

  it('computes once what many ask at once, and the others pay nothing', async () => {
    const { run, running } = held();
    const { serving, runs } = cached(run);
    const calls = Array.from({ length: 20 }, () =>
      serving.score({ model: 'risk', features: { a: 2, b: 2 } }),
    );
    for (const release of await running(1)) release();
    const answers = await Promise.all(calls);
    expect(runs['risk/1']).toBe(1);
    expect(answers.reduce((sum, { costMicroUsd }) => sum + costMicroUsd, 0)).toBe(5);
    expect(answers.filter(({ cached: how }) => how === 'shared')).toHaveLength(19);
    expect(new Set(answers.map(({ outputs }) => outputs.total))).toEqual(new Set([104]));
  });

  it('lets nobody wait for a call that is less urgent', async () => {
    const { run, running } = held();
    const { serving } = servingUnderTest({
      'risk/1': { run, options: { cache: { ttlMs: 60_000 }, replicas: 2 } },
    });
    open.push(serving);
    const ask = (priority?: number) => serving.score({ model: 'risk', features: { a: 2, b: 3 }, priority });
    const low = ask(5);
    await running(1);
    const middle = ask();
    const both = await running(2);
    const followers = [ask(5), ask(3)];
    both[1]!();
    expect(await middle).not.toHaveProperty('cached');
    for (const answer of await Promise.all(followers)) expect(answer.cached).toBe('shared');
    both[0]!();
    expect(await low).not.toHaveProperty('cached');
    expect((await ask()).cached).toBe('hit');
  });

  it('tells those who waited why it failed, and computes anew for who comes later', async () => {
    const { run, running } = held();
    const { serving, runs } = cached(run);
    const calls = [1, 2, 3].map(() => serving.score({ model: 'risk', features: { a: 2, b: 2 } }));
    const settled = Promise.allSettled(calls);
    (await running(1))[0]!(new Error('no memory'));
    for (const outcome of await settled)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'serving.model_failed' } });
    const later = serving.score({ model: 'risk', features: { a: 2, b: 2 } });
    (await running(2))[1]!();
    expect((await later).outputs).toEqual({ total: 104 });
    expect(runs['risk/1']).toBe(2);
  });

  it.each([
    ['cancels', (signal: AbortSignal) => ({ signal }), 'serving.canceled'],
    // It has to have begun by then, also on a busy machine.
    ['has no time left', () => ({ deadlineMs: 3_000 }), 'serving.timeout'],
  ] as const)('goes on for those who wait when the one that computes %s', async (_, given, code) => {
    const { run, running } = held();
    const { serving } = cached(run);
    await serving.load('risk');
    const controller = new AbortController();
    const first = serving.score({ model: 'risk', features: { a: 2, b: 2 }, ...given(controller.signal) });
    const others = [1, 2].map(() => serving.score({ model: 'risk', features: { a: 2, b: 2 } }));
    await running(1);
    controller.abort();
    await expect(first).rejects.toMatchObject({ code });
    (await running(1))[0]!();
    (await running(2))[1]!();
    expect((await Promise.all(others)).map(({ outputs }) => outputs.total)).toEqual([104, 104]);
  });

  it('lets a caller that would wait for months share the answer of another', async () => {
    const { run, running } = held();
    const { serving } = cached(run);
    const patient = { model: 'risk', features: { a: 2, b: 2 }, deadlineMs: 2 ** 40 };
    const [first, second] = [serving.score(patient), serving.score(patient)];
    const [end] = await running(1);
    // Longer than the timer of one that ends at once.
    await new Promise((resolve) => setTimeout(resolve, 20));
    end!();
    expect((await first).cached).toBeUndefined();
    expect((await second).cached).toBe('shared');
  });

  it('lets a caller that waits for another go at its own deadline and by its own signal', async () => {
    const cache = new ResponseCache({ ttlMs: 1_000, entriesMax: 10, bytesMax: 10_000 });
    const computing = Promise.withResolvers<{
      outputs: { total: number };
      computeUs: number;
      batchRows: number;
      costMicroUsd: number;
    }>();
    const waiting = (ms: number, signal?: AbortSignal) => ({
      rows: 1,
      deadlineAtMs: performance.now() + ms,
      level: 2,
      signal,
    });
    const ask = (ms: number, signal?: AbortSignal) =>
      cache.through('k', waiting(ms, signal), () => computing.promise);
    const first = ask(5_000);
    const controller = new AbortController();
    const late = ask(15);
    const aborted = ask(5_000, controller.signal);
    const already = ask(5_000, AbortSignal.abort());
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'serving.canceled' });
    await expect(already).rejects.toMatchObject({ code: 'serving.canceled' });
    await expect(late).rejects.toMatchObject({ code: 'serving.timeout' });
    computing.reject(new AiosError('serving.unavailable'));
    await expect(first).rejects.toMatchObject({ code: 'serving.unavailable' });
    expect(cache.statistics()).toMatchObject({ entries: 0, misses: 1 });
  });
});
