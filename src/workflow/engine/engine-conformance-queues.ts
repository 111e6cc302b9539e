import { describe, expect, it } from 'vitest';
import type { WorkflowEngine } from './engine.ts';
import { outputOf, reaches, until, type World } from './engine-conformance-world.ts';
import { eventRunId } from './event-start.ts';
import type { StoredRun } from './stored-run.ts';

/** A flow in the queue `line`; its only step notes the input's name and waits at the gate that it names. */
const HEAD = `{ aios: { queue: { name: line, key: '\${ input.key }', priority: '\${ input.priority }' } } }`;
const QUEUED = `
do:
  - work: { call: count:1@default, with: { name: '\${ input.name }', gate: '\${ input.gate }' } }`;
const ASKING = `
do:
  - work: { call: count:1@default, with: { name: '\${ input.name }' } }
  - ask: { call: ask:1@default }
  - after: { call: count:1@default, with: { name: after } }`;

function defineQueued(world: World, bounds: string, flow = QUEUED): void {
  world.defineQueue('line', bounds);
  world.define('queued', flow, 1, HEAD);
}

type Input = { name: string; key?: string | null; gate?: string | null; priority?: number };

const whole = (input: Input) => ({ key: null, gate: null, priority: 50, ...input });

async function enqueue(engine: WorkflowEngine, input: Input): Promise<string> {
  const { runId } = await engine.start({ workflow: 'queued', input: whole(input) });
  return runId;
}

const statuses = async (engine: WorkflowEngine, status: StoredRun['status']) =>
  (await engine.runs.list({ status })).items.length;
const order = (world: World) => world.done.map((what) => what.slice('count:'.length));
const allEnded = (engine: WorkflowEngine, count: number) =>
  until(async () => (await statuses(engine, 'completed')) === count);

/** Queues of runs, as every store must keep them. */
export function queueTests(world: () => World): void {
  describe('queues', () => {
    boundTests(world);
    orderTests(world);
    slotTests(world);
    placeTests(world);
    requestTests(world);
    queueCrashTests(world);
  });
}

function boundTests(world: () => World): void {
  it('lets no more runs of a queue go on than its concurrency, over two processes', async () => {
    defineQueued(world(), 'concurrency: 2');
    const [one, two] = [await world().engine(), await world().engine()];
    for (let i = 0; i < 6; i++)
      await enqueue(i % 2 ? one.engine : two.engine, { name: `n${i}`, gate: 'shut' });
    await until(() => world().times('count') === 2);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(world().times('count')).toBe(2);
    expect([await statuses(one.engine, 'running'), await statuses(one.engine, 'pending')]).toEqual([2, 4]);
    world().gate('shut').open();
    await allEnded(one.engine, 6);
    expect(await one.engine.runQueues.figures()).toEqual([]);
  });

  it('starts no more in a period than the rate says', async () => {
    defineQueued(world(), 'rate: { limit: 3, period: PT1M }');
    const { engine } = await world().engine();
    for (let i = 0; i < 7; i++) await enqueue(engine, { name: `n${i}` });
    await allEnded(engine, 3);
    world().clock.advanceBy(59_999);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(world().times('count')).toBe(3);
    world().clock.advanceBy(1);
    await allEnded(engine, 6);
    world().clock.advanceBy(60_000);
    await allEnded(engine, 7);
  });

  it('keeps to the bounds of a key and of a process', async () => {
    defineQueued(world(), 'perKey: 1\nperWorker: 2');
    const { engine } = await world().engine();
    for (const key of ['a', 'a', 'b', 'c']) {
      await enqueue(engine, { name: key, key, gate: 'shut' });
      world().clock.advanceBy(1);
    }
    await until(() => world().times('count') === 2);
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(order(world()).sort()).toEqual(['a', 'b']);
    await world().engine();
    await until(() => world().times('count') === 3);
    expect(order(world())[2]).toBe('c');
    world().gate('shut').open();
    await allEnded(engine, 4);
  });
}

function slotTests(world: () => World): void {
  it('gives the slot back while a run waits, unless the queue holds it for the whole run', async () => {
    for (const [hold, done] of [
      ['working', ['one', 'two']],
      ['whole', ['one']],
    ] as const) {
      world().done.length = 0;
      defineQueued(world(), `concurrency: 1\nhold: ${hold}`, ASKING);
      const { engine } = await world().engine();
      const first = await enqueue(engine, { name: 'one' });
      await reaches(engine, first, 'waiting');
      const second = await enqueue(engine, { name: 'two' });
      if (hold === 'working') await reaches(engine, second, 'waiting');
      else await new Promise((resolve) => setTimeout(resolve, 80));
      expect(order(world())).toEqual(done);
      for (const runId of [first, second]) {
        await reaches(engine, runId, 'waiting');
        const store = world().fixture.open();
        await store.commit.commit([engine.signal({ runId, stepKey: 'ask', payload: 'yes' })]);
        await reaches(engine, runId, 'completed');
      }
      await world().retire();
      await world().fixture.reset();
    }
  });
}

