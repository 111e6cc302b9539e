import { describe, expect, it } from 'vitest';
import { reaches, until, type World } from './engine-conformance-world.ts';

const TELLS = '{ aios: { lifecycle: runs } }';
const TELLS_STEPS = '{ aios: { lifecycle: true } }';

/** The lifecycle events that were committed, without the run's id: `started`, `suspended` … */
async function told(world: World, runId: string): Promise<string[]> {
  const notes = await world.fixture.readNotes();
  const prefix = `emit:${runId}/^`;
  return notes
    .filter((note) => note.startsWith(prefix))
    .map((note) => note.slice(prefix.length).split('/')[0]!);
}

/** Those of steps: `created block`, `suspended block/ask` …; of what is told of a request or a barrier, without which one. */
async function toldOfSteps(world: World, runId: string): Promise<string[]> {
  const notes = await world.fixture.readNotes();
  const prefix = `emit:${runId}/`;
  return notes
    .filter((note) => note.startsWith(prefix))
    .map((note) => /\^([a-z]+)\/(block.*)$/.exec(note))
    .flatMap((found) => (found ? [`${found[1]} ${found[2]!.replace(/\/(?:\d+|req_\w+)$/, '')}`] : []));
}

/** What lifecycle events promise over every store: each is committed with the change that it tells. */
export function lifecycleTests(world: () => World): void {
  describe('lifecycle events', () => {
    requestTests(world);
    startAndDeathTests(world);
    stepTests(world);
  });
}

const BLOCK = 'do: [ { block: { do: [ { ask: { call: ask:1@default } } ] } } ]';
const BEGUN = ['created block', 'started block', 'created block/ask', 'started block/ask'];

function stepTests(world: () => World): void {
  it('tell of the steps of a run that is suspended, resumed and canceled', async () => {
    world().define('asks', BLOCK, 1, TELLS_STEPS);
    const { engine } = await world().engine();
    const { runId } = await engine.start({ workflow: 'asks' });
    await reaches(engine, runId, 'waiting');
    expect(await toldOfSteps(world(), runId)).toEqual(BEGUN);
    for (let pause = 0; pause < 2; pause++) {
      await engine.operations.pause(runId);
      await reaches(engine, runId, 'paused');
      await engine.operations.resume(runId);
      await reaches(engine, runId, 'waiting');
    }
    await engine.operations.cancel(runId);
    await reaches(engine, runId, 'canceled');
    const stopped = ['suspended block', 'suspended block/ask', 'resumed block', 'resumed block/ask'];
    const events = [...BEGUN, ...stopped, ...stopped, 'cancelled block/ask', 'cancelled block'];
    expect(await toldOfSteps(world(), runId)).toEqual(events);
  });

  it('tell of a step once, whoever takes its run over, and of steps that begin anew after a return to one', async () => {
    world().define(
      'acts',
      'do: [ { block: { do: [ { act: { call: act:1@default, with: { name: act } } } ] } } ]',
      1,
      TELLS_STEPS,
    );
    const one = await world().engine();
    one.line.cutAt = { commit: 1, made: true };
    void one.engine.start({ workflow: 'acts', idempotencyKey: 'k' }).catch(() => {});
    await until(() => one.line.cut);
    await world().kill(one);
    const { engine } = await world().engine();
    const { runId } = await engine.start({ workflow: 'acts', idempotencyKey: 'k' });
    await reaches(engine, runId, 'completed');
    const act = ['created block', 'started block', 'created block/act', 'started block/act'];
    const events = [...act, 'completed block/act', 'completed block'];
    expect([...new Set(await toldOfSteps(world(), runId))]).toEqual(events);
    expect((await toldOfSteps(world(), runId)).filter((each) => each.startsWith('completed'))).toHaveLength(
      2,
    );
    await engine.operations.retry(runId, { step: 'block/act' });
    await reaches(engine, runId, 'completed');
    const again = (await world().fixture.readNotes()).filter((note) => note.startsWith(`emit:${runId}/2/`));
    expect(again.map((note) => note.slice(`emit:${runId}/2/`.length))).toEqual(
      expect.arrayContaining([
        '^created/block',
        '^created/block/act',
        '^completed/block/act',
        '^completed/block',
      ]),
    );
  });

  stillTests(world);
}

