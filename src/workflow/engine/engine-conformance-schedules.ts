import { describe, expect, it } from 'vitest';
import { write } from '../../store/lane.ts';
import type { WorkflowEngine } from './engine.ts';
import { reaches, START_MS, until, type World } from './engine-conformance-world.ts';
import type { ScheduleView } from './scheduler.ts';
import type { StoredRun } from './stored-run.ts';

const MINUTE = 60_000;
const COUNT = 'do: [ { count: { call: count:1@default, with: { name: tick } } } ]';
const GATED = 'do: [ { act: { call: act:1@default, with: { name: tick, gate: tick } } } ]';
const ASK = 'do: [ { ask: { call: ask:1@default } } ]';

/** `every: PT5M`, with options that stand in the document's metadata. */
const every = (overlap: string, flow: string, missed = 'skip') => ({
  metadata: `{ aios: { schedule: { overlap: ${overlap}, missed: ${missed} } } }`,
  text: `schedule: { every: PT5M }\n${flow}`,
});

async function runsOf(engine: WorkflowEngine, workflow: string): Promise<StoredRun[]> {
  const { items } = await engine.runs.list({ workflow }, undefined, 200);
  const runs = await Promise.all(items.map(({ id }) => engine.runs.get(id)));
  return runs.sort((a, b) => a.origin.scheduledMs! - b.origin.scheduledMs!);
}

/** Due times of the runs in minutes since the start, with their states. */
const shown = (runs: readonly StoredRun[]) =>
  runs.map(({ origin, status }) => [(origin.scheduledMs! - START_MS) / MINUTE, status]);

/** Waits until the schedule of a flow is so. */
function schedule(
  engine: WorkflowEngine,
  workflow: string,
  is: (view: ScheduleView) => boolean,
): Promise<ScheduleView> {
  return until(async () => (await engine.schedules.list()).find((v) => v.workflow === workflow && is(v)));
}

/** Moves the clock to a minute when the schedule has been told, and waits until the runs are so. */
async function minute(world: World, at: number): Promise<void> {
  world.clock.advanceTo(START_MS + at * MINUTE);
  await new Promise((resolve) => setTimeout(resolve, 5));
}

const sees = (engine: WorkflowEngine, workflow: string, expected: [number, string][]) =>
  until(async () => {
    const runs = await runsOf(engine, workflow);
    return JSON.stringify(shown(runs)) === JSON.stringify(expected) ? runs : undefined;
  }).catch(async () => expect(shown(await runsOf(engine, workflow))).toEqual(expected));

const due = (engine: WorkflowEngine, workflow: string, at: number) =>
  schedule(engine, workflow, ({ dueMs }) => dueMs === START_MS + at * MINUTE);

/** What schedules by time promise over every store. */
export function scheduleTests(world: () => World): void {
  describe('schedules', () => timesTests(world));
  describe('schedules of new versions, and of times that were missed', () => changeTests(world));
  describe('schedules whose runs overlap', () => overlapTests(world));
  describe('schedules that are paused', () => pauseTests(world));
  describe('schedules that are filled back', () => backfillTests(world));
  describe('schedules over several processes and crashes', () => crashTests(world));
}

