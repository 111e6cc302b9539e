import { describe, expect, it } from 'vitest';
import { outputOf, reaches, until, type World } from './engine-conformance-world.ts';
import { eventRunId } from './event-start.ts';

const THREE = `
do:
  - first: { call: count:1@default, with: { name: a, value: '\${ input.x }' } }
  - second: { call: count:1@default, with: { name: b, value: '\${ input.value + 1 }' } }
  - third: { set: { sum: '\${ input.value }' } }`;
const ACT = `
do:
  - prepare: { call: count:1@default, with: { name: prepare, note: prepared } }
  - act: { call: act:1@default, with: { name: pay } }`;

/** A transaction that is lost: what is inserted there is answered, and never was. */
const NO_ROWS = { query: async () => [] };

function childTests(world: () => World): void {
  it('answers with the result of a flow that waits for another, and at once where a person is waited for beside it', async () => {
    const sub = `run: { workflow: { namespace: test, name: act, version: latest, input: {} } }`;
    world().define('act', ACT);
    world().define('outer', `do: [ { sub: { ${sub} } } ]`);
    const { engine } = await world().engine();
    expect(await engine.run({ workflow: 'outer' }, 5_000)).toMatchObject({ status: 'completed' });
    const slow = 'do: [ { act: { call: act:1@default, with: { gate: shut-act } } } ]';
    world().define('act', slow, 2);
    world().define(
      'beside',
      `do: [ { f: { fork: { branches: [ { sub: { ${sub} } }, { ask: { call: ask:1@default } } ] } } } ]`,
    );
    const waits = await engine.run({ workflow: 'beside' }, 5_000);
    expect(waits).toMatchObject({ status: 'waiting', waitingFor: 'ask' });
    world().gate('shut-act').open();
  });

  it('does a step again that met a store that is away, and records it once', async () => {
    const { engine } = await world().engine();
    world().define(
      'away',
      'do: [ { look: { call: count:1@default, with: { name: look, value: 3, away: 2 } } } ]',
    );
    const run = await engine.run({ workflow: 'away' }, 5_000);
    expect(run).toMatchObject({ status: 'completed', result: { output: { value: 3 } } });
    expect(world().times('count:look')).toBe(3);
    expect((await engine.runs.get(run.runId)).steps).toMatchObject([
      { name: 'look', status: 'completed', attempts: 1 },
    ]);
  });
}

export function startTests(world: () => World): void {
  describe('starting what waits for another', () => childTests(world));
  describe('starting', () => {
    it('answers a synchronous run after its result is durable', async () => {
      world().define('three', THREE);
      const { engine } = await world().engine();
      const run = await engine.run({ workflow: 'three', input: { x: 1 } }, 5_000);
      expect(run).toMatchObject({ status: 'completed', result: { output: { sum: 2 } } });
      const detail = await engine.runs.get(run.runId);
      expect(detail.steps.map(({ key, kind, status }) => `${key} ${kind} ${status}`)).toEqual([
        'first pure completed',
        'second pure completed',
        'third flow completed',
      ]);
      expect(detail.graph.edges).toContainEqual({ from: 'first', to: 'second' });
    });

    it('answers an asynchronous start when the run is durable, and goes on', async () => {
      world().define('act', ACT);
      const { engine } = await world().engine();
      const { runId, created } = await engine.start({ workflow: 'act' });
      expect(created).toBe(true);
      expect(outputOf(await reaches(engine, runId, 'completed'))).toBe(`${runId}/act`);
    });

    it('gives one run to one key, whichever process is asked', async () => {
      world().define('act', ACT);
      const [one, two] = [await world().engine(), await world().engine()];
      const request = { workflow: 'act', idempotencyKey: `k-${Math.random()}` };
      const runs = await Promise.all([
        one.engine.run(request, 5_000),
        two.engine.run(request, 5_000),
        one.engine.run(request, 5_000),
      ]);
      expect(new Set(runs.map(({ runId }) => runId)).size).toBe(1);
      expect(world().times('act:pay')).toBe(1);
      expect(await two.engine.start(request)).toEqual({ runId: runs[0].runId, created: false });
    });

    it('refuses an unknown flow and more starts than may wait', async () => {
      const { engine } = await world().engine('runsActiveMax=1,runsQueuedMax=1');
      world().define('held', 'do: [ { act: { call: act:1@default, with: { gate: shut } } } ]');
      await expect(engine.run({ workflow: 'nope' }, 10)).rejects.toMatchObject({
        code: 'workflow.not_found',
      });
      const first = await engine.start({ workflow: 'held' });
      const second = engine.start({ workflow: 'held' });
      await expect(engine.start({ workflow: 'held' })).rejects.toMatchObject({
        code: 'request.overloaded',
        extensions: { limitName: 'runsQueuedMax' },
      });
      world().gate('shut').open();
      await reaches(engine, first.runId, 'completed');
      await reaches(engine, (await second).runId, 'completed');
    });
  });
  describe('starting from events', () => {
    eventTests(world);
    lateEventTests(world);
    aheadTests(world);
  });
}

