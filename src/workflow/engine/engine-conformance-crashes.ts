import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { outputOf, reaches, until, type World } from './engine-conformance-world.ts';
import type { RunStore } from './run-store.ts';
import type { StoredRun } from './stored-run.ts';

const FLOW = `
do:
  - look: { call: count:1@default, with: { name: look } }
  - think: { call: dear:1@default, with: { name: think } }
  - act: { call: act:1@default, with: { name: pay, gate: pay } }
  - again: { call: count:1@default, with: { name: again, gate: again } }
  - last: { call: act:1@default, with: { name: last } }`;

/** Every kind of barrier: before effects, after costly steps, before a wait, in parallel branches, at the end. */
const LONG = `
do:
  - think: { call: dear:1@default, with: { name: think } }
  - one: { call: act:1@default, with: { name: one } }
  - ask: { call: ask:1@default }
  - both: { fork: { branches: [ { two: { call: act:1@default, with: { name: two } } }, { look: { call: count:1@default, with: { name: look, value: 3 } } } ] } }
  - told: { emit: { event: { with: { type: told, data: '\${ input }' } } }, output: { as: input } }
  - last: { call: act:1@default, with: { name: last }, output: { as: '[input[1].value, output]' } }`;

/** One look after the other: asked by a timer, a slow machine would be given more of them the slower it is. */
async function answerWhenAsked(
  store: RunStore,
  find: () => Promise<StoredRun | undefined>,
  signal: AbortSignal,
): Promise<void> {
  for (; !signal.aborted; await sleep(10)) {
    const run = await find();
    if (run?.status === 'waiting')
      await store.commit.commit([store.signal({ runId: run.id, key: 'ask', payload: 'yes' })]);
  }
}

/** One run with one crash; answers whether the crash came before its end. */
async function crashOnce(world: World, cutAt: { commit: number; made: boolean }): Promise<boolean> {
  const request = { workflow: 'long', idempotencyKey: `${cutAt.commit} ${cutAt.made}` };
  const one = await world.engine();
  one.line.cutAt = cutAt;
  const store = world.fixture.open();
  const find = () => store.findByKey('long', request.idempotencyKey);
  const stopped = new AbortController();
  const answering = answerWhenAsked(store, find, stopped.signal);
  try {
    void one.engine.start(request);
    await until(
      async () => one.line.cut || (await find())?.status === 'completed',
      async () => ({ cutAt, commits: one.line.commits, run: await find() }),
    );
    const crashed = one.line.cut;
    one.line.cutAt = undefined;
    if (crashed) await world.kill(one);
    const two = crashed ? await world.engine() : one;
    const { runId } = await two.engine.start(request);
    expect(outputOf(await reaches(two.engine, runId, 'completed'))).toEqual([3, `${runId}/last`]);
    const { steps } = await two.engine.runs.get(runId);
    expect(new Set(steps.map(({ key }) => key)).size).toBe(steps.length);
    const told = (await world.fixture.readNotes()).filter((note) => note === `emit:${runId}/told`);
    expect(told).toHaveLength(1);
    return crashed;
  } finally {
    stopped.abort();
    await answering;
    await world.retire();
  }
}

export function crashTests(world: () => World): void {
  describe('crashing', () => takeOverTests(world));
  describe('what is due', () => dueTests(world));
  describe('crashing at any commit', () => commitTests(world));
  describe('stopping', () => stopTests(world));
  describe('while the store is away', () => awayTests(world));
  describe('when an answer of the store is lost', () => lostTests(world));
}

function takeOverTests(world: () => World): void {
  it('redoes only what was not recorded: another process takes the run over', async () => {
    world().define('crash', FLOW);
    const one = await world().engine();
    const { runId } = await one.engine.start({ workflow: 'crash' });
    await until(() => world().times('act:pay') === 1);
    await world().kill(one);
    world().gate('pay').open();
    world().gate('again').open();
    const two = await world().engine();
    expect(outputOf(await reaches(two.engine, runId, 'completed'))).toBe(`${runId}/last`);
    // The effect was under way: it is repeated, under the same key. What it was based on is not.
    expect(['count:look', 'dear:think', 'act:pay', 'act:last'].map((what) => world().times(what))).toEqual([
      1, 1, 2, 1,
    ]);
  });

  it('does not repeat an effect whose result was recorded', async () => {
    world().define('recorded', FLOW);
    const one = await world().engine();
    const { runId } = await one.engine.start({ workflow: 'recorded' });
    world().gate('pay').open();
    await until(() => world().times('count:again') === 1);
    await until(async () => (await one.engine.runs.get(runId)).steps.some(({ key }) => key === 'act'));
    await world().kill(one);
    world().gate('again').open();
    const two = await world().engine();
    await reaches(two.engine, runId, 'completed');
    expect([world().times('act:pay'), world().times('act:last')]).toEqual([1, 1]);
  });

  it('fences a worker that was frozen past its lease: it neither writes nor acts', async () => {
    world().define('frozen', FLOW);
    const one = await world().engine('runLeaseMs=150');
    const { runId } = await one.engine.start({ workflow: 'frozen' });
    world().gate('pay').open();
    await until(() => world().times('count:again') === 1);
    one.line.hold();
    const two = await world().engine();
    await until(() => world().times('count:again') === 2);
    world().gate('again').open();
    const ended = await reaches(two.engine, runId, 'completed');
    one.line.release();
    await until(() => one.engine.active === 0);
    expect(world().times('act:last')).toBe(1);
    expect(await two.engine.waitFor(runId, 5_000)).toMatchObject({ updatedAtMs: ended.updatedAtMs });
  });
}