function timesTests(world: () => World): void {
  it('start a run at each due time, with the interval that it answers for', async () => {
    world().define('five', `schedule: { every: PT5M }\n${COUNT}`);
    const { engine } = await world().engine();
    await due(engine, 'five', 5);
    await minute(world(), 5);
    await sees(engine, 'five', [[5, 'completed']]);
    await due(engine, 'five', 10);
    await minute(world(), 10);
    await sees(engine, 'five', [
      [5, 'completed'],
      [10, 'completed'],
    ]);
    const [, second] = await runsOf(engine, 'five');
    expect(second).toMatchObject({
      startedAtMs: START_MS + 10 * MINUTE,
      idempotencyKey: 'schedule/2026-01-01T00:10:00.000Z',
      origin: { input: { previousAt: '2026-01-01T00:05:00.000Z', scheduledAt: '2026-01-01T00:10:00.000Z' } },
    });
  });

  it('after: the next run comes one duration after the end of the last, whatever its end was', async () => {
    world().define('after', `schedule: { after: PT5M }\n${ASK}`);
    const { engine } = await world().engine();
    await due(engine, 'after', 5);
    await minute(world(), 5);
    const [run] = (await sees(engine, 'after', [[5, 'waiting']])) as StoredRun[];
    await schedule(engine, 'after', ({ dueMs }) => dueMs === null);
    await minute(world(), 20);
    await engine.operations.cancel(run!.id);
    await due(engine, 'after', 25);
    await minute(world(), 25);
    await sees(engine, 'after', [
      [5, 'canceled'],
      [25, 'waiting'],
    ]);
  });
}

function changeTests(world: () => World): void {
  it('a new version with the same times goes on with them, one with others begins anew, one without has none', async () => {
    world().define('changing', `schedule: { every: PT5M }\n${COUNT}`);
    const { engine } = await world().engine();
    await due(engine, 'changing', 5);
    await minute(world(), 3);
    world().define('changing', `schedule: { every: PT5M }\n${COUNT} # again`, 2);
    await schedule(
      engine,
      'changing',
      ({ version, dueMs }) => version === 2 && dueMs === START_MS + 5 * MINUTE,
    );
    world().define('changing', `schedule: { cron: '*/2 * * * *' }\n${COUNT}`, 3);
    await due(engine, 'changing', 4);
    await minute(world(), 4);
    const [run] = (await sees(engine, 'changing', [[4, 'completed']])) as StoredRun[];
    expect(run!.version).toBe(3);
    world().define('changing', COUNT, 4);
    await until(async () => (await engine.schedules.list()).length === 0);
    await minute(world(), 60);
    expect(await runsOf(engine, 'changing')).toHaveLength(1);
    await expect(engine.schedules.get('changing')).rejects.toMatchObject({ code: 'workflow.not_scheduled' });
    // A process that has not seen the new version yet does not bring the old schedule back.
    await world()
      .fixture.open()
      .schedules.put([{ workflow: 'changing', version: 3, times: 'every PT5M UTC' }], 0);
    expect(await engine.schedules.list()).toEqual([]);
  });

  it.each([
    ['skip', []],
    ['last', [55]],
    ['all', [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55]],
  ])('times that passed while no process ran are made up for: %s', async (missed, expected) => {
    const { metadata, text } = every('skip', COUNT, missed);
    world().define('missed', text, 1, metadata);
    const one = await world().engine();
    await due(one.engine, 'missed', 5);
    await world().kill(one);
    await minute(world(), 57);
    const { engine } = await world().engine();
    await due(engine, 'missed', 60);
    await sees(
      engine,
      'missed',
      expected.map((at) => [at, 'completed']),
    );
  });
}

function overlapTests(world: () => World): void {
  async function twoTimes(overlap: string) {
    const { metadata, text } = every(overlap, GATED);
    world().define(overlap, text, 1, metadata);
    const { engine } = await world().engine();
    await due(engine, overlap, 5);
    await minute(world(), 5);
    await until(() => world().times('act:tick') === 1);
    await due(engine, overlap, 10);
    await minute(world(), 10);
    await due(engine, overlap, 15);
    return engine;
  }

  it('parallel: both run', async () => {
    const engine = await twoTimes('parallel');
    await until(() => world().times('act:tick') === 2);
    world().gate('tick').open();
    await sees(engine, 'parallel', [
      [5, 'completed'],
      [10, 'completed'],
    ]);
  });

  it('skip: the second is not run, and counted', async () => {
    const engine = await twoTimes('skip');
    await schedule(engine, 'skip', ({ skipped }) => skipped === 1);
    world().gate('tick').open();
    await sees(engine, 'skip', [[5, 'completed']]);
    await minute(world(), 15);
    await sees(engine, 'skip', [
      [5, 'completed'],
      [15, 'completed'],
    ]);
  });

  it('queue: the second runs when the first has ended', async () => {
    const engine = await twoTimes('queue');
    await schedule(engine, 'queue', ({ queued }) => queued.length === 1);
    expect(world().times('act:tick')).toBe(1);
    world().gate('tick').open();
    await sees(engine, 'queue', [
      [5, 'completed'],
      [10, 'completed'],
    ]);
  });

  it('cancel: the first is canceled, and then the second runs', async () => {
    const engine = await twoTimes('cancel');
    await until(() => world().aborted.length === 1);
    await until(() => world().times('act:tick') === 2);
    world().gate('tick').open();
    await sees(engine, 'cancel', [
      [5, 'canceled'],
      [10, 'completed'],
    ]);
  });
}

