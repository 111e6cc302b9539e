import { describe, expect, it } from 'vitest';
import type { WorkflowEngine } from './engine.ts';
import { outputOf, reaches, START_MS, until, type World } from './engine-conformance-world.ts';

const ASK =
  'do: [ { ask: { call: ask:1@default } }, { act: { call: act:1@default, with: { name: after } } } ]';

async function answer(world: World, engine: WorkflowEngine, runId: string, payload: string, stepKey = 'ask') {
  await world.fixture.open().commit.commit([engine.signal({ runId, stepKey, payload })]);
}

export function waitTests(world: () => World): void {
  earlyAnswerTests(world);
  longLifeTests(world);
  describe('waiting', () => {
    it('holds no memory, and goes on with the first answer', async () => {
      world().define('asks', 'do: [ { ask: { call: ask:1@default } } ]');
      const { engine } = await world().engine();
      const run = await engine.run({ workflow: 'asks' }, 5_000);
      expect(run).toMatchObject({ status: 'waiting', waitingFor: 'ask' });
      expect(engine.active).toBe(0);
      await Promise.all([
        answer(world(), engine, run.runId, 'yes'),
        answer(world(), engine, run.runId, 'no'),
      ]);
      const ended = await reaches(engine, run.runId, 'completed');
      expect(['yes', 'no']).toContain(outputOf(ended));
      await answer(world(), engine, run.runId, 'too late');
      expect((await engine.runs.get(run.runId)).steps).toMatchObject([
        { key: 'ask', kind: 'wait', primitive: 'ask', status: 'completed' },
      ]);
    });

    it('takes an answer that another process wrote', async () => {
      world().define('asks', ASK);
      const [one, two] = [await world().engine(), await world().engine()];
      const { runId } = await one.engine.run({ workflow: 'asks' }, 5_000);
      await world().kill(one);
      await answer(world(), two.engine, runId, 'yes');
      await reaches(two.engine, runId, 'completed');
      expect(world().times('act:after')).toBe(1);
    });

    it('ends a wait at its deadline, by the business clock', async () => {
      world().define('due', 'do: [ { ask: { call: ask:1@default, with: { inMs: 60000 } } } ]');
      const { engine } = await world().engine();
      const { runId } = await engine.run({ workflow: 'due' }, 5_000);
      world().clock.advanceBy(59_999);
      expect((await engine.runs.get(runId)).status).toBe('waiting');
      world().clock.advanceBy(1);
      expect(outputOf(await reaches(engine, runId, 'completed'))).toBe('late');
      expect((await engine.runs.get(runId)).steps[0]).toMatchObject({ durationMs: 60_000 });
    });

    it.each([
      ['short, in memory', 'PT0.5S', 500, 'running'],
      ['long, out of memory', 'P90D', 90 * 86_400_000, 'waiting'],
    ] as const)('sleeps: %s', async (_, duration, ms, status) => {
      world().define('sleeps', `do: [ { sleep: { wait: ${duration} } }, { end: { set: { done: true } } } ]`);
      const { engine } = await world().engine();
      const { runId } = await engine.start({ workflow: 'sleeps' });
      await reaches(engine, runId, status);
      await until(() => engine.active === (status === 'running' ? 1 : 0));
      world().clock.advanceTo(START_MS + ms);
      expect(outputOf(await reaches(engine, runId, 'completed'))).toEqual({ done: true });
      expect((await engine.runs.get(runId)).steps[0]).toMatchObject({ key: 'sleep', durationMs: ms });
    });

    givenUpTest(world);
    versionTest(world);
    settledTest(world);
  });
  describe('time limits and races', () => {
    raceTests(world);
    retryTests(world);
    branchTests(world);
  });
  describe('listening', () => listenTests(world));
}

function givenUpTest(world: () => World): void {
  it('is put away though a branch was given up while an effect in it waited for its barrier', async () => {
    const branches = `[ { no: { raise: { error: { type: https://example.com/no, status: 500 } } } }, { act: { call: act:1@default, with: { name: never } } } ]`;
    const fork = `{ k: { fork: { branches: ${branches} }, timeout: { after: PT1S } } }`;
    const retry = '{ delay: P90D, limit: { attempt: { count: 2 } } }';
    world().define(
      'given-up',
      `do: [ { start: { set: { a: 1 } } }, { d: { do: [ { t: { try: [ ${fork} ], catch: { retry: ${retry} } } } ] } } ]`,
    );
    const { engine } = await world().engine();
    const { runId } = await engine.start({ workflow: 'given-up' });
    await reaches(engine, runId, 'waiting');
    await until(() => engine.active === 0);
  });
}

