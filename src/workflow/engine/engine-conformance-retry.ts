import { describe, expect, it } from 'vitest';
import { outputOf, reaches, until, type World } from './engine-conformance-world.ts';

const THREE = `
do:
  - look: { call: count:1@default, with: { name: look, value: '\${ workflow.input.n }' } }
  - one: { call: act:1@default, with: { name: one, n: '\${ input.value }' } }
  - two: { call: act:1@default, with: { name: two, n: '\${ workflow.input.n }', fail: 1 } }
  - tell: { emit: { event: { with: { source: urn:test, type: told, data: { n: '\${ workflow.input.n }' } } } } }
  - three: { call: act:1@default, with: { name: three, of: '\${ workflow.input.n }' } }`;
const BY = { kind: 'key', id: 'key_1' };

const keysOf = (world: World, name: string) =>
  world.effectKeys.filter((effect) => effect.name === name).map(({ key }) => key);

/** Ended runs that go back to an earlier step, and new runs that begin with the journal of another. */
export function retryTests(world: () => World): void {
  describe('retrying an ended run', () => {
    stepTests(world);
    onceTests(world);
    againTests(world);
    keyTests(world);
    blockTests(world);
    crashTests(world);
  });
  describe('forking a run', () => forkTests(world));
}

function stepTests(world: () => World): void {
  it('goes on where it failed, keeps what came before, and leaves the earlier attempt readable', async () => {
    world().define('three', THREE);
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'three', input: { n: 1 } }, 5_000);
    expect((await engine.runs.get(runId)).status).toBe('failed');
    await engine.operations.retry(runId, {}, BY);
    expect(outputOf(await reaches(engine, runId, 'completed'))).toBe(`${runId}/three`);
    expect(['count:look', 'act:one', 'act:two', 'act:three'].map((what) => world().times(what))).toEqual([
      1, 1, 2, 1,
    ]);
    const now = await engine.runs.get(runId);
    expect(now).toMatchObject({
      attempt: 2,
      attempts: [{ attempt: 1, status: 'failed', nextStep: 'two', nextBy: 'key_1' }],
    });
    const first = await engine.runs.get(runId, 1);
    expect(first).toMatchObject({
      attempt: 1,
      status: 'failed',
      result: { error: { code: 'request.timeout' } },
    });
    expect(first.steps.map(({ key, status }) => `${key} ${status}`)).toEqual([
      'look completed',
      'one completed',
      'two failed',
    ]);
    await expect(engine.runs.get(runId, 3)).rejects.toMatchObject({ code: 'workflow.run_not_found' });
    expect(await world().fixture.readNotes()).toContain(`audit:retried:run:${runId}:key_1`);
  });

  it('goes back to a step of a completed run with another input, and does anew what came after', async () => {
    world().define('three', THREE);
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'three', input: { n: 1 } }, 5_000);
    await engine.operations.retry(runId);
    await reaches(engine, runId, 'completed');
    await expect(engine.operations.retry(runId)).rejects.toMatchObject({ code: 'request.invalid' });
    await expect(engine.operations.retry(runId, { step: 'four' })).rejects.toMatchObject({
      code: 'workflow.step_not_reached',
    });
    await engine.operations.retry(runId, { step: 'one', input: { name: 'one', n: 9 } }, BY);
    await reaches(engine, runId, 'completed');
    const { steps, attempts } = await engine.runs.get(runId);
    expect(steps.find(({ key }) => key === 'one')).toMatchObject({
      edited: true,
      input: { name: 'one', n: 9 },
    });
    expect(attempts.map(({ status, nextStep }) => [status, nextStep])).toEqual([
      ['failed', 'two'],
      ['completed', 'one'],
    ]);
    expect([world().times('count:look'), world().times('act:one')]).toEqual([1, 2]);
  });
}

function onceTests(world: () => World): void {
  it('refuses a run that has not ended, and does the same request once', async () => {
    world().define('asks', 'do: [ { ask: { call: ask:1@default } } ]');
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'asks' }, 5_000);
    await expect(engine.operations.retry(runId, { step: 'ask' })).rejects.toMatchObject({
      code: 'workflow.not_ended',
    });
    await engine.operations.cancel(runId);
    for (let times = 0; times < 2; times++) await engine.operations.retry(runId, { key: 'same' });
    await reaches(engine, runId, 'waiting');
    expect((await engine.runs.get(runId)).attempt).toBe(2);
  });
}