function orderTests(world: () => World): void {
  /** One slot, held until all are there: then they go in the order of the queue. */
  const inOrder = async (bounds: string, inputs: readonly (Input & { laterMs?: number })[]) => {
    defineQueued(world(), `concurrency: 1\n${bounds}`);
    const { engine } = await world().engine();
    await enqueue(engine, { name: 'holds', gate: 'shut' });
    await until(() => world().times('count') === 1);
    for (const { laterMs = 1, ...input } of inputs) {
      world().clock.advanceBy(laterMs);
      await enqueue(engine, input);
    }
    world().gate('shut').open();
    await allEnded(engine, inputs.length + 1);
    return order(world()).slice(1);
  };

  it('goes by priority, and by time among equals; who waits long enough goes first all the same', async () => {
    const inputs = [
      { name: 'old', priority: 0 },
      { name: 'a', priority: 50, laterMs: 600_001 },
      { name: 'b', priority: 50 },
      { name: 'urgent', priority: 100 },
      { name: 'low', priority: 0 },
    ];
    expect(await inOrder('ageing: PT10M', inputs)).toEqual(['old', 'urgent', 'a', 'b', 'low']);
  });

  it('gives keys turns: the many runs of one do not hold up the one of another', async () => {
    const many = Array.from({ length: 5 }, (_, i) => ({ name: `a${i}`, key: 'a' }));
    const inputs = [...many, { name: 'b0', key: 'b' }, { name: 'c0', key: 'c' }, { name: 'b1', key: 'b' }];
    expect(await inOrder('fairness: key', inputs)).toEqual(['a0', 'b0', 'c0', 'a1', 'b1', 'a2', 'a3', 'a4']);
  });

  it('gives a key of more weight more turns', async () => {
    const of = (key: string) => Array.from({ length: 4 }, (_, i) => ({ name: `${key}${i}`, key }));
    const got = await inOrder('weights: { a: 2 }', [...of('b'), ...of('a')]);
    expect(got.slice(0, 6).filter((name) => name.startsWith('a'))).toHaveLength(4);
  });
}

function placeTests(world: () => World): void {
  it('queues the runs of events, of callers who wait, and of parents', async () => {
    defineQueued(world(), 'concurrency: 1');
    world().define(
      'parent',
      `do: [ { child: { run: { workflow: { namespace: test, name: queued, version: '1.0.0', input: { name: child, key: null, gate: null } } } } } ]`,
    );
    world().define(
      'on-event',
      `schedule: { on: { one: { with: { type: t } } } }\ndo: [ { work: { call: count:1@default } } ]`,
      1,
      HEAD,
    );
    const { engine } = await world().engine();
    const holder = await enqueue(engine, { name: 'holds', gate: 'shut' });
    await reaches(engine, holder, 'running');
    const event = world().event('t', { name: 'event' });
    world().clock.advanceBy(1);
    await world().consume(engine, event, event);
    world().clock.advanceBy(1);
    const byEvent = eventRunId('on-event', event);
    const asked = await engine.run({ workflow: 'queued', input: whole({ name: 'asked' }) }, 20);
    world().clock.advanceBy(1);
    const { runId: parent } = await engine.start({ workflow: 'parent' });
    await reaches(engine, parent, 'waiting');
    expect(asked.status).toBe('pending');
    expect(await statuses(engine, 'pending')).toBe(3);
    expect(await engine.runQueues.ahead(byEvent)).toBe(0);
    expect(await engine.runQueues.ahead(asked.runId)).toBe(1);
    expect(await engine.runQueues.ahead(holder)).toBeUndefined();
    const waiting = engine.run({ workflow: 'queued', input: whole({ name: 'waits' }) }, 5_000);
    world().gate('shut').open();
    expect(await waiting).toMatchObject({ status: 'completed' });
    for (const runId of [byEvent, asked.runId, parent]) await reaches(engine, runId, 'completed');
  });

  it('gives one run to one key also in a queue', async () => {
    defineQueued(world(), 'concurrency: 1');
    const [one, two] = [await world().engine(), await world().engine()];
    const request = { workflow: 'queued', input: whole({ name: 'x' }), idempotencyKey: `k-${Math.random()}` };
    const runs = await Promise.all([one, two, one].map(({ engine }) => engine.run(request, 5_000)));
    expect(new Set(runs.map(({ runId }) => runId)).size).toBe(1);
    expect(world().times('count')).toBe(1);
  });
}