const schedule = 'schedule: { on: { one: { with: { type: order.placed } } } }\n';

function eventTests(world: () => World): void {
  it('commits the runs with the transaction of the consumer, once for each event', async () => {
    const { engine } = await world().engine();
    world().define('on-order', `${schedule}${THREE.replace('input.x', 'input[0].data.x')}`);
    const events = [1, 2, 3].map((x) => world().event('order.placed', { x }, `once-${x}`));
    await world().consume(engine, ...events);
    await world().consume(engine, ...events);
    for (const [index, event] of events.entries()) {
      const state = await engine.waitFor(eventRunId('on-order', event), 5_000);
      expect(state).toMatchObject({ status: 'completed', result: { output: { sum: index + 2 } } });
    }
    expect((await engine.runs.list({ workflow: 'on-order' })).items).toHaveLength(3);
  });

  it('leaves nothing when that transaction is rolled back, and starts at the next try', async () => {
    const { engine } = await world().engine();
    world().define('again', `${schedule}${ACT.replace('prepared', 'again-prepared')}`);
    const event = world().event('order.placed', {}, 'rolled-back');
    const undoing: (() => void)[] = [];
    const broken = world().fixture.transaction(async (tx) => {
      await engine.startFromEvents([event], tx, { onRollback: (undo) => undoing.push(undo) });
      throw new Error('the consumer fails');
    });
    await expect(broken).rejects.toThrow('the consumer fails');
    // Otherwise what is left of batches that failed counts as runs under way, until there is no room for a next try.
    for (const undo of undoing) undo();
    expect(engine.active).toBe(0);
    expect(world().times('act')).toBe(0);
    await world().consume(engine, event);
    await reaches(engine, eventRunId('again', event), 'completed');
    expect(world().times('act:pay')).toBe(1);
    expect((await world().fixture.readNotes()).filter((note) => note === 'again-prepared')).toHaveLength(1);
  });

  it('goes on with what was committed although the answer to the commit was lost', async () => {
    const { engine } = await world().engine();
    world().define('unanswered', `${schedule}${ACT.replace('prepared', 'unanswered-prepared')}`);
    const event = world().event('order.placed', {}, 'unanswered');
    const undoing: (() => void)[] = [];
    await world().fixture.transaction((tx) =>
      engine.startFromEvents([event], tx, { onRollback: (undo) => undoing.push(undo) }),
    );
    for (const undo of undoing) undo();
    await world().consume(engine, event);
    await reaches(engine, eventRunId('unanswered', event), 'completed');
    expect(world().times('act:pay')).toBe(1);
  });

  it('stops although a transaction never came to its end', async () => {
    const { engine } = await world().engine();
    world().define('never', `${schedule}${ACT}`);
    await engine.startFromEvents([world().event('order.placed', {}, 'never')], NO_ROWS);
    expect(engine.active).toBe(1);
    await engine.stop();
    expect(engine.active).toBe(0);
    expect(world().times('act')).toBe(0);
  });
}