function settledTest(world: () => World): void {
  it('goes on at once when there is nothing to wait for after all, and records why with the step', async () => {
    world().define(
      'settled',
      'do: [ { ask: { call: ask:1@default, with: { settled: yes } } }, { act: { call: act:1@default, with: { name: after } } } ]',
    );
    const { engine } = await world().engine();
    const run = await engine.run({ workflow: 'settled' }, 5_000);
    expect(run.status).toBe('completed');
    expect((await engine.runs.get(run.runId)).steps[0]).toMatchObject({
      key: 'ask',
      kind: 'wait',
      status: 'completed',
      output: 'yes',
    });
    // Written before the effect that was based on it.
    expect((await world().fixture.readNotes()).filter((note) => note === 'asked:ask')).toHaveLength(1);
  });
}

function versionTest(world: () => World): void {
  it('finishes on the version that it began with', async () => {
    world().define('pinned', 'do: [ { ask: { call: ask:1@default } }, { tell: { set: { v: 1 } } } ]');
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'pinned' }, 5_000);
    world().define('pinned', 'do: [ { other: { set: { v: 2 } } } ]', 2);
    expect(outputOf(await engine.run({ workflow: 'pinned' }, 5_000))).toEqual({ v: 2 });
    await answer(world(), engine, runId, 'yes');
    expect(outputOf(await reaches(engine, runId, 'completed'))).toEqual({ v: 1 });
  });
}

function raceTests(world: () => World): void {
  it('interrupts a wait at its time limit, and a try may catch that', async () => {
    world().define(
      'limited',
      `do:
  - guarded:
      try: [ { ask: { call: ask:1@default, timeout: { after: PT1M } } } ]
      catch: { errors: { with: { type: timeout } }, do: [ { safe: { set: { safe: true, status: '\${ error.status }' } } } ] }`,
    );
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'limited' }, 5_000);
    world().clock.advanceBy(60_000);
    expect(outputOf(await reaches(engine, runId, 'completed'))).toEqual({ safe: true, status: 408 });
    expect(await world().fixture.readNotes()).toContain('closed:guarded/ask');
  });

  it('keeps the winner of a competition, and closes what the losers had opened', async () => {
    world().define(
      'race',
      `do:
  - compete: { fork: { compete: true, branches: [ { slow: { call: ask:1@default } }, { quick: { call: ask:1@default } } ] } }
  - later: { call: ask:1@default, input: { from: '{ "won": output_of(input) }' } }`.replace(
        'output_of(input)',
        'input',
      ),
    );
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'race' }, 5_000);
    await answer(world(), engine, runId, 'quick one', 'compete/quick');
    await until(async () => (await world().fixture.readNotes()).includes('closed:compete/slow'));
    await reaches(engine, runId, 'waiting');
    await answer(world(), engine, runId, 'slow one', 'compete/slow');
    await answer(world(), engine, runId, 'end', 'later');
    await reaches(engine, runId, 'completed');
    const { steps } = await engine.runs.get(runId);
    expect(steps.find(({ key }) => key === 'compete/quick')).toMatchObject({ output: 'quick one' });
  });
}

function retryTests(world: () => World): void {
  it('tries again after its back-off, and counts the attempts', async () => {
    world().define(
      'retry',
      `do:
  - guarded:
      try: [ { act: { call: act:1@default, with: { name: flaky, fail: 2 } } } ]
      catch: { errors: { with: { type: timeout } }, retry: { delay: PT1M, backoff: { exponential: {} }, limit: { attempt: { count: 3 } } } }`,
    );
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'retry' }, 5_000);
    expect(world().times('act:flaky')).toBe(1);
    world().clock.advanceBy(60_000);
    await until(() => world().times('act:flaky') === 2);
    await reaches(engine, runId, 'waiting');
    world().clock.advanceBy(119_999);
    expect(world().times('act:flaky')).toBe(2);
    world().clock.advanceBy(1);
    await reaches(engine, runId, 'completed');
    const { steps } = await engine.runs.get(runId);
    expect(steps.map(({ key, status, attempts }) => [key, status, attempts])).toEqual([
      ['guarded/act', 'failed', 1],
      ['guarded^1/act', 'failed', 2],
      ['guarded^2/act', 'completed', 3],
    ]);
  });

  it('gives an effect one idempotency key through nested retries and a crash, and another one at each visit and turn', async () => {
    world().define(
      'keys',
      `do:
  - outer:
      try:
        - inner:
            try: [ { act: { call: act:1@default, with: { name: flaky, fail: 3 } } } ]
            catch: { retry: { delay: PT1M, limit: { attempt: { count: 1 } } } }
      catch: { retry: { delay: PT1M, limit: { attempt: { count: 1 } } } }
  - each: { for: { in: '[1, 2]' }, do: [ { act: { call: act:1@default, with: { name: turn } } } ] }`,
    );
    const one = await world().engine();
    const { runId } = await one.engine.run({ workflow: 'keys' }, 5_000);
    for (let attempts = 1; attempts < 3; attempts++) {
      await until(() => world().times('act:flaky') === attempts);
      await reaches(one.engine, runId, 'waiting');
      world().clock.advanceBy(60_000);
    }
    await until(() => world().times('act:flaky') === 3);
    await reaches(one.engine, runId, 'waiting');
    await world().kill(one);
    const two = await world().engine();
    world().clock.advanceBy(60_000);
    await reaches(two.engine, runId, 'completed');
    const keysOf = (name: string) =>
      world()
        .effectKeys.filter((effect) => effect.name === name)
        .map(({ key }) => key);
    expect(new Set(keysOf('flaky'))).toEqual(new Set([`${runId}/outer/inner/act`]));
    expect(keysOf('flaky')).toHaveLength(4);
    expect(keysOf('turn')).toEqual([`${runId}/each[0]/act`, `${runId}/each[1]/act`]);
  });
}

