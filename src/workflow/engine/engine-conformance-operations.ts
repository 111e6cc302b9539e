import { describe, expect, it } from 'vitest';
import type { WorkflowEngine } from './engine.ts';
import { cleanUpTests } from './engine-conformance-cancel.ts';
import { outputOf, reaches, until, type World } from './engine-conformance-world.ts';
import type { RunChange } from './stored-run.ts';

const ASK =
  'do: [ { ask: { call: ask:1@default } }, { act: { call: act:1@default, with: { name: after } } } ]';
const BY = { kind: 'key', id: 'key_1' };

async function answer(world: World, engine: WorkflowEngine, runId: string, payload: string, stepKey = 'ask') {
  await world.fixture.open().commit.commit([engine.signal({ runId, stepKey, payload })]);
}

function newRunOf(id: string, startedAtMs: number): RunChange {
  return {
    insert: true,
    id,
    workflow: 'asks',
    version: 1,
    epoch: 1,
    status: 'running',
    worker: 'wrk_leaving',
    wakeAtMs: null,
    waitingFor: null,
    origin: { input: {} },
    idempotencyKey: null,
    startedAtMs,
    updatedAtMs: startedAtMs,
    result: null,
    subject: null,
    outcome: null,
    entries: [],
    seq: 0,
  };
}

async function audited(world: World): Promise<string[]> {
  return (await world.fixture.readNotes()).filter((note) => note.startsWith('audit:'));
}

/** What operators do to runs. */
export function operationTests(world: () => World): void {
  describe('canceling', () => cancelTests(world));
  describe('canceling, recorded', () => cancelRecordTests(world));
  describe('cleaning up', () => cleanUpTests(world));
  describe('pausing', () => {
    pauseTests(world);
    pauseInStepTests(world);
  });
  describe('time limits', () => limitTests(world));
  describe('signals', () => signalTests(world));
}

function signalTests(world: () => World): void {
  it('end a wait and answer a function, each recorded with who sent it', async () => {
    world().define('waits', 'do: [ { cool: { wait: P90D } }, { ask: { call: ask:1@default } } ]');
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'waits' }, 5_000);
    expect((await engine.runs.get(runId)).steps).toMatchObject([
      { key: 'cool', kind: 'wait', status: 'waiting', startedAtMs: world().clock.now() },
    ]);
    await engine.operations.signal(runId, { step: 'cool' }, BY);
    await until(async () => (await engine.runs.get(runId)).waitingFor === 'ask');
    await engine.operations.signal(runId, { step: 'ask', payload: 'yes' }, BY);
    expect(outputOf(await reaches(engine, runId, 'completed'))).toBe('yes');
    expect(await audited(world())).toEqual(Array(2).fill(`audit:signaled:run:${runId}:key_1`));
    await expect(engine.operations.signal(runId, { step: 'ask' }, BY)).rejects.toMatchObject({
      code: 'workflow.ended',
    });
  });

  it.each([
    ['heard', 'it waits for an event'],
    ['child', 'it waits for another run'],
    ['asked', 'the inbox answers it'],
    ['shaped', 'it waits for nothing'],
    ['nowhere', 'the flow has no such step'],
  ])('answer no step whose answer comes from elsewhere: %s', async (step, why) => {
    world().define('asks', ASK);
    world().define(
      'others',
      `do:
        - hold: { wait: P1D }
        - heard: { listen: { to: { one: { with: { type: paid } } } } }
        - child: { run: { workflow: { namespace: test, name: asks, version: latest } } }
        - asked: { call: person:1@default }
        - shaped: { set: { a: 1 } }`,
    );
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'others' }, 5_000);
    await expect(engine.operations.signal(runId, { step }, BY)).rejects.toMatchObject({
      code: 'workflow.signal_refused',
      message: `${step}: ${why}.`,
    });
    expect(await audited(world())).toEqual([]);
  });
}

function cancelTests(world: () => World): void {
  it('cancels a waiting run and closes what it had opened', async () => {
    world().define('asks', ASK);
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'asks' }, 5_000);
    await engine.operations.cancel(runId);
    expect(await reaches(engine, runId, 'canceled')).toMatchObject({
      result: { error: { code: 'workflow.canceled' } },
    });
    expect(
      (await world().fixture.readNotes()).filter((note) => note === 'closed:ask').length,
    ).toBeGreaterThan(0);
    await expect(engine.operations.cancel(runId)).rejects.toMatchObject({ code: 'workflow.ended' });
    await expect(engine.operations.cancel('run_none')).rejects.toMatchObject({
      code: 'workflow.run_not_found',
    });
  });

  it('cancels during an effect: the call is aborted, its outcome recorded as unknown', async () => {
    world().define('acts', 'do: [ { act: { call: act:1@default, with: { name: cut-off, gate: never } } } ]');
    const [one, two] = [await world().engine(), await world().engine()];
    const { runId } = await one.engine.start({ workflow: 'acts' });
    await until(() => world().times('act:cut-off') === 1);
    await two.engine.operations.cancel(runId);
    await reaches(two.engine, runId, 'canceled');
    expect(world().aborted).toEqual(['cut-off']);
    expect((await one.engine.runs.get(runId)).steps).toMatchObject([
      { key: 'act', status: 'failed', error: { code: 'workflow.outcome_unknown' } },
    ]);
  });
}