function againTests(world: () => World): void {
  it('begins again with another input of the run', async () => {
    world().define('three', THREE);
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'three', input: { n: 1 } }, 5_000);
    await engine.operations.retry(runId, { fromStart: true, input: { n: 2 } });
    const ended = await reaches(engine, runId, 'completed');
    expect(ended.origin).toMatchObject({ input: { n: 2 }, edited: true });
    expect(world().times('count:look')).toBe(2);
    expect((await engine.runs.get(runId, 1)).origin.input).toEqual({ n: 1 });
  });

  it('asks anew, and takes no late answer to what was asked before', async () => {
    world().define(
      'asks',
      'do: [ { ask: { call: ask:1@default } }, { bad: { call: act:1@default, with: { name: bad, fail: 1 } } } ]',
    );
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'asks' }, 5_000);
    await world()
      .fixture.open()
      .commit.commit([engine.signal({ runId, stepKey: 'ask', payload: 'no' })]);
    await reaches(engine, runId, 'failed');
    await engine.operations.retry(runId, { step: 'ask' });
    await reaches(engine, runId, 'waiting');
    await world()
      .fixture.open()
      .commit.commit([engine.signal({ runId, stepKey: 'ask', payload: 'yes' })]);
    await reaches(engine, runId, 'completed');
    expect((await engine.runs.get(runId)).steps[0]).toMatchObject({ key: 'ask', output: 'yes' });
    expect((await world().fixture.readNotes()).filter((note) => note === 'asked:ask')).toHaveLength(2);
  });
}

function keyTests(world: () => World): void {
  it('gives an effect the key that it had when it sends the same, and one of its own when it does not', async () => {
    world().define('three', THREE);
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'three', input: { n: 1 } }, 5_000);
    const again = async (n: number) => {
      await engine.operations.retry(runId, { fromStart: true, input: { n } });
      await reaches(engine, runId, 'completed');
    };
    for (const n of [1, 2, 1, 2, 3]) await again(n);
    const key = `${runId}/one`;
    expect(keysOf(world(), 'one')).toEqual([key, key, `${key}~3`, key, `${key}~3`, `${key}~6`]);
    // Never made before the second attempt: that one is its first.
    const last = `${runId}/three`;
    expect(keysOf(world(), 'three')).toEqual([last, `${last}~3`, last, `${last}~3`, `${last}~6`]);
    const told = (await world().fixture.readNotes()).filter((note) => note.startsWith('emit:'));
    expect(told).toEqual(['', '~3', '', '~3', '~6'].map((suffix) => `emit:${runId}/tell${suffix}`));
  });

  it('keeps large values through a retry and a fork, and knows what was sent with them', async () => {
    const big = 'ä'.repeat(100_000);
    world().define(
      'big',
      `do:
  - look: { call: count:1@default, with: { value: '\${ workflow.input.big }' } }
  - act: { call: act:1@default, with: { name: act, value: '\${ input.value }' } }
  - end: { set: { size: '\${ size(workflow.input.big) }' } }`,
    );
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'big', input: { big } }, 5_000);
    const fork = await engine.operations.fork(runId, { step: 'act' });
    expect(outputOf(await reaches(engine, fork, 'completed'))).toEqual({ size: 100_000 });
    await engine.operations.retry(runId, { step: 'act' });
    expect(outputOf(await reaches(engine, runId, 'completed'))).toEqual({ size: 100_000 });
    await engine.operations.retry(runId, { fromStart: true, input: { big: `${big}.` } });
    expect(outputOf(await reaches(engine, runId, 'completed'))).toEqual({ size: 100_001 });
    expect(keysOf(world(), 'act')).toEqual([`${runId}/act`, `${fork}/act`, `${runId}/act`, `${runId}/act~3`]);
  });

  it('knows an effect again that was cut off when its run ended', async () => {
    world().define(
      'cut',
      `do: [ { both: { fork: { branches: [
        { slow: { call: act:1@default, with: { name: slow, n: '\${ workflow.input.n }', gate: slow } } },
        { bad: { call: act:1@default, with: { name: bad, fail: 1 } } } ] } } } ]`,
    );
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'cut', input: { n: 1 } }, 5_000);
    world().gate('slow').open();
    await engine.operations.retry(runId, { fromStart: true, input: { n: 2 } });
    await reaches(engine, runId, 'completed');
    expect(keysOf(world(), 'slow')).toEqual([`${runId}/both/slow`, `${runId}/both/slow~2`]);
  });
}