function requestTests(world: () => World): void {
  it('cancels, pauses and resumes a run that waits in it, and holds the queue itself', async () => {
    defineQueued(world(), 'concurrency: 1');
    const { engine } = await world().engine();
    await world()
      .fixture.open()
      .commit.commit([engine.runQueues.setPaused('line', true)]);
    const [a, b] = [await enqueue(engine, { name: 'a' }), await enqueue(engine, { name: 'b' })];
    await engine.operations.cancel(a);
    await reaches(engine, a, 'canceled');
    await engine.operations.pause(b);
    await reaches(engine, b, 'paused');
    expect(await engine.runQueues.figures()).toMatchObject([{ name: 'line', paused: true, pending: 0 }]);
    await engine.operations.resume(b);
    await reaches(engine, b, 'pending');
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(world().times('count')).toBe(0);
    await world()
      .fixture.open()
      .commit.commit([engine.runQueues.setPaused('line', false)]);
    expect(outputOf(await reaches(engine, b, 'completed'))).toEqual({ value: null });
    expect(order(world())).toEqual(['b']);
  });

  it.each(['retry', 'fork'] as const)(
    'lets a %s wait in it, behind those that wait already',
    async (what) => {
      defineQueued(world(), 'concurrency: 1');
      const { engine } = await world().engine();
      const first = await enqueue(engine, { name: 'first', priority: 100 });
      await reaches(engine, first, 'completed');
      await enqueue(engine, { name: 'shut', gate: 'shut' });
      await until(() => world().times('count:shut') === 1);
      world().clock.advanceBy(60_000);
      await enqueue(engine, { name: 'second' });
      world().clock.advanceBy(60_000);
      const request = { fromStart: true, input: whole({ name: 'again' }) };
      if (what === 'retry') await engine.operations.retry(first, request);
      const again = what === 'retry' ? first : await engine.operations.fork(first, request);
      await reaches(engine, again, 'pending');
      await new Promise((resolve) => setTimeout(resolve, 60));
      expect(order(world())).toEqual(['first', 'shut']);
      world().gate('shut').open();
      await reaches(engine, again, 'completed');
      expect(order(world())).toEqual(['first', 'shut', 'second', 'again']);
      expect(await engine.runQueues.figures()).toEqual([]);
    },
  );

  it('keeps a signal that comes while the run is pending', async () => {
    defineQueued(world(), 'concurrency: 1', ASKING);
    const { engine } = await world().engine();
    const store = world().fixture.open();
    await store.commit.commit([engine.runQueues.setPaused('line', true)]);
    const runId = await enqueue(engine, { name: 'a' });
    await store.commit.commit([engine.signal({ runId, stepKey: 'ask', payload: 'early' })]);
    await store.commit.commit([engine.runQueues.setPaused('line', false)]);
    await reaches(engine, runId, 'completed');
  });
}

function queueCrashTests(world: () => World): void {
  it('gives the slots of a dead process to those that live', async () => {
    defineQueued(world(), 'concurrency: 1');
    const one = await world().engine();
    const held = await enqueue(one.engine, { name: 'held', gate: 'shut' });
    await until(() => world().times('count') === 1);
    const next = await enqueue(one.engine, { name: 'next' });
    await world().kill(one);
    const two = await world().engine();
    await until(() => world().times('count:held') === 2);
    expect(world().times('count:next')).toBe(0);
    world().gate('shut').open();
    for (const runId of [held, next]) await reaches(two.engine, runId, 'completed');
  });

  it.each([
    ['before it is made', false],
    ['after it, with the answer lost', true],
  ])('loses no run and no slot when a process dies at any commit, %s', async (_, made) => {
    defineQueued(world(), 'concurrency: 1\nperKey: 1', ASKING);
    let crashed = true;
    for (let commit = 0; crashed; commit++) {
      const one = await world().engine();
      one.line.cutAt = { commit, made };
      const input = { name: `n${commit}`, key: 'k', priority: 50 };
      const request = { workflow: 'queued', input, idempotencyKey: `${made} ${commit}` };
      void one.engine.start(request).catch(() => {});
      const store = world().fixture.open();
      const find = () => store.findByKey('queued', request.idempotencyKey);
      const answerer = setInterval(async () => {
        const run = await find();
        if (run?.status === 'waiting')
          await store.commit.commit([store.signal({ runId: run.id, key: 'ask', payload: 'yes' })]);
      }, 10);
      await until(async () => one.line.cut || (await find())?.status === 'completed');
      crashed = one.line.cut;
      one.line.cutAt = undefined;
      if (crashed) await world().kill(one);
      const two = crashed ? await world().engine() : one;
      const { runId } = await two.engine.start(request);
      await reaches(two.engine, runId, 'completed');
      clearInterval(answerer);
      expect(await two.engine.runQueues.figures()).toEqual([]);
      await world().retire();
      if (!crashed) expect(commit).toBeGreaterThanOrEqual(4);
    }
  });
}
