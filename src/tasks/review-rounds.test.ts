import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { approve, openReviewsUnderTest, QUEUES, refuse } from './reviews-under-test.ts';
import { ann, bob, HOUR_MS, lea } from './tasks-under-test.ts';

const LADDER = 'escalations: [ { after: PT30M, priority: 90 }, { after: PT1H, toRoles: [operator] } ]\n';

describe('reviews', () => {
  let world: Awaited<ReturnType<typeof openReviewsUnderTest>>;
  let inbox: (typeof world)['inbox'];
  beforeAll(async () => {
    world = await openReviewsUnderTest();
    inbox = world.inbox;
    await inbox.define(QUEUES.bands.replace('name: bands', 'name: pressing') + LADDER);
    await inbox.define(QUEUES.eyes.replace('name: eyes', 'name: seen') + LADDER);
  });
  beforeEach(() => inbox.reset());
  afterAll(() => inbox.database.close());
  const levels = async () =>
    (await world.waiting()).map(({ escalationLevel, priority }) => [escalationLevel, priority]);

  it('climb the ladder of their queue in later rounds too: what an adjudicator is asked, from its own begin', async () => {
    await inbox.open({ queue: 'pressing', confidence: 0.1 });
    inbox.clock.advanceBy(HOUR_MS / 4);
    await world.answer(ann, approve);
    await world.answer(bob, refuse);
    inbox.clock.advanceBy(HOUR_MS / 4);
    await inbox.tasks.escalations.climb();
    expect(await levels()).toEqual([[0, 50]]);
    inbox.clock.advanceBy(HOUR_MS / 4);
    await inbox.tasks.escalations.climb();
    expect(await levels()).toEqual([[1, 90]]);
    inbox.clock.advanceBy(HOUR_MS / 2);
    await inbox.tasks.escalations.climb();
    expect(await world.waiting()).toMatchObject([{ escalationLevel: 2, addedRoles: ['operator'] }]);
  });

  it('climb it when what is shown was put right and all are asked again', async () => {
    await inbox.open({ queue: 'seen', requester: null });
    const [task] = await world.waiting();
    inbox.clock.advanceBy(HOUR_MS / 4);
    const { contextDigest } = task!;
    await inbox.tasks.amend({ id: task!.id, by: lea, context: { right: true }, contextDigest });
    inbox.clock.advanceBy(HOUR_MS / 2);
    await inbox.tasks.escalations.climb();
    expect(await levels()).toEqual([
      [1, 90],
      [1, 90],
    ]);
  });

  it('list nobody as a candidate whom their rules exclude', async () => {
    await inbox.open({ queue: 'eyes', requester: 'Ann', preparedBy: ['key_bob'] });
    const [first, second] = await world.waiting();
    const named = async (id: string) => (await inbox.tasks.handing.candidates(id)).map(({ name }) => name);
    expect(await named(first!.id)).toEqual(['Cem', 'Lea', 'Olga']);
    await inbox.tasks.claim(first!.id, lea);
    expect(await named(second!.id)).toEqual(['Cem', 'Olga']);
  });

  it('of an adjudication list those with the role for it', async () => {
    await inbox.open({ queue: 'bands', confidence: 0.1 });
    await world.answer(ann, approve);
    await world.answer(bob, refuse);
    const [task] = await world.waiting();
    expect((await inbox.tasks.handing.candidates(task!.id)).map(({ name }) => name)).toEqual(['Lea']);
  });

  it('end a sample that nobody looked at in time; one that was looked at stands', async () => {
    const sample = async (from: number) => {
      for (let index = from; ; index++) {
        const open = { queue: 'bands', confidence: 1, suggestion: approve, case: `c${index}` };
        const { routing, taskId } = await inbox.open({ ...open, stepKey: `s${index}` });
        if (routing!.sampled) return taskId;
      }
    };
    const seen = await sample(0);
    await world.answer(ann);
    const left = await sample(100);
    inbox.clock.advanceBy(2 * HOUR_MS - 1);
    await inbox.tasks.escalations.expireSamples();
    expect(await world.waiting()).toHaveLength(1);
    inbox.clock.advanceBy(1);
    await Promise.all([inbox.tasks.escalations.expireSamples(), inbox.another().escalations.expireSamples()]);
    expect(await world.waiting()).toEqual([]);
    expect([await world.review(seen), await world.review(left)]).toMatchObject([
      { status: 'decided' },
      { status: 'expired' },
    ]);
    expect(await world.signals()).toEqual([]);
  });
});