function branchTests(world: () => World): void {
  it('joins parallel branches, some of which wait', async () => {
    world().define(
      'both',
      'do: [ { both: { fork: { branches: [ { one: { call: ask:1@default } }, { two: { call: count:1@default, with: { name: two, value: 2 } } } ] } } } ]',
    );
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'both' }, 5_000);
    await answer(world(), engine, runId, 'one', 'both/one');
    expect(outputOf(await reaches(engine, runId, 'completed'))).toEqual(['one', { value: 2 }]);
    expect(world().times('count:two')).toBe(1);
  });

  it('runs a flow inside a flow, and hands its failure up', async () => {
    world().define(
      'inner',
      'do: [ { ask: { call: ask:1@default } }, { no: { if: input == "no", raise: { error: { type: mine, status: 418 } } } } ]',
    );
    world().define(
      'outer',
      `do: [ { safe: { try: [ { sub: { run: { workflow: { namespace: test, name: inner, version: '1.0.0', input: {} } } } } ], catch: { do: [ { why: { set: { status: '\${ error.status }' } } } ] } } } ]`,
    );
    const { engine } = await world().engine();
    const outcomes = [];
    for (const payload of ['yes', 'no']) {
      const { runId } = await engine.start({ workflow: 'outer' });
      const inner = await until(
        async () => (await engine.runs.list({ workflow: 'inner', status: 'waiting' })).items[0],
      );
      await answer(world(), engine, inner.id, payload);
      outcomes.push(outputOf(await reaches(engine, runId, 'completed')));
    }
    expect(outcomes).toEqual(['yes', { status: 418 }]);
  });

  it('runs the version of a flow that is asked for, also when it is not the newest, and says when there is none', async () => {
    const tells = (text: string) => `do: [ { tell: { set: '\${ "${text}" }' } } ]`;
    world().define('inner', tells('old'), 1, '{}', '1.0.0');
    world().define('inner', tells('old, mended'), 2, '{}', '1.0.0');
    world().define('inner', tells('new'), 3, '{}', '2.0.0');
    const { engine } = await world().engine();
    const answers: unknown[] = [];
    const asked = ['1.0.0', '2.0.0', 'latest', '3.0.0', 'latest, namespace: other'];
    for (const [i, version] of asked.entries()) {
      const run = `run: { workflow: { name: inner, version: ${version} } }`;
      const why = `do: [ { why: { set: '\${ error.detail }' } } ]`;
      world().define(`outer-${i}`, `do: [ { safe: { try: [ { sub: { ${run} } } ], catch: { ${why} } } } ]`);
      const { runId } = await engine.run({ workflow: `outer-${i}` }, 5_000);
      answers.push(outputOf(await reaches(engine, runId, 'completed')));
    }
    expect(answers).toEqual([
      'old, mended',
      'new',
      'new',
      'test/inner, version 3.0.0 is not applied; the newest is test/inner, version 2.0.0.',
      'other/inner, version latest is not applied; the newest is test/inner, version 2.0.0.',
    ]);
  });
}