function dueTests(world: () => World): void {
  it('takes up what waits after a restart, deadlines included', async () => {
    world().define('due', 'do: [ { ask: { call: ask:1@default, with: { inMs: 60000 } } } ]');
    const one = await world().engine();
    const { runId } = await one.engine.run({ workflow: 'due' }, 5_000);
    await world().kill(one);
    world().clock.advanceBy(60_000);
    const two = await world().engine();
    expect(outputOf(await reaches(two.engine, runId, 'completed'))).toBe('late');
  });

  it('takes up no more of what is due at once than it may hold, and all of it in the end', async () => {
    world().define(
      'crowd',
      'do: [ { ask: { call: ask:1@default, with: { inMs: 60000 } } }, { act: { call: act:1@default, with: { gate: crowd } } } ]',
    );
    const { engine } = await world().engine('runsActiveMax=3');
    const ids: string[] = [];
    for (let n = 0; n < 8; n++) ids.push((await engine.run({ workflow: 'crowd' }, 5_000)).runId);
    world().clock.advanceBy(60_000);
    await until(() => world().times('act') === 3);
    expect(engine.active).toBe(3);
    world().gate('crowd').open();
    for (const id of ids) await reaches(engine, id, 'completed');
    expect(world().times('act')).toBe(8);
  });
}

function commitTests(world: () => World): void {
  it.each([
    ['before it is made', false],
    ['after it, with the answer lost', true],
  ])('%s, ends in the same result and repeats at most what was under way', async (_, made) => {
    world().define('long', LONG);
    let commit = 0;
    for (; await crashOnce(world(), { commit, made }); commit++) {
      for (const what of ['act:one', 'act:two', 'act:last']) {
        expect(world().times(what)).toBeLessThanOrEqual(2);
        expect(world().times(what)).toBeGreaterThanOrEqual(1);
      }
      world().done.length = 0;
    }
    expect(commit).toBeGreaterThanOrEqual(6);
  });
}

function awayTests(world: () => World): void {
  it.each(['store.unavailable', 'request.overloaded'] as const)(
    'takes a run up again that it let go by %s',
    async (awayBy) => {
      world().define('away', FLOW);
      const { engine, line } = await world().engine();
      line.awayBy = awayBy;
      const { runId } = await engine.start({ workflow: 'away' });
      await until(() => world().times('act:pay') === 1);
      line.away = 1;
      world().gate('pay').open();
      await until(() => line.away === 0);
      world().gate('again').open();
      await reaches(engine, runId, 'completed');
      expect(world().times('act:last')).toBe(1);
    },
  );
}

/** The store gives runs to a process, which does not hear of it. */
function lostTests(world: () => World): void {
  it.each(['claim', 'takeOver', 'admit'] as const)('goes on with what came by %s', async (call) => {
    const paid = 'pay: { call: act:1@default, with: { name: pay, gate: pay } }';
    world().define('waiting', `do: [ { a: { call: ask:1@default } }, { ${paid} } ]`);
    world().define('plain', `do: [ { ${paid} } ]`);
    world().define('queued', `do: [ { ${paid} } ]`, 1, '{ aios: { queue: { name: narrow } } }');
    world().defineQueue('narrow', 'concurrency: 1');
    const [one, other] = [await world().engine(), await world().engine()];
    const begun = call === 'takeOver' ? other.engine : one.engine;
    const workflow = { claim: 'waiting', takeOver: 'plain', admit: 'queued' }[call];
    if (call !== 'takeOver') await world().kill(other);
    if (call === 'admit') one.line.lostAnswer = call;
    const { runId } = await begun.start({ workflow });
    if (call === 'takeOver') await until(() => world().times('act:pay') === 1);
    one.line.lostAnswer = call;
    if (call === 'claim') {
      await reaches(one.engine, runId, 'waiting');
      const store = world().fixture.open();
      const [a] = (await one.engine.runs.get(runId)).steps;
      await store.commit.commit([store.signal({ runId, key: a!.key, payload: 'yes' })]);
    } else if (call === 'takeOver') await world().kill(other);
    await until(() => one.line.lostAnswer === undefined);
    world().gate('pay').open();
    await reaches(one.engine, runId, 'completed');
  });
}

function stopTests(world: () => World): void {
  it('lets short runs end and leaves the others to be taken over at once', async () => {
    world().define('drained', FLOW);
    world().define('short', 'do: [ { a: { call: count:1@default, with: { gate: short } } } ]');
    const one = await world().engine('runLeaseMs=60000');
    const { runId } = await one.engine.start({ workflow: 'drained' });
    world().gate('pay').open();
    await until(() => world().times('count:again') === 1);
    const short = one.engine.run({ workflow: 'short' }, 5_000);
    const stopping = one.engine.stop();
    world().gate('short').open();
    expect(await short).toMatchObject({ status: 'completed' });
    await stopping;
    await expect(one.engine.start({ workflow: 'short' })).rejects.toMatchObject({
      code: 'store.unavailable',
    });
    await world().kill(one);
    world().gate('again').open();
    const two = await world().engine();
    await reaches(two.engine, runId, 'completed');
    expect([world().times('act:pay'), world().times('act:last')]).toEqual([1, 1]);
  });
}