const note = (world: World, text: string) => [write(world.fixture.notes, text)];

function pauseTests(world: () => World): void {
  it('paused starts nothing; resumed goes on from then; each is recorded once, with its change', async () => {
    world().define('held', `schedule: { every: PT5M }\n${COUNT}`);
    const { engine } = await world().engine();
    await due(engine, 'held', 5);
    await engine.schedules.pause('held', false, note(world(), 'paused'));
    await engine.schedules.pause('held', false, note(world(), 'paused again'));
    expect(await engine.schedules.get('held')).toMatchObject({ paused: true });
    await minute(world(), 12);
    await engine.schedules.resume('held', note(world(), 'resumed'));
    await engine.schedules.resume('held', note(world(), 'resumed again'));
    await due(engine, 'held', 15);
    await minute(world(), 15);
    await sees(engine, 'held', [[15, 'completed']]);
    expect(await world().fixture.readNotes()).toEqual(['paused', 'resumed']);
  });
}

function backfillTests(world: () => World): void {
  it('a past range is run once each: what has run is left out, the rest follows one after the other', async () => {
    const { metadata, text } = every('skip', COUNT.replace('tick', `'\${ input.scheduledAt }'`));
    world().define('range', text, 1, metadata);
    const { engine } = await world().engine();
    await due(engine, 'range', 5);
    await minute(world(), 5);
    await sees(engine, 'range', [[5, 'completed']]);
    await minute(world(), 6);
    const range = { fromMs: START_MS - 10 * MINUTE, untilMs: START_MS + 5 * MINUTE + 1 };
    const first = await engine.schedules.backfill('range', range, ({ times }) =>
      note(world(), `filled ${times}`),
    );
    expect(first).toEqual({ times: 3, alreadyRun: 1 });
    await sees(engine, 'range', [
      [-10, 'completed'],
      [-5, 'completed'],
      [0, 'completed'],
      [5, 'completed'],
    ]);
    expect(world().done.map((each) => each.slice(-'00:05:00.000Z'.length, -':00.000Z'.length))).toEqual([
      '00:05',
      '23:50',
      '23:55',
      '00:00',
    ]);
    const again = await engine.schedules.backfill('range', range, () => note(world(), 'again'));
    expect(again).toEqual({ times: 0, alreadyRun: 4 });
    expect(await world().fixture.readNotes()).toEqual(['filled 3']);
  });

  it('a back-fill is paused with its schedule, and can be forgotten', async () => {
    const { metadata, text } = every('queue', GATED);
    world().define('stopped', text, 1, metadata);
    const { engine } = await world().engine();
    await due(engine, 'stopped', 5);
    const range = { fromMs: START_MS - 20 * MINUTE, untilMs: START_MS };
    await engine.schedules.backfill('stopped', range, () => []);
    await until(() => world().times('act:tick') === 1);
    await engine.schedules.pause('stopped', false, []);
    world().gate('tick').open();
    await sees(engine, 'stopped', [[-20, 'completed']]);
    expect((await engine.schedules.get('stopped')).queued).toHaveLength(3);
    await engine.schedules.pause('stopped', true, []);
    await engine.schedules.resume('stopped', []);
    expect(await engine.schedules.get('stopped')).toMatchObject({ queued: [], paused: false });
    await sees(engine, 'stopped', [[-20, 'completed']]);
  });

  it('a range in the future, one too long for a back-fill or for the queue, and a flow without a schedule are refused', async () => {
    world().define('bounded', `schedule: { every: PT5M }\n${COUNT}`);
    world().define('event', `schedule: { on: { one: { with: { type: t } } } }\n${COUNT}`);
    const { engine } = await world().engine('scheduleBackfillMax=20,scheduleQueuedMax=10');
    await due(engine, 'bounded', 5);
    const fill = (minutes: number, untilMs = START_MS, name = 'bounded') =>
      engine.schedules.backfill(name, { fromMs: START_MS - minutes * MINUTE, untilMs }, () => []);
    await expect(fill(5, START_MS + MINUTE)).rejects.toMatchObject({ code: 'request.invalid' });
    await expect(fill(5 * 21)).rejects.toMatchObject({ code: 'request.invalid' });
    await expect(fill(5 * 15)).rejects.toMatchObject({ code: 'request.overloaded' });
    await expect(fill(5, START_MS, 'event')).rejects.toMatchObject({ code: 'workflow.not_scheduled' });
    await expect(fill(5, START_MS, 'none')).rejects.toMatchObject({ code: 'workflow.not_found' });
  });
}