function stillTests(world: () => World): void {
  it('tell of the steps of a run that is put away where it stood in memory', async () => {
    world().define('naps', 'do: [ { block: { do: [ { nap: { wait: PT0.5S } } ] } } ]', 1, TELLS_STEPS);
    const { engine } = await world().engine();
    const { runId } = await engine.start({ workflow: 'naps' });
    await until(() => engine.active === 1);
    await engine.operations.pause(runId);
    await reaches(engine, runId, 'paused');
    const nap = ['created block', 'started block', 'created block/nap', 'started block/nap'];
    expect(await toldOfSteps(world(), runId)).toEqual([...nap, 'suspended block', 'suspended block/nap']);
  });

  it('tell the phases of a run, each once', async () => {
    world().define('asks', BLOCK, 1, '{ aios: { lifecycle: { steps: false, statusChanged: true } } }');
    const { engine } = await world().engine();
    const { runId } = await engine.start({ workflow: 'asks' });
    await reaches(engine, runId, 'waiting');
    await engine.operations.pause(runId);
    await reaches(engine, runId, 'paused');
    await engine.operations.resume(runId);
    await reaches(engine, runId, 'waiting');
    await engine.operations.cancel(runId);
    await reaches(engine, runId, 'canceled');
    const notes = await world().fixture.readNotes();
    const phases = notes.flatMap((note) => /\^status-changed\/(\w+)\//.exec(note)?.[1] ?? []);
    expect(phases).toEqual(['running', 'waiting', 'suspended', 'running', 'waiting', 'cancelled']);
  });
}

function requestTests(world: () => World): void {
  it('tell that a waiting run was suspended, resumed and canceled', async () => {
    world().define('asks', 'do: [ { ask: { call: ask:1@default } } ]', 1, TELLS);
    const { engine } = await world().engine();
    const { runId } = await engine.start({ workflow: 'asks' });
    await reaches(engine, runId, 'waiting');
    await engine.operations.pause(runId);
    expect(await told(world(), runId)).toEqual(['started', 'suspended']);
    await engine.operations.resume(runId);
    await reaches(engine, runId, 'waiting');
    await engine.operations.cancel(runId);
    await reaches(engine, runId, 'canceled');
    expect(await told(world(), runId)).toEqual(['started', 'suspended', 'resumed', 'cancelled']);
  });

  it('tell nothing of a request that is refused', async () => {
    world().define('ended', 'do: [ { a: { set: { b: 1 } } } ]', 1, TELLS);
    const { engine } = await world().engine();
    const { runId } = await engine.start({ workflow: 'ended' });
    await reaches(engine, runId, 'completed');
    await expect(engine.operations.pause(runId)).rejects.toMatchObject({ code: 'workflow.ended' });
    await expect(engine.operations.resume(runId)).rejects.toMatchObject({ code: 'workflow.not_paused' });
    expect(await told(world(), runId)).toEqual(['started', 'completed']);
  });

  it('tell of a run that failed and goes on again, and of its fork', async () => {
    world().define(
      'fails',
      'do: [ { act: { call: act:1@default, with: { name: act, fail: 1 } } } ]',
      1,
      TELLS,
    );
    const { engine } = await world().engine();
    const { runId } = await engine.start({ workflow: 'fails' });
    await reaches(engine, runId, 'failed');
    await engine.operations.retry(runId);
    await reaches(engine, runId, 'completed');
    expect(await told(world(), runId)).toEqual(['started', 'faulted', 'resumed']);
    const notes = await world().fixture.readNotes();
    expect(notes).toContain(`emit:${runId}/2/^completed`);
    const fork = await engine.operations.fork(runId, { step: 'act' });
    await reaches(engine, fork, 'completed');
    expect(await told(world(), fork)).toEqual(['started', 'completed']);
  });
}

function startAndDeathTests(world: () => World): void {
  it('tell that a run began which an event, another run or a schedule started', async () => {
    const flow = 'do: [ { a: { set: { b: 1 } } } ]';
    world().define('by-event', `schedule: { on: { one: { with: { type: t } } } }\n${flow}`, 1, TELLS);
    world().define('by-time', `schedule: { every: PT5M }\n${flow}`, 1, TELLS);
    world().define('child', flow, 1, TELLS);
    world().define(
      'parent',
      'do: [ { c: { run: { workflow: { namespace: test, name: child, version: "1.0.0" } } } } ]',
    );
    const { engine } = await world().engine();
    await world().consume(engine, world().event('t', {}));
    await engine.start({ workflow: 'parent' });
    await until(async () => (await engine.schedules.list())[0]?.dueMs);
    world().clock.advanceBy(300_000);
    for (const workflow of ['by-event', 'child', 'by-time']) {
      const run = await until(async () => {
        const { items } = await engine.runs.list({ workflow });
        return items[0]?.status === 'completed' ? items[0] : undefined;
      });
      expect([workflow, ...(await told(world(), run.id))]).toEqual([workflow, 'started', 'completed']);
    }
  });

  it.each([false, true])(
    'are there when their change is, and not otherwise: commit made %s',
    async (made) => {
      world().define('dies', 'do: [ { act: { call: act:1@default, with: { name: act } } } ]', 1, TELLS);
      const one = await world().engine();
      // The first commit makes the run durable, the second is the barrier before the effect's result is final.
      one.line.cutAt = { commit: 1, made };
      void one.engine.start({ workflow: 'dies', idempotencyKey: 'k' }).catch(() => {});
      await until(() => one.line.cut);
      await world().kill(one);
      const { engine } = await world().engine();
      const { runId } = await engine.start({ workflow: 'dies', idempotencyKey: 'k' });
      await reaches(engine, runId, 'completed');
      const events = await told(world(), runId);
      // The log keeps one event of an id: that a run began may be written again by who takes it over with nothing recorded.
      expect(new Set(events)).toEqual(new Set(['started', 'completed']));
      expect(events.filter((each) => each === 'completed')).toHaveLength(1);
    },
  );
}