function listenTests(world: () => World): void {
  const flow = (to: string) => `do: [ { hear: { listen: { to: ${to} } } } ]`;
  const paid = `{ with: { type: paid }, correlate: { order: { from: data.order, expect: '\${ workflow.input.order }' } } }`;

  it('takes the event that correlates, and no other', async () => {
    world().define('hears', flow(`{ one: ${paid} }`));
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'hears', input: { order: 7 } }, 5_000);
    expect(engine.listenTypes()).toContain('paid');
    await world().deliver(engine, world().event('paid', { order: 8 }), world().event('other', { order: 7 }));
    expect((await engine.runs.get(runId)).status).toBe('waiting');
    await world().deliver(engine, world().event('paid', { order: 7, cents: 5 }));
    expect(outputOf(await reaches(engine, runId, 'completed'))).toEqual([{ order: 7, cents: 5 }]);
    await world().deliver(engine, world().event('paid', { order: 7 }));
  });

  it('takes its event although another that listens for it has a definition that cannot be used any more', async () => {
    for (const name of ['gone', 'stays']) world().define(name, flow('{ one: { with: { type: paid } } }'));
    const one = await world().engine();
    await one.engine.run({ workflow: 'gone' }, 5_000);
    const { runId } = await one.engine.run({ workflow: 'stays' }, 5_000);
    await world().kill(one);
    world().forget('gone');
    const { engine } = await world().engine();
    await world().deliver(engine, world().event('paid', { cents: 5 }));
    expect(outputOf(await reaches(engine, runId, 'completed'))).toEqual([{ cents: 5 }]);
  });

  it('waits for all of several, over crashes', async () => {
    world().define('hears-all', flow(`{ all: [ ${paid}, { with: { type: sent } } ] }`));
    const one = await world().engine();
    const { engine } = one;
    const { runId } = await engine.run({ workflow: 'hears-all', input: { order: 1 } }, 5_000);
    await world().deliver(engine, world().event('sent', { by: 'ship' }));
    await world().kill(one);
    const other = await world().engine();
    await world().deliver(other.engine, world().event('paid', { order: 1 }));
    expect(outputOf(await reaches(other.engine, runId, 'completed'))).toEqual([{ order: 1 }, { by: 'ship' }]);
  });
}

function earlyAnswerTests(world: () => World): void {
  describe('an answer that comes before its step', () => {
    it('keeps an answer that is read while the run leaves memory: it wakes the run until the run has it', async () => {
      world().define('early', 'do: [ { act: { call: act:1@default, with: { gate: early } } } ]');
      const { engine, line } = await world().engine();
      const { runId } = await engine.start({ workflow: 'early' });
      await until(() => world().times('act') === 1);
      line.cut = true; // what follows is done in its stead, step by step
      const store = world().fixture.open();
      await store.commit.commit([store.signal({ runId, key: 'later', payload: 'yes' })]);
      const wakes = () => store.signaled(engine.workerId, 10);
      expect(await store.signalsOf(runId)).toMatchObject([{ key: 'later', payload: 'yes' }]);
      expect(await wakes()).toEqual([runId]);
      await store.offered('a worker that holds it no more', runId, ['later']);
      expect(await wakes()).toEqual([runId]);
      await store.offered(engine.workerId, runId, ['later']);
      expect(await wakes()).toEqual([]);
    });
  });
}

/** What a run may come to in years: its replay goes through all of it. */
function longLifeTests(world: () => World): void {
  describe('a run of many rounds', () => {
    it('counts its steps over its whole life, waits and restarts included', async () => {
      world().define('daily', 'do: [ { day: { wait: P1D } }, { note: { set: { n: 1 }, then: day } } ]');
      const limits = 'runStepsMax=5';
      const one = await world().engine(limits);
      const { runId } = await one.engine.start({ workflow: 'daily' });
      await reaches(one.engine, runId, 'waiting');
      await world().kill(one);
      const { engine } = await world().engine(limits);
      const isOver = until(async () => {
        world().clock.advanceBy(86_400_000);
        const run = await engine.runs.get(runId);
        return run.status === 'failed' ? run : undefined;
      });
      expect((await isOver).result?.error).toMatchObject({
        code: 'workflow.too_many_steps',
        detail: expect.stringContaining('more than 5 steps'),
      });
      const notes = (await engine.runs.get(runId)).steps.filter(({ key }) => key.startsWith('note'));
      expect(notes).toHaveLength(2);
    });

    it('goes on for as long as it likes when each round starts the next one as a run of its own', async () => {
      const input = "{ left: '${ input.left - 1 }' }";
      const next = `{ namespace: test, name: rounds, version: latest, input: ${input} }`;
      const again = `if: input.left > 0, run: { workflow: ${next}, await: false }`;
      world().define(
        'rounds',
        `do: [ { act: { call: act:1@default, with: { name: round }, output: { as: workflow.input } } }, { day: { wait: P1D } }, { again: { ${again} } } ]`,
      );
      const { engine } = await world().engine('runStepsMax=5');
      await engine.start({ workflow: 'rounds', input: { left: 3 } });
      await until(async () => {
        world().clock.advanceBy(86_400_000);
        return world().times('act:round') === 4;
      });
      const { items } = await until(async () => {
        const found = await engine.runs.list({ workflow: 'rounds', status: 'completed' }, undefined, 10);
        return found.items.length === 4 ? found : undefined;
      });
      expect(items).toHaveLength(4);
    });
  });
}
