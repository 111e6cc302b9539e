import { afterEach, describe, expect, it, vi } from 'vitest';
import { limitsFrom } from '../../kernel/limits.ts';
import { createFunctionRuntime, type FunctionModel } from '../runtimes/function-runtime.ts';
import type { Replica, Runtime } from '../runtimes/runtime.ts';
import { Capacity } from './capacity.ts';
import { inputs, OPTIONS, outputs, pause, same, setUp, slow } from './model-host-under-test.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Time that only the test puts forward; a turn of the loop is still a turn. */
function standingClock(): void {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Remembers the values of each batch, and runs `then` for each. */
function recorded(then: FunctionModel['run'] = same) {
  const batches: number[][] = [];
  const run: FunctionModel['run'] = (tensors) => {
    batches.push(Array.from(tensors[0]!.data as Float32Array));
    return then(tensors);
  };
  return { batches, run };
}

const HELD = 7;

/** Answers at once, only what is `HELD` when it is told to. */
function holding() {
  const gate = Promise.withResolvers<void>();
  const made = recorded(async (tensors) => {
    if ((tensors[0]!.data as Float32Array)[0] === HELD) await gate.promise;
    return same(tensors);
  });
  return { ...made, release: () => gate.resolve() };
}

describe('the batches of a host', () => {
  it('grow to a measured size, are measured once for a digest, and an operator’s choice comes first', async () => {
    let nowMs = 1_000;
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    const { batches, run } = recorded((tensors) => {
      nowMs += 0.5; // whatever the rows: the largest batch is the best
      return same(tensors);
    });
    const capacity = new Capacity(limitsFrom());
    const first = setUp({ run, capacity, options: { batch: {} } });
    await first.host.start();
    expect(first.host.statistics().bestBatch).toBe(8);
    const measuring = batches.length;
    const again = setUp({ run, capacity, options: { batch: {} } });
    await again.host.start();
    expect(again.host.statistics().bestBatch).toBe(8);
    expect(batches.length - measuring).toBeLessThan(5); // its warm-up
    for (const [batch, best] of [
      [{ max: 4 }, 4],
      [{ off: true }, 1],
    ] as const) {
      const explicit = setUp({ run, options: { batch } });
      await explicit.host.start();
      expect(explicit.host.statistics().bestBatch).toBe(best);
    }
  });

  it('wait for more only when an operator says so, and go at once when they are full', async () => {
    const { batches, run } = recorded();
    const { host, ask } = setUp({ run, options: { batch: { max: 3, delayUs: 40_000 } } });
    await host.start();
    batches.length = 0;
    standingClock();
    const first = ask(1);
    await turn();
    vi.advanceTimersByTime(39);
    await turn();
    expect(batches).toEqual([]);
    const second = ask(2);
    vi.advanceTimersByTime(1);
    await Promise.all([first, second]);
    expect(batches).toEqual([[1, 2]]);
    await Promise.all([ask(1), ask(2), ask(3)]); // no time passes
    expect(batches).toEqual([
      [1, 2],
      [1, 2, 3],
    ]);
  });
});

describe('the queue of a host', () => {
  it('takes the higher priority first', async () => {
    const { batches, run, release } = holding();
    const { host, ask } = setUp({ run, options: { batch: { off: true } } });
    await host.start();
    batches.length = 0;
    const held = ask(HELD);
    await expect.poll(() => batches).toEqual([[HELD]]);
    const others = [ask(3, { priority: 5 }), ask(2), ask(1, { priority: 1 })];
    release();
    await Promise.all([held, ...others]);
    expect(batches.flat()).toEqual([HELD, 1, 2, 3]);
  });

  it('never sends what nobody waits for any more', async () => {
    const { batches, run, release } = holding();
    const { host, ask } = setUp({ run, options: { batch: { off: true } } });
    await host.start();
    batches.length = 0;
    const controller = new AbortController();
    const calls = [ask(HELD)];
    await expect.poll(() => batches).toEqual([[HELD]]);
    calls.push(ask(1, { deadlineMs: 25 }), ask(2, { signal: controller.signal }), ask(3));
    controller.abort();
    const settled = Promise.allSettled(calls);
    await expect.poll(() => host.waiting).toBe(1); // both are out of the queue before a replica is free
    release();
    const told = (await settled).map((outcome) =>
      outcome.status === 'fulfilled' ? outcome.value : outcome.reason.code,
    );
    expect(told).toEqual([HELD, 'serving.timeout', 'serving.canceled', 3]);
    expect(batches.flat()).toEqual([HELD, 3]);
  });

  it('is bounded by bytes, and tells when to come back by the measured rate', async () => {
    const { host, ask } = setUp({ run: slow(20), options: { batch: { off: true }, queueBytesMax: 40 } });
    await host.start();
    await Promise.all(Array.from({ length: 4 }, (_, i) => ask(i)));
    const waiting = Array.from({ length: 10 }, (_, i) => ask(i));
    let refused: unknown;
    try {
      await ask(11);
    } catch (error) {
      refused = error;
    }
    expect(refused).toMatchObject({
      code: 'request.overloaded',
      extensions: { limitName: 'queueBytesMax', limit: 40, retryAfterMs: expect.any(Number) },
    });
    // Four runs of 20 ms have moved the measured time of a request from 1 ms towards them: ten of them take a while.
    expect((refused as { extensions: { retryAfterMs: number } }).extensions.retryAfterMs).toBeGreaterThan(50);
    expect(host.statistics()).toMatchObject({ refused: 1, queued: 10, queuedBytes: 40 });
    await Promise.all(waiting);
    expect(host.statistics()).toMatchObject({ queued: 0, queuedBytes: 0 });
  });
});

describe('the replicas of a host', () => {
  it('grow while requests wait longer than they should, shrink when there is less to do, and go when nobody asks', async () => {
    const { host, ask } = setUp({
      run: slow(10),
      options: { replicas: { min: 0, max: 3, queueDelayMs: 5 }, batch: { off: true } },
      limits: 'replicaScaleMs=20,replicaIdleMs=150',
    });
    await host.start();
    expect(host.statistics().replicas).toBe(1);
    let asking = true;
    const callers = Array.from({ length: 8 }, async (_, i) => {
      while (asking) await ask(i);
    });
    await expect.poll(() => host.statistics().replicas).toBeGreaterThan(1);
    asking = false;
    await Promise.all(callers);
    await expect.poll(() => host.statistics().replicas).toBe(0);
    expect(host.ready).toBe(true);
    expect(await ask(7)).toBe(7);
    expect(host.statistics()).toMatchObject({ replicas: 1, errors: 0, restarts: 0 });
  });

  it('that are loaded before anybody asks are not idle yet', async () => {
    const { host } = setUp({ options: { replicas: { min: 0, max: 1 } } });
    host.lastUsedAtMs = -1e6; // an hour ago, say
    await host.start();
    expect(host.lastUsedAtMs).toBeGreaterThan(0);
  });

  it('are as many as asked for, and follow a change without losing a request', async () => {
    const { host, ask } = setUp({ run: slow(5), options: { replicas: 3, batch: { off: true } } });
    await host.start();
    expect(host.statistics().replicaStates).toEqual({ starting: 0, idle: 3, busy: 0, waiting: 0 });
    const calls = Array.from({ length: 20 }, (_, i) => ask(i));
    await pause(2);
    expect(host.configure({ ...OPTIONS, batch: { off: true }, replicas: 1 })).toBe(true);
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(host.statistics().replicas).toBe(1);
    expect(host.configure({ ...OPTIONS, threads: 2 })).toBe(false);
  });

  it('take traffic only after the model’s own warm-up input has passed', async () => {
    const { batches, run } = recorded();
    const warmUp = { inputs: [{ name: 'x', shape: [2, 1], data: [41, 42] }] };
    const { host } = setUp({ run, options: { warmUp } });
    await host.start();
    expect(batches[0]).toEqual([41, 42]);
    expect(host.statistics().bestBatch).toBe(8);
    const picky: FunctionModel['run'] = (tensors) => {
      if ((tensors[0]!.data as Float32Array).includes(41)) throw new Error('not 41');
      return same(tensors);
    };
    await expect(setUp({ run: picky, options: { warmUp } }).host.start()).rejects.toMatchObject({
      code: 'serving.unavailable',
      message: expect.stringMatching(/not 41/),
    });
    const missing = { inputs: [{ name: 'z', shape: [1, 1], data: [1] }] };
    await expect(setUp({ options: { warmUp: missing } }).host.start()).rejects.toThrow(/“x” is missing/);
  });

  it('that hang while warming up are killed and tried again', async () => {
    let starts = 0;
    const runtime: Runtime = {
      async start(model) {
        const hangs = ++starts === 1;
        const run = hangs ? () => new Promise<never>(() => {}) : same;
        return createFunctionRuntime({ m: { inputs, outputs, run } }).start(model);
      },
    };
    const { host, ask } = setUp({ runtime, options: { timeoutMs: 50 } });
    await expect(host.start()).rejects.toMatchObject({ code: 'serving.unavailable' });
    expect(await ask(5)).toBe(5);
    expect(starts).toBe(2);
  });

  it('that end again and again are held back, each time for longer', async () => {
    const functions = createFunctionRuntime({ m: { inputs, outputs, run: same } });
    const startedAtMs: number[] = [];
    const runtime: Runtime = {
      async start(model) {
        startedAtMs.push(performance.now());
        const replica = await functions.start(model);
        setTimeout(() => replica.kill(), 1);
        return replica;
      },
    };
    standingClock();
    const { host } = setUp({ runtime });
    await host.start();
    for (; startedAtMs.length < 6; await turn()) vi.advanceTimersByTime(1);
    const gaps = startedAtMs.slice(1).map((atMs, i) => atMs - startedAtMs[i]!);
    expect(gaps.map((ms) => 50 * Math.floor(ms / 50))).toEqual([0, 50, 100, 200, 400]);
  });
});

it('answers what was lost with a replica that was being unloaded, and what came meanwhile, from a new one', async () => {
  const gate = Promise.withResolvers<never>();
  let runs = 0;
  const functions = createFunctionRuntime({
    m: { inputs, outputs, run: (tensors) => (++runs === 4 ? gate.promise : same(tensors)) },
  });
  let replica: Replica | undefined;
  const runtime: Runtime = {
    start: async (model) => {
      replica = await functions.start(model);
      return replica;
    },
  };
  const { host, ask } = setUp({ runtime });
  await host.start(); // its warm-up is three runs
  const held = ask(1);
  await expect.poll(() => runs).toBe(4);
  host.unload();
  const first = replica;
  expect(await ask(2)).toBe(2);
  first!.kill();
  expect(await held).toBe(1);
  expect(host.statistics()).toMatchObject({ replicas: 1, errors: 0 });
});

it('tells the counts and times of the protocol’s statistics', async () => {
  const { host, ask } = setUp({ run: slow(5), options: { batch: { max: 4 } } });
  await host.start();
  await Promise.all([ask(1), ask(2), ask(3)]);
  await ask(4);
  const statistics = host.statistics();
  expect(statistics).toMatchObject({
    requests: 4,
    rows: 4,
    batches: 2,
    success: { count: 4 },
    fail: { count: 0, ms: 0 },
    queue: { count: 4 },
    computeInput: { count: 4 },
    computeOutput: { count: 4 },
    batchSizes: [
      { rows: 1, count: 1 },
      { rows: 3, count: 1 },
    ],
  });
  const { success, queue, computeInfer, computeInput, computeOutput, batchSizes } = statistics;
  const parts = queue.ms + computeInfer.ms + computeInput.ms + computeOutput.ms;
  expect(parts).toBeCloseTo(success.ms, 0);
  expect(computeInfer.ms).toBeCloseTo(batchSizes[0]!.computeInferMs + 3 * batchSizes[1]!.computeInferMs, 6);
  expect(Math.abs(statistics.lastInferenceMs - Date.now())).toBeLessThan(60_000);
  expect(statistics.queueP99Ms).toBeGreaterThanOrEqual(statistics.queueP50Ms);
});