function cancelRecordTests(world: () => World): void {
  it('is recorded with who did it, once, and only when it was accepted', async () => {
    world().define('asks', ASK);
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'asks' }, 5_000);
    await engine.operations.pause(runId, BY);
    await engine.operations.resume(runId, BY);
    await expect(engine.operations.resume(runId, BY)).rejects.toMatchObject({ code: 'workflow.not_paused' });
    await engine.operations.cancel(runId, BY);
    await expect(engine.operations.cancel(runId, BY)).rejects.toMatchObject({ code: 'workflow.ended' });
    expect(await audited(world())).toEqual(
      ['paused', 'resumed', 'canceled'].map((action) => `audit:${action}:run:${runId}:key_1`),
    );
  });

  it.each([
    ['cancel', 'canceled'],
    ['pause', 'paused'],
  ] as const)(
    'is not lost when a %s is asked while the run is on its way out of memory',
    async (what, status) => {
      world().define('asks', ASK);
      const store = world().fixture.open();
      const runId = `run_leaving_${what}`;
      const running = newRunOf(runId, world().clock.now());
      await store.renew('wrk_leaving', 60_000);
      await store.commit.commit(store.save(running));
      await store.commit.commit([store.operations.request({ runId, what, requestId: 'req_1', atMs: 0 })]);
      const parked = { ...running, insert: false, seq: 1, status: 'waiting', worker: null } as const;
      await store.commit.commit(store.save(parked));
      const { engine } = await world().engine();
      await reaches(engine, runId, status);
    },
  );

  it('cancels the runs that the run waits for, wherever they are, and so does a time limit around them', async () => {
    world().define('inner', ASK);
    const sub = `run: { workflow: { namespace: test, name: inner, version: '1.0.0', input: {} } }`;
    world().define('outer', `do: [ { sub: { ${sub} } } ]`);
    world().define('limited', `do: [ { sub: { ${sub}, timeout: { after: PT1M } } } ]`);
    const [one, two] = [await world().engine(), await world().engine()];
    const child = () =>
      until(async () => (await two.engine.runs.list({ workflow: 'inner', status: 'waiting' })).items[0]);
    const { runId } = await one.engine.start({ workflow: 'outer' });
    const inner = await child();
    await two.engine.operations.cancel(runId);
    await reaches(two.engine, runId, 'canceled');
    await reaches(one.engine, inner.id, 'canceled');
    const { runId: limited } = await one.engine.start({ workflow: 'limited' });
    const late = await child();
    world().clock.advanceBy(60_000);
    await reaches(two.engine, limited, 'failed');
    await reaches(one.engine, late.id, 'canceled');
  });
}

