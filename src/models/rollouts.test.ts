import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Rollout } from './rollout.ts';
import type { NewRollout } from './rollouts.ts';
import { answered, BY, ProcessUnderTest, type Shared, share } from './rollouts-under-test.ts';

describe('rollouts', () => {
  let shared: Shared;
  let one: ProcessUnderTest;
  let other: ProcessUnderTest;
  let models = 0;
  let name: string;

  beforeAll(async () => {
    shared = await share();
  });
  afterAll(() => shared.database.close());
  afterEach(() => Promise.all([one.runner.stop(), other.runner.stop()]));

  /** A model of two versions whose champion is the first, and two processes that serve it. */
  const setUp = async (): Promise<void> => {
    name = `model-${++models}`;
    [one, other] = [new ProcessUnderTest(shared), new ProcessUnderTest(shared)];
    for (const text of ['first', 'second']) await one.register(name, text);
    await one.models.promote({ name, alias: 'champion', version: 1, by: BY });
    for (const each of [one, other]) {
      await each.models.reload();
      await each.runner.start();
    }
    shared.told.length = 0;
  };
  const start = (request: Partial<NewRollout> = {}): Promise<Rollout> =>
    one.rollouts.start({ model: name, challenger: 2, kind: 'canary', percent: 10, by: BY, ...request });
  const percents = () =>
    [one, other].map(({ splits }) => splits.find(({ model }) => model === name)?.percent);
  const statusOf = async ({ id }: Rollout) => (await one.rollouts.get(name, id)).status;
  const pass = (ms: number) => shared.clock.advanceTo(shared.clock.now() + ms);
  /** Both processes write what they counted, and judge. */
  const judge = async () => {
    for (const each of [one, other, one, other]) await each.runner.judge();
  };

  it('are followed by every process, once the challenger is warm there', async () => {
    await setUp();
    const rollout = await start();
    expect(one.prepared).toContain(`${name}/2`);
    await expect.poll(percents).toEqual([10, 10]);
    await other.rollouts.step(name, rollout.id, { percent: 40 }, BY);
    await expect.poll(percents).toEqual([40, 40]);
    await one.rollouts.rollBack(name, rollout.id, { by: BY, reason: 'enough' });
    await expect.poll(percents).toEqual([undefined, undefined]);
    expect(shared.told.map(({ action, by }) => [action, by.id])).toEqual([
      ['rollout-started', BY.id],
      ['rollout-step', BY.id],
      ['rollout-rolled-back', BY.id],
    ]);
    expect(shared.told.at(-1)).toMatchObject({ reason: 'enough', figures: { challenger: { requests: 0 } } });
  });

  it('give no traffic to a challenger that does not start in a process: its champion answers all', async () => {
    await setUp();
    other.unprepared = new Error('no memory');
    await start();
    await expect.poll(() => other.errors).toEqual([other.unprepared]);
    expect(percents()).toEqual([10, undefined]);
  });

  it('are one at a time for an alias, and the alias stays where it is', async () => {
    await setUp();
    const rollout = await start();
    expect((await start()).id).toBe(rollout.id); // asked again
    await expect(start({ percent: 20 })).rejects.toMatchObject({ code: 'models.rollout_active' });
    await expect(other.models.promote({ name, alias: 'champion', version: 2, by: BY })).rejects.toMatchObject(
      { code: 'models.rollout_active' },
    );
    await one.models.promote({ name, alias: 'beta', version: 1, by: BY });
    expect((await start({ alias: 'beta', percent: 20 })).id).not.toBe(rollout.id);
  });

  it('begin once, whichever of two processes is asked, and never beside a promotion', async () => {
    await setUp();
    const ask = (each: ProcessUnderTest) =>
      each.rollouts.start({ model: name, challenger: 2, kind: 'canary', percent: 10, by: BY });
    const begun = await Promise.all([ask(one), ask(other)]);
    expect(begun[0].id).toBe(begun[1].id);
    await one.rollouts.rollBack(name, begun[0].id, { by: BY });
    const outcomes = await Promise.allSettled([
      ask(one),
      other.models.promote({ name, alias: 'champion', version: 2, by: BY }),
    ]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('move the alias with their end when they are promoted, in every process', async () => {
    await setUp();
    const rollout = await start();
    expect(await other.rollouts.promote(name, rollout.id, { by: BY })).toMatchObject({ status: 'promoted' });
    expect(await one.rollouts.promote(name, rollout.id, { by: BY })).toMatchObject({ status: 'promoted' }); // asked again
    await expect.poll(percents).toEqual([undefined, undefined]);
    for (const each of [one, other]) expect(each.models.resolve(name).version).toBe(2);
    await expect(one.rollouts.rollBack(name, rollout.id, { by: BY })).rejects.toMatchObject({
      code: 'models.rollout_ended',
    });
    expect(shared.told.map(({ action }) => action)).toEqual([
      'rollout-started',
      'model.promoted',
      'rollout-promoted',
    ]);
  });

  it.each([
    ['errors', {}, answered(100, 5), answered(100, 5, 9), /9\.0 % of 100 requests failed/],
    ['latency', { guards: { samplesMin: 25 } }, answered(100, 5), answered(100, 40), /p95 is .* ms/],
    [
      'disagreement',
      { guards: { disagreementMax: 0.1 } },
      answered(100, 5),
      { ...answered(100, 5), compared: 60, agreed: 48 },
      /disagree on 20\.0 % of 60 rows/,
    ],
  ])(
    'are rolled back by themselves for %s, by what all processes counted',
    async (guard, plan, champion, challenger, reason) => {
      await setUp();
      const rollout = await start(plan);
      const part = (share: number) =>
        Object.fromEntries(
          Object.entries(challenger).map(([key, value]) => [
            key,
            typeof value === 'number' ? value * share : value,
          ]),
        );
      await expect.poll(percents).toEqual([10, 10]);
      one.count(rollout.id, champion, part(0.4));
      await judge();
      expect(await statusOf(rollout)).toBe('running'); // too few as yet
      other.count(rollout.id, {}, part(0.6));
      await judge();
      expect(await one.rollouts.get(name, rollout.id)).toMatchObject({
        status: 'rolled-back',
        endedBy: { kind: 'system' },
        reason: expect.stringMatching(reason),
        figures: { challenger: { requests: 100 } },
      });
      await expect.poll(percents).toEqual([undefined, undefined]);
      expect(shared.told.map(({ action }) => action)).toEqual(['rollout-started', 'rollout-rolled-back']);
      expect(shared.told.at(-1)).toMatchObject({ reason: expect.stringContaining(`${guard}: `) });
      expect([...one.errors, ...other.errors]).toEqual([]);
    },
  );

  it('are not rolled back for what the champion fails at as well, for little, for long ago, or for noise in fast answers', async () => {
    await setUp();
    const rollout = await start({ guards: { windowSeconds: 60 } });
    const cases: [ReturnType<typeof answered>, ReturnType<typeof answered>][] = [
      [answered(100, 5, 20), answered(100, 5, 20)],
      [answered(100, 5), answered(49, 5, 49)],
      [answered(100, 0.2), answered(100, 1)],
    ];
    for (const [champion, challenger] of cases) {
      one.count(rollout.id, champion, challenger);
      await judge();
      expect(await statusOf(rollout)).toBe('running');
      pass(70_000);
    }
    const { figures, recent } = await one.rollouts.report(await one.rollouts.get(name, rollout.id));
    expect(figures.challenger).toMatchObject({ requests: 249, errors: 69 });
    expect(recent.challenger).toMatchObject({ requests: 0, errorRate: null });
  });

  it('go through the steps of a schedule when the time is over and the guards could have spoken, and promote', async () => {
    await setUp();
    const steps = [
      { percent: 5, waitSeconds: 60 },
      { percent: 50, waitSeconds: 60 },
    ];
    const rollout = await start({ percent: undefined, steps, thenPromote: true });
    await expect.poll(percents).toEqual([5, 5]);
    one.count(rollout.id, answered(900, 5), answered(49, 5));
    pass(61_000);
    await judge();
    expect(percents()).toEqual([5, 5]); // too few requests
    other.count(rollout.id, answered(900, 5), answered(10, 5));
    await judge();
    await expect.poll(percents).toEqual([50, 50]);
    await one.rollouts.pause(name, rollout.id, BY);
    one.count(rollout.id, answered(500, 5), answered(500, 5));
    pass(61_000);
    await judge();
    expect(await statusOf(rollout)).toBe('paused');
    expect(percents()).toEqual([50, 50]);
    await other.rollouts.resume(name, rollout.id, BY);
    pass(61_000);
    await expect.poll(async () => judge().then(() => statusOf(rollout))).toBe('promoted');
    await expect.poll(() => one.models.resolve(name).version).toBe(2);
    expect(shared.told.map(({ action, by }) => `${action} ${by.id}`)).toEqual([
      `rollout-started ${BY.id}`,
      'rollout-step aios',
      `rollout-paused ${BY.id}`,
      `rollout-resumed ${BY.id}`,
      'model.promoted aios',
      'rollout-promoted aios',
    ]);
  });

  it('take the outcome of each key of an A/B test once, and take a challenger that is worse back', async () => {
    await setUp();
    const rollout = await start({
      kind: 'ab',
      percent: undefined,
      outcome: { name: 'accepted', effect: 0.1 },
    });
    const report = (arm: string, from: number, to: number, ones: number) =>
      Array.from({ length: to - from }, (_, i) => ({ key: `${arm} ${from + i}`, value: i < ones ? 1 : 0 }));
    const first = [...report('old', 0, 200, 100), ...report('new', 0, 200, 100)];
    expect(await one.rollouts.reportOutcomes(name, rollout.id, [...first, ...first])).toBe(400);
    expect(await other.rollouts.reportOutcomes(name, rollout.id, first)).toBe(0);
    await judge();
    expect(await one.rollouts.report(rollout)).toMatchObject({
      test: {
        championMean: 0.5,
        challengerMean: 0.5,
        samples: { champion: 200, challenger: 200 },
        pValue: 1,
      },
    });
    await other.rollouts.reportOutcomes(name, rollout.id, [
      ...report('old', 200, 600, 240),
      ...report('new', 200, 600, 100),
    ]);
    await judge();
    expect(await one.rollouts.get(name, rollout.id)).toMatchObject({
      status: 'rolled-back',
      reason: expect.stringContaining('outcome: accepted differs by -0.2'),
      conclusion: { verdict: 'worse', samples: { champion: 600 } },
    });
    expect(shared.told.map(({ action }) => action)).toEqual([
      'rollout-started',
      'rollout-concluded',
      'rollout-rolled-back',
    ]);
  });

  it('take a challenger back that was found worse by a process which ended before it did so', async () => {
    await setUp();
    const rollout = await start({
      kind: 'ab',
      percent: undefined,
      outcome: { name: 'accepted', effect: 0.1 },
    });
    const outcomes = Array.from({ length: 800 }, (_, i) => ({
      key: `${i % 2 ? 'old' : 'new'} ${i}`,
      value: i % 2 && i % 8 !== 7 ? 1 : 0,
    }));
    await one.rollouts.reportOutcomes(name, rollout.id, outcomes);
    const rollBack = vi.spyOn(one.rollouts, 'rollBack').mockRejectedValue(new Error('killed'));
    await one.runner.judge();
    expect(rollBack).toHaveBeenCalledOnce();
    expect(await one.rollouts.get(name, rollout.id)).toMatchObject({
      status: 'running',
      conclusion: { verdict: 'worse' },
    });
    await other.runner.follow();
    await other.runner.judge();
    expect(await one.rollouts.get(name, rollout.id)).toMatchObject({
      status: 'rolled-back',
      reason: expect.stringContaining('outcome: accepted differs by -0.7'),
    });
  });

  it('leave a challenger that is better to be promoted', async () => {
    await setUp();
    const rollout = await start({
      kind: 'ab',
      percent: undefined,
      outcome: { name: 'minutes', higherIsBetter: false, effect: 1 },
    });
    const outcomes = ['old', 'new'].flatMap((arm, i) =>
      Array.from({ length: 300 }, (_, n) => ({ key: `${arm} ${n}`, value: 9 - 2 * i + (n % 3) })),
    );
    await one.rollouts.reportOutcomes(name, rollout.id, outcomes);
    await judge();
    const { status, conclusion } = await one.rollouts.get(name, rollout.id);
    expect([status, conclusion?.verdict]).toEqual(['running', 'better']);
    await judge();
    expect(shared.told.map(({ action }) => action)).toEqual(['rollout-started', 'rollout-concluded']);
  });

  it.each<[Partial<NewRollout>, string]>([
    [{ kind: 'shadow' }, '/steps'],
    [{ kind: 'ab' }, '/outcome'],
    [{ steps: [{ percent: 5 }] }, '/percent'],
    [{ percent: undefined, steps: [{ percent: 5 }, { percent: 5 }] }, '/steps/1/percent'],
    [{ percent: undefined, steps: [{ percent: 5 }], thenPromote: true }, '/steps/0/waitSeconds'],
    [{ outcome: { name: 'x' } }, '/outcome'],
  ])('refuse a plan that does not fit: %j', async (request, path) => {
    await setUp();
    await expect(start(request)).rejects.toMatchObject({
      code: 'models.rollout_invalid',
      issues: [{ path }],
    });
  });

  it('refuse a challenger that the calls of the champion do not fit, a shadow too, unless somebody says that they change with it', async () => {
    await setUp();
    one.tensors = { ...one.tensors, inputs: [{ name: 'z', datatype: 'FP32', shape: [-1, 1] }] };
    const challenger = await one.register(name, 'of another form');
    for (const kind of ['canary', 'shadow'] as const)
      await expect(start({ challenger, kind, percent: undefined })).rejects.toMatchObject({
        code: 'models.signature_changed',
        issues: [{ path: '/inputs/z' }, { path: '/inputs/x' }],
      });
    const { id } = await start({ challenger, force: true });
    expect((await one.rollouts.get(name, id)).isForced).toBe(true);
    await other.rollouts.promote(name, id, { by: BY });
    expect(other.models.get(name).aliases).toEqual({ champion: challenger });
    expect(shared.told.at(-1)).toMatchObject({ action: 'rollout-promoted' });
    expect(shared.told).toContainEqual(expect.objectContaining({ action: 'model.promoted', forced: true }));
    expect((await start({ challenger: 2, force: true })).isForced).toBe(true); // back to what they send now is a change, too
  });

  it('refuse the version that the alias means, one that is not there, and a rollout that is not there', async () => {
    await setUp();
    await expect(start({ challenger: 1 })).rejects.toMatchObject({ code: 'models.rollout_invalid' });
    await expect(start({ challenger: 9 })).rejects.toMatchObject({ code: 'models.unknown_version' });
    await expect(start({ alias: 'none' })).rejects.toMatchObject({ code: 'models.rollout_invalid' });
    await expect(one.rollouts.get(name, 'rol_0')).rejects.toMatchObject({ code: 'models.no_rollout' });
  });
});
