import { describe, expect, it } from 'vitest';
import { approve, cem, QUEUES, refuse, useReviewsUnderTest } from './reviews-under-test.ts';
import { ann, bob, HOUR_MS, lea, NOW_MS } from './tasks-under-test.ts';

describe('reviews', () => {
  const world = useReviewsUnderTest();
  const { waiting, answer, signals, review } = world;

  describe('by confidence', () => {
    const suggestion = approve;
    it.each([
      [0.99, 'auto', 'at least 0.95'],
      [0.95, 'auto', 'at least 0.95'],
      [0.9499, 'review', 'at least 0.7'],
      [0.2, 'double', 'under 0.7'],
      [undefined, 'double', 'no confidence'],
      [Number.NaN, 'double', 'no confidence'],
      [1.2, 'double', 'no confidence'],
    ])('%s goes to %s, with the reason', async (confidence, route, reason) => {
      const opened = await world.inbox.open({
        queue: 'bands',
        confidence,
        suggestion,
        case: 'not sampled 3',
      });
      expect(opened.routing).toMatchObject({ route, reason: expect.stringContaining(reason) });
      expect(opened.settled).toEqual(route === 'auto' ? suggestion : undefined);
      const people = { auto: opened.routing?.sampled ? 1 : 0, review: 1, double: 2 }[route];
      expect(await waiting()).toHaveLength(people!);
    });

    it.each([
      ['no suggestion', undefined],
      ['a suggestion that the form does not accept', { decision: 'perhaps' }],
    ])('nothing is automatic with %s', async (_, wrong) => {
      const opened = await world.inbox.open({ queue: 'bands', confidence: 1, suggestion: wrong as never });
      expect(opened).toMatchObject({ settled: undefined, routing: { route: 'review' } });
    });

    it('a share of the automatic ones goes to people afterwards, the same cases in every replay', async () => {
      const sampled = async () => {
        const chosen: string[] = [];
        for (let index = 0; index < 200; index++) {
          const key = `case ${index}`;
          const opened = world.inbox.tasks.open({
            queue: 'bands',
            title: key,
            context: {},
            suggestion,
            confidence: 0.99,
            case: key,
            runId: `run_${Math.random()}`,
            stepKey: 'ask',
          });
          expect(opened.settled).toEqual(suggestion);
          if (opened.routing!.sampled) chosen.push(key);
        }
        return chosen;
      };
      const first = await sampled();
      expect(first.length).toBeGreaterThan(70);
      expect(first.length).toBeLessThan(130);
      expect(await sampled()).toEqual(first);
      await world.inbox.define(QUEUES.bands.replace('seed: a', 'seed: b'));
      expect(await sampled()).not.toEqual(first);
      await world.inbox.define(QUEUES.bands);
    });

    it('a sampled one holds no run, has its deadline and hides the suggestion from who checks it', async () => {
      let opened = await world.inbox.open({ queue: 'bands', confidence: 1, suggestion, case: '0' });
      for (let index = 1; !opened.routing!.sampled; index++)
        opened = await world.inbox.open({ queue: 'bands', confidence: 1, suggestion, case: String(index) });
      const [task] = await waiting();
      expect(task).toMatchObject({
        suggestion: null,
        deadlineAt: NOW_MS + 2 * HOUR_MS,
        review: { form: 'sample', blind: true },
      });
      await answer(ann, refuse);
      expect(await signals()).toEqual([]);
      expect(world.inbox.told).toEqual([]);
      expect(await review(task!.id)).toMatchObject({ status: 'decided', decision: { result: refuse } });
    });
  });

  describe('by two who do not see each other', () => {
    const open = () => world.inbox.open({ queue: 'bands', confidence: 0.1, suggestion: refuse });

    it('end with the answer on which both agree, whatever else they wrote', async () => {
      const { taskId } = await open();
      for (const task of await waiting()) expect(task).toMatchObject({ suggestion: null, result: null });
      await answer(ann, { decision: 'approve', reason: 'known' });
      await answer(bob, { decision: 'approve', reason: 'small' });
      expect(await signals()).toMatchObject([
        { result: { decision: 'approve', reason: 'known' }, review: { form: 'double' } },
      ]);
      expect(await review(taskId)).toMatchObject({ status: 'decided' });
    });

    it('show nobody an answer before the other has come, nor in the list of what is done', async () => {
      const { taskId } = await open();
      await answer(ann);
      expect((await world.inbox.tasks.get(taskId)).result).toBeNull();
      const { items } = await world.inbox.tasks.list({ statuses: ['completed'], limit: 5 });
      expect(items.map(({ result }) => result)).toEqual([null]);
      await answer(bob);
      expect((await world.inbox.tasks.get(taskId)).result).toEqual(approve);
    });

    it('go to an adjudicator when they differ, who is neither of them and sees both', async () => {
      await open();
      await answer(ann, { decision: 'approve', reason: 'known' });
      await answer(bob, refuse);
      const [task, ...more] = await waiting();
      expect(more).toEqual([]);
      expect(task).toMatchObject({
        suggestion: null,
        review: { role: 'adjudicator', answers: [{ decision: 'approve', reason: 'known' }, refuse] },
      });
      await expect(answer(cem)).rejects.toMatchObject({ code: 'tasks.not_candidate' });
      await expect(answer({ ...ann, roles: ['lead'] })).rejects.toMatchObject({
        code: 'tasks.one_answer_each',
      });
      await answer(lea, refuse);
      expect(await signals()).toMatchObject([
        { result: refuse, decidedBy: 'key_lea', review: { votes: [{}, {}, { role: 'adjudicator' }] } },
      ]);
    });
  });
});