function crashTests(world: () => World): void {
  it('one due time is one run, however many processes look', async () => {
    world().define('many', `schedule: { every: PT5M }\n${COUNT}`);
    const engines = await Promise.all([world().engine(), world().engine(), world().engine()]);
    await due(engines[0]!.engine, 'many', 5);
    const expected: [number, string][] = [];
    for (let at = 5; at <= 50; at += 5) {
      await minute(world(), at);
      expected.push([at, 'completed']);
      await sees(engines[0]!.engine, 'many', expected);
      await due(engines[1]!.engine, 'many', at + 5);
    }
    expect(world().times('count:tick')).toBe(10);
  });

  it.each(['before', 'after'])(
    'a process that dies %s it moves a schedule on starts nothing twice',
    async (when) => {
      world().define('dies', `schedule: { every: PT5M }\n${COUNT}`);
      const one = await world().engine();
      await due(one.engine, 'dies', 5);
      one.line.cutAtChange = { made: when === 'after' };
      await minute(world(), 5);
      await until(() => one.line.cut);
      await world().kill(one);
      const { engine } = await world().engine();
      await sees(engine, 'dies', [[5, 'completed']]);
      await due(engine, 'dies', 10);
      expect(world().times('count:tick')).toBe(1);
    },
  );

  it('a run that was queued goes on when the process that held the first one has died', async () => {
    const { metadata, text } = every('queue', GATED);
    world().define('left', text, 1, metadata);
    const one = await world().engine();
    await due(one.engine, 'left', 5);
    await minute(world(), 5);
    await until(() => world().times('act:tick') === 1);
    await minute(world(), 10);
    await schedule(one.engine, 'left', ({ queued }) => queued.length === 1);
    await world().kill(one);
    world().gate('tick').open();
    const { engine } = await world().engine();
    await sees(engine, 'left', [
      [5, 'completed'],
      [10, 'completed'],
    ]);
  });

  it('a run that was started by the key of a due time is the run of that time', async () => {
    world().define('by-hand', `schedule: { every: PT5M }\n${COUNT}`);
    const { engine } = await world().engine();
    await due(engine, 'by-hand', 5);
    const idempotencyKey = 'schedule/2026-01-01T00:05:00.000Z';
    const { runId } = await engine.start({ workflow: 'by-hand', idempotencyKey });
    await reaches(engine, runId, 'completed');
    await minute(world(), 5);
    await due(engine, 'by-hand', 10);
    expect(await runsOf(engine, 'by-hand')).toHaveLength(1);
  });
}