function lateEventTests(world: () => World): void {
  it('acts only after the commit, and lets a slow run go on by itself', async () => {
    const { engine } = await world().engine('eventInlineMs=20');
    world().define(
      'slow',
      `${schedule}do: [ { wait: { call: count:1@default, with: { gate: slow } } }, { act: { call: act:1@default, with: { name: slow } } } ]`,
    );
    const event = world().event('order.placed', {}, 'slow');
    await world().consume(engine, event);
    const runId = eventRunId('slow', event);
    await reaches(engine, runId, 'running');
    world().gate('slow').open();
    expect(outputOf(await reaches(engine, runId, 'completed'))).toBe(`${runId}/act`);
  });

  it('starts only from the events that its filter means, and knows the event', async () => {
    const { engine } = await world().engine();
    world().define(
      'big',
      `schedule: { on: { any: [ { with: { type: order.big, subject: big }, correlate: { size: { from: data.size > 10, expect: '\${ event.data.size > 0 }' } } } ] } }
do: [ { note: { set: { id: '\${ event.id }', size: '\${ input[0].data.size }' } } } ]`,
    );
    const events = [5, 50].map((size) => world().event('order.big', { size }, `size-${size}`));
    const without = world().event('order.big', {}, 'no-size');
    for (const { event } of [without, ...events]) event.subject = 'big';
    await world().consume(engine, without, ...events, world().event('order.other', {}));
    const { items } = await engine.runs.list({ workflow: 'big' });
    // What may be large is not read for a list.
    for (const part of ['origin', 'result']) expect(items[0]).not.toHaveProperty(part);
    const runs = await Promise.all(items.map(({ id }) => engine.runs.get(id)));
    expect(runs.map(outputOf)).toEqual([{ id: 'size-50', size: 50 }]);
    expect(engine.startTypes()).toEqual(['order.big']);
  });

  it('tells a run to whoever waits for it before it exists', async () => {
    const { engine } = await world().engine();
    world().define('later', `${schedule}do: [ { a: { set: { b: 1 } } } ]`);
    const event = world().event('order.placed', {}, 'not-yet');
    const waiting = engine.waitFor(eventRunId('later', event), 5_000);
    expect(await engine.waitFor(eventRunId('later', event), 1)).toBeUndefined();
    await until(() => true);
    await world().consume(engine, event);
    expect(await waiting).toMatchObject({ status: 'completed' });
  });
}

/** Runs that are begun before the consumer comes to their events. */
function aheadTests(world: () => World): void {
  const started = async (name: string, id: string, flow: string, limits = '') => {
    const one = await world().engine(limits);
    world().define(name, `${schedule}${flow}`);
    const event = world().event('order.placed', {}, id);
    const runId = eventRunId(name, event);
    one.engine.startAhead(name, runId, event);
    return { one, event, runId };
  };
  const SLOW =
    'do: [ { wait: { call: count:1@default, with: { name: ahead, gate: ahead } } }, { act: { call: act:1@default, with: { name: pay } } } ]';

  it('are not begun again by the consumer, whether they have ended or go on', async () => {
    const { one, event, runId } = await started('ahead', 'ahead', SLOW, 'eventInlineMs=20');
    // The group may pass the event only when the run is durable.
    await world().consume(one.engine, event);
    await reaches(one.engine, runId, 'running');
    world().gate('ahead').open();
    await reaches(one.engine, runId, 'completed');
    await world().consume(one.engine, event);
    expect([world().times('count:ahead'), world().times('act:pay')]).toEqual([1, 1]);
  });

  it('are begun by the next consumer when the process died before they were durable', async () => {
    const { one, event, runId } = await started('died', 'died', SLOW);
    await world().kill(one);
    world().gate('ahead').open();
    const two = await world().engine();
    await world().consume(two.engine, event);
    await reaches(two.engine, runId, 'completed');
    expect(world().times('act:pay')).toBe(1);
  });

  it('give way to the run of the same event that another process has begun', async () => {
    const { one, event, runId } = await started('both', 'both', SLOW);
    const two = await world().engine();
    world().gate('ahead').open();
    await Promise.all([world().consume(two.engine, event), one.engine.waitFor(runId, 5_000)]);
    await reaches(two.engine, runId, 'completed');
    await until(() => one.engine.active === 0);
    expect(world().times('act:pay')).toBe(1);
  });
}