function blockTests(world: () => World): void {
  it.each([
    ['the flow', 'timeout: { after: PT1M }\n', '{ call: ask:1@default }', 'ask'],
    ['a block', '', '{ do: [ { inner: { call: ask:1@default } } ], timeout: { after: PT1M } }', 'ask/inner'],
    ['the step', '', '{ call: ask:1@default, timeout: { after: PT1M } }', 'ask'],
    [
      'the attempts of a try',
      '',
      '{ try: [ { inner: { call: ask:1@default } } ], catch: { retry: { limit: { attempt: { count: 0, duration: PT1M } } } } }',
      'ask/inner',
    ],
  ])('gives the time limit around a step its whole time again: of %s', async (_, head, step, key) => {
    world().define(
      'limited',
      `${head}do: [ { act: { call: act:1@default, with: { name: once } } }, { ask: ${step} } ]`,
    );
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'limited' }, 5_000);
    world().clock.advanceBy(60_000);
    await reaches(engine, runId, 'failed');
    await engine.operations.retry(runId);
    await reaches(engine, runId, 'waiting');
    world().clock.advanceBy(59_000);
    await world()
      .fixture.open()
      .commit.commit([engine.signal({ runId, stepKey: key, payload: 'yes' })]);
    await reaches(engine, runId, 'completed');
    expect(world().times('act:once')).toBe(1);
  });

  it('gives a try its retries again, and keeps the turns of a loop that were done', async () => {
    world().define(
      'loops',
      `do:
  - each:
      for: { in: '[1, 2, 3]' }
      do:
        - guarded:
            try: [ { act: { call: act:1@default, with: { name: 'turn \${ string(index) }', fail: '\${ index == 1 ? 3 : 0 }' } } } ]
            catch: { retry: { limit: { attempt: { count: 1 } } } }`,
    );
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'loops' }, 5_000);
    await reaches(engine, runId, 'failed');
    await engine.operations.retry(runId);
    await reaches(engine, runId, 'completed');
    expect([0, 1, 2].map((turn) => world().times(`act:turn ${turn}`))).toEqual([1, 4, 1]);
  });

  it('goes on from a cancel in parallel branches with what they had', async () => {
    world().define(
      'both',
      `do: [ { both: { fork: { branches: [
        { one: { do: [ { act: { call: act:1@default, with: { name: act } } }, { ask: { call: ask:1@default } } ] } },
        { two: { listen: { to: { one: { with: { type: paid } } } } } } ] } } } ]`,
    );
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'both' }, 5_000);
    await engine.operations.cancel(runId);
    await engine.operations.retry(runId);
    await reaches(engine, runId, 'waiting');
    await world().deliver(engine, world().event('paid', { cents: 1 }));
    await world()
      .fixture.open()
      .commit.commit([engine.signal({ runId, stepKey: 'both/one/ask', payload: 'yes' })]);
    expect(outputOf(await reaches(engine, runId, 'completed'))).toEqual(['yes', [{ cents: 1 }]]);
    expect(world().times('act:act')).toBe(1);
  });
}

function crashTests(world: () => World): void {
  it('is taken up by another process when the one that was asked dies with the commit', async () => {
    world().define('three', THREE);
    const one = await world().engine();
    const { runId } = await one.engine.run({ workflow: 'three', input: { n: 1 } }, 5_000);
    const before = one.line.commits;
    one.line.cutAt = { commit: before, made: true };
    void one.engine.operations.retry(runId);
    await until(() => one.line.cut);
    await world().kill(one);
    const two = await world().engine();
    await reaches(two.engine, runId, 'completed');
    expect((await two.engine.runs.get(runId)).attempt).toBe(2);
    expect(['act:one', 'act:two', 'act:three'].map((what) => world().times(what))).toEqual([1, 2, 1]);
  });
}

function forkTests(world: () => World): void {
  it('starts a new run from a step of another, shown in both, under keys of its own', async () => {
    world().define('three', THREE);
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'three', input: { n: 1 } }, 5_000);
    const id = await engine.operations.fork(runId, { step: 'two', input: { name: 'two', n: 5 } }, BY);
    expect(outputOf(await reaches(engine, id, 'completed'))).toBe(`${id}/three`);
    expect(await engine.runs.get(id)).toMatchObject({ origin: { fork: { runId, attempt: 1, step: 'two' } } });
    expect(await engine.runs.get(runId)).toMatchObject({ status: 'failed', attempt: 1, forks: [id] });
    expect([world().times('count:look'), world().times('act:one')]).toEqual([1, 1]);
    expect(keysOf(world(), 'two')).toEqual([`${runId}/two`, `${id}/two`]);
    expect(await world().fixture.readNotes()).toContain(`audit:forked:run:${id}:key_1`);
  });

  it('of a run that waits, leaves that one waiting; the same key is the same fork', async () => {
    world().define(
      'asks',
      'do: [ { act: { call: act:1@default, with: { name: act } } }, { ask: { call: ask:1@default } } ]',
    );
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'asks' }, 5_000);
    const ids = [
      await engine.operations.fork(runId, { step: 'ask', key: 'k' }),
      await engine.operations.fork(runId, { step: 'ask', key: 'k' }),
    ];
    expect(new Set(ids).size).toBe(1);
    const id = ids[0]!;
    await reaches(engine, id, 'waiting');
    await world()
      .fixture.open()
      .commit.commit([engine.signal({ runId: id, stepKey: 'ask', payload: 'yes' })]);
    expect(outputOf(await reaches(engine, id, 'completed'))).toBe('yes');
    expect((await engine.runs.get(runId)).status).toBe('waiting');
    expect(world().times('act:act')).toBe(1);
  });
}
