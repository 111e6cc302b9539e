import { expect, it } from 'vitest';
import { reaches, until, type World } from './engine-conformance-world.ts';

const BOOKING = `
do:
  - outer:
      try:
        - flight: { call: act:1@default, with: { name: flight } }
        - inner:
            try:
              - hotel: { call: act:1@default, with: { name: hotel } }
              - stand: STAND
              - car: { call: act:1@default, with: { name: car } }
            catch:
              errors: { with: { type: canceled } }
              as: why
              do: [ { undoHotel: { call: act:1@default, with: { name: 'undo hotel \${ string(why.status) }', gate: undo } } } ]
        - never: { call: act:1@default, with: { name: never } }
      catch:
        when: error.status == 499
        do: [ { undoFlight: { call: act:1@default, with: { name: undo flight } } } ]
  - after: { call: act:1@default, with: { name: after } }`;

const undone = (world: World) => world.done.filter((each) => each.startsWith('act:undo'));

export function cleanUpTests(world: () => World): void {
  it.each([
    ['a wait', '{ call: ask:1@default }'],
    ['a sleep in memory', '{ wait: PT0.9S }'],
    ['an effect', '{ call: act:1@default, with: { name: stuck, gate: never } }'],
    ['a time limit', '{ wait: P1D, timeout: { after: P2D } }'],
    [
      'parallel branches',
      '{ fork: { branches: [ { one: { call: ask:1@default } }, { two: { wait: P1D } } ] } }',
    ],
    [
      'competing branches',
      '{ fork: { compete: true, branches: [ { one: { call: ask:1@default } }, { two: { wait: P1D } } ] } }',
    ],
    [
      'a retry with a catch for every error',
      '{ try: [ { stuck: { call: act:1@default, with: { name: stuck, gate: never } } } ], catch: { retry: { delay: PT1S, limit: { attempt: { count: 3 } } }, do: [ { no: { call: act:1@default, with: { name: undo nothing } } } ] } }',
    ],
  ])(
    'runs the handlers of cancellation, from the inside out, when the run is canceled in %s',
    async (_, stand) => {
      world().define('booking', BOOKING.replace('STAND', stand));
      world().gate('undo').open();
      const { engine } = await world().engine();
      const { runId } = await engine.start({ workflow: 'booking' });
      await until(
        async () => world().times('act:hotel') === 1 && (await engine.runs.get(runId)).steps.length > 1,
      );
      if (stand.includes('stuck')) await until(() => world().times('act:stuck') === 1);
      await engine.operations.cancel(runId);
      const ended = await reaches(engine, runId, 'canceled');
      expect(ended.result).toMatchObject({ error: { code: 'workflow.canceled', status: 499 } });
      expect(undone(world())).toEqual(['act:undo hotel 499', 'act:undo flight']);
      expect(['act:car', 'act:never', 'act:after'].map((what) => world().times(what))).toEqual([0, 0, 0]);
    },
  );
  cleanUpFaultTests(world);
}

function cleanUpFaultTests(world: () => World): void {
  it('is done in the middle of a loop that waits for nothing', async () => {
    const loop = '{ do: [ { round: { set: { n: 1 }, then: round } } ] }';
    world().define('booking', BOOKING.replace('STAND', loop));
    world().gate('undo').open();
    const { engine } = await world().engine('runTurnMs=1,runStepsMax=100000000');
    const { runId } = await engine.start({ workflow: 'booking' });
    await until(() => world().times('act:hotel') === 1);
    await engine.operations.cancel(runId);
    await reaches(engine, runId, 'canceled');
    expect(undone(world())).toEqual(['act:undo hotel 499', 'act:undo flight']);
  });

  it('goes on with the clean-up after a crash, and repeats nothing of it that was recorded', async () => {
    world().define('booking', BOOKING.replace('STAND', '{ call: ask:1@default }'));
    const one = await world().engine();
    const { runId } = await one.engine.run({ workflow: 'booking' }, 5_000);
    await one.engine.operations.cancel(runId);
    await until(() => undone(world()).length === 1);
    await world().kill(one);
    world().gate('undo').open();
    const two = await world().engine();
    await reaches(two.engine, runId, 'canceled');
    expect(undone(world())).toEqual(['act:undo hotel 499', 'act:undo hotel 499', 'act:undo flight']);
    expect(world().effectKeys.filter(({ name }) => name.startsWith('undo hotel'))).toEqual(
      [0, 1].map(() => ({ name: 'undo hotel 499', key: `${runId}/outer/inner^catch/undoHotel` })),
    );
    expect([world().times('act:flight'), world().times('act:hotel')]).toEqual([1, 1]);
    expect((await world().fixture.readNotes()).filter((note) => note.startsWith('closed:'))).toEqual([
      'closed:outer/inner/stand',
    ]);
  });

  it('ends at once when it is canceled a second time while it cleans up', async () => {
    world().define('booking', BOOKING.replace('STAND', '{ call: ask:1@default }'));
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'booking' }, 5_000);
    await engine.operations.cancel(runId);
    await until(() => undone(world()).length === 1);
    await engine.operations.cancel(runId);
    await reaches(engine, runId, 'canceled');
    expect(undone(world())).toEqual(['act:undo hotel 499']);
  });

  it('runs the other handlers when one fails, and ends as failed with that', async () => {
    world().define(
      'booking',
      BOOKING.replace('STAND', '{ call: ask:1@default }').replace('gate: undo', 'fail: 9'),
    );
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'booking' }, 5_000);
    await engine.operations.cancel(runId);
    expect(await reaches(engine, runId, 'failed')).toMatchObject({
      result: {
        error: { code: 'request.timeout', instance: '/do/0/outer/try/1/inner/catch/do/0/undoHotel' },
      },
    });
    expect(undone(world())).toEqual(['act:undo hotel 499', 'act:undo flight']);
  });
}