function pauseTests(world: () => World): void {
  it('pauses before the next step, and resumes', async () => {
    world().define(
      'two',
      'do: [ { a: { call: act:1@default, with: { name: first, gate: pause } } }, { b: { call: act:1@default, with: { name: second } } } ]',
    );
    const { engine } = await world().engine('runCancelMs=5000');
    const { runId } = await engine.start({ workflow: 'two' });
    await until(() => world().times('act:first') === 1);
    const pausing = engine.operations.pause(runId);
    await until(async () => (await engine.runs.get(runId)).requested === 'pause');
    world().gate('pause').open();
    await pausing;
    await reaches(engine, runId, 'paused');
    expect([world().times('act:second'), engine.active]).toEqual([0, 0]);
    await engine.operations.resume(runId);
    await reaches(engine, runId, 'completed');
    expect([world().times('act:first'), world().times('act:second')]).toEqual([1, 1]);
    await expect(engine.operations.resume(runId)).rejects.toMatchObject({ code: 'workflow.not_paused' });
  });

  it('keeps what comes while a wait is paused: a signal and a timer count when it is resumed', async () => {
    world().define('asks', ASK);
    world().define('sleeps', 'do: [ { sleep: { wait: PT1H } }, { end: { set: { done: true } } } ]');
    const { engine } = await world().engine();
    const asks = (await engine.run({ workflow: 'asks' }, 5_000)).runId;
    const sleeps = (await engine.run({ workflow: 'sleeps' }, 5_000)).runId;
    for (const runId of [asks, sleeps]) await engine.operations.pause(runId);
    await answer(world(), engine, asks, 'yes');
    world().clock.advanceBy(2 * 3_600_000);
    await new Promise((resolve) => setTimeout(resolve, 60)); // three looks at the store
    for (const runId of [asks, sleeps]) expect((await engine.runs.get(runId)).status).toBe('paused');
    await engine.operations.resume(asks);
    expect(outputOf(await reaches(engine, asks, 'completed'))).toBe(`${asks}/act`);
    await engine.operations.resume(sleeps);
    expect(outputOf(await reaches(engine, sleeps, 'completed'))).toEqual({ done: true });
  });

  it('resumes into what is left of a wait', async () => {
    world().define('sleeps', 'do: [ { sleep: { wait: PT1H } }, { end: { set: { done: true } } } ]');
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'sleeps' }, 5_000);
    await engine.operations.pause(runId);
    world().clock.advanceBy(1_800_000);
    await engine.operations.resume(runId);
    await reaches(engine, runId, 'waiting');
    world().clock.advanceBy(1_799_999);
    expect((await engine.runs.get(runId)).status).toBe('waiting');
    world().clock.advanceBy(1);
    await reaches(engine, runId, 'completed');
  });

  it('pauses a run that waits in memory, and one that another process holds', async () => {
    world().define('naps', 'do: [ { nap: { wait: PT0.5S } }, { end: { set: { done: true } } } ]');
    const [one, two] = [await world().engine(), await world().engine()];
    const { runId } = await one.engine.start({ workflow: 'naps' });
    await until(() => one.engine.active === 1);
    await two.engine.operations.pause(runId);
    await reaches(two.engine, runId, 'paused');
    world().clock.advanceBy(500);
    await two.engine.operations.resume(runId);
    expect(outputOf(await reaches(one.engine, runId, 'completed'))).toEqual({ done: true });
  });
}

function pauseInStepTests(world: () => World): void {
  it('pauses in the middle of a loop that waits for nothing, and goes on from there', async () => {
    world().define(
      'loops',
      `do:
  - begin: { set: { n: 0 } }
  - round: { set: { n: '\${ input.n + 1 }' } }
  - more: { switch: [ { again: { when: input.n < 20000, then: round } } ] }`,
    );
    const { engine } = await world().engine('runTurnMs=1,runCancelMs=5000,runStepsMax=1000000');
    const { runId } = await engine.start({ workflow: 'loops' });
    await engine.operations.pause(runId);
    await reaches(engine, runId, 'paused');
    expect(engine.active).toBe(0);
    await engine.operations.resume(runId);
    expect(outputOf(await reaches(engine, runId, 'completed'))).toEqual({ n: 20000 });
  });

  it('keeps the event that comes while a step that listens for it is paused', async () => {
    world().define('hears', 'do: [ { hear: { listen: { to: { one: { with: { type: paid } } } } } } ]');
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'hears' }, 5_000);
    await engine.operations.pause(runId);
    await world().deliver(engine, world().event('paid', { cents: 5 }), world().event('paid', { cents: 6 }));
    await engine.operations.resume(runId);
    expect(outputOf(await reaches(engine, runId, 'completed'))).toEqual([{ cents: 5 }]);
  });
}

function limitTests(world: () => World): void {
  it.each([
    ['a question', 'ask: { call: ask:1@default, timeout: { after: PT1M } }', ''],
    ['a sleep', 'ask: { wait: P1D, timeout: { after: PT1M } }', ''],
    ['an event', 'ask: { listen: { to: { one: { with: { type: never } } } }, timeout: { after: PT1M } }', ''],
    ['a block', 'ask: { do: [ { inside: { call: ask:1@default } } ], timeout: { after: PT1M } }', ''],
    ['the whole flow', 'ask: { call: ask:1@default }', 'timeout: { after: PT1M }\n'],
  ])('interrupt at once, over a restart: %s', async (_, step, head) => {
    world().define('limited', `${head}do: [ { ${step} } ]`);
    const one = await world().engine('runPollMs=60000');
    const { runId } = await one.engine.run({ workflow: 'limited' }, 5_000);
    await world().kill(one);
    const { engine } = await world().engine('runPollMs=60000');
    world().clock.advanceBy(59_999);
    expect((await engine.runs.get(runId)).status).toBe('waiting');
    world().clock.advanceBy(1);
    expect(await reaches(engine, runId, 'failed')).toMatchObject({ result: { error: { status: 408 } } });
  });
}
