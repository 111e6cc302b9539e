import { describe, expect, it } from 'vitest';
import { answerable } from './review.ts';
import { approve, cem, refuse, useReviewsUnderTest, type Who } from './reviews-under-test.ts';
import type { Task } from './task-desk.ts';
import { ann, answerOf, bob, HOUR_MS, lea, NOW_MS } from './tasks-under-test.ts';

describe('reviews', () => {
  const world = useReviewsUnderTest();
  const { waiting, answer, signals, review } = world;

  describe('that ask for approvals', () => {
    it('ask as many people as the queue says, and end as soon as enough have approved', async () => {
      const { taskId } = await world.inbox.open({ queue: 'two', requester: 'Rita' });
      expect(await waiting()).toHaveLength(3);
      await answer(ann);
      expect(await signals()).toEqual([]);
      await answer(bob);
      expect(await signals()).toMatchObject([
        {
          result: approve,
          decidedBy: 'key_bob',
          review: {
            form: 'approvals',
            approved: true,
            reason: '2 of 3 approved, 2 were needed.',
            votes: [
              { by: 'key_ann', outcome: 'approve' },
              { by: 'key_bob', outcome: 'approve' },
            ],
          },
        },
      ]);
      expect(await waiting()).toEqual([]);
      expect(await review(taskId)).toMatchObject({ status: 'decided' });
      expect((await world.inbox.notes('decided')).map((text) => JSON.parse(text))).toMatchObject([
        { approved: true },
      ]);
    });

    it.each([
      [
        'two',
        [
          [ann, refuse],
          [bob, refuse],
        ],
        false,
        2,
      ],
      [
        'two',
        [
          [ann, refuse],
          [bob, approve],
          [cem, approve],
        ],
        true,
        3,
      ],
      [
        'two',
        [
          [ann, approve],
          [bob, refuse],
          [cem, refuse],
        ],
        false,
        3,
      ],
      [
        'strict',
        [
          [ann, approve],
          [bob, refuse],
        ],
        false,
        2,
      ],
      ['strict', [[ann, refuse]], false, 1],
      [
        'eyes',
        [
          [ann, approve],
          [bob, approve],
        ],
        true,
        2,
      ],
      [
        'eyes',
        [
          [ann, approve],
          [bob, refuse],
        ],
        false,
        2,
      ],
    ] as const)(
      'in %s end with the answer that can no longer be changed (%#)',
      async (queue, answers, approved, count) => {
        await world.inbox.open({ queue, requester: null });
        for (const [index, [by, result]] of answers.entries()) {
          expect(await signals()).toHaveLength(0);
          await answer(by, result);
          if (index === answers.length - 1) break;
        }
        const [signal] = await signals();
        expect(signal).toMatchObject({ result: approved ? approve : refuse, review: { approved } });
        expect(signal.review.votes).toHaveLength(count);
      },
    );

    it('count each person once, by key and by name, whatever they try', async () => {
      await world.inbox.open({ queue: 'two', requester: null });
      const [first, second] = (await waiting()) as [Task, Task, Task];
      await world.inbox.tasks.claim(first.id, ann);
      await expect(world.inbox.tasks.claim(second.id, ann)).rejects.toMatchObject({
        code: 'tasks.one_answer_each',
      });
      await world.inbox.tasks.complete(await answerOf(world.inbox.tasks, first.id, ann));
      const again = { ...ann, id: 'key_ann_2' };
      for (const by of [ann, again, { ...ann, id: 'key_3', name: 'ANN' }])
        await expect(
          world.inbox.tasks.complete(await answerOf(world.inbox.tasks, second.id, by)),
        ).rejects.toMatchObject({
          code: 'tasks.one_answer_each',
        });
      await world.inbox.tasks.claim(second.id, bob);
      await expect(world.inbox.tasks.handing.delegate(second.id, bob, ann.id)).rejects.toMatchObject({
        code: 'tasks.one_answer_each',
      });
      expect(await signals()).toEqual([]);
    });

    it('are shown to each as one, to nobody who may not answer', async () => {
      await world.inbox.open({ queue: 'two', requester: 'Cem' });
      const [, second] = await waiting();
      await world.inbox.tasks.claim(second!.id, ann);
      const shown = async (by: Who) => answerable(await waiting(), by).map(({ id }) => id);
      expect(await shown(ann)).toEqual([second!.id]);
      expect(await shown(bob)).toHaveLength(1);
      expect(await shown(cem)).toEqual([]);
      await answer(ann);
      expect(await shown(ann)).toEqual([]);
    });

    it('are not answered by who asked or who prepared what is shown, an admin neither', async () => {
      await world.inbox.open({ queue: 'eyes', requester: 'Ann', preparedBy: ['key_bob'] });
      for (const by of [ann, { ...ann, roles: ['admin'] }, bob])
        await expect(answer(by)).rejects.toMatchObject({ code: 'tasks.requester_excluded' });
      await answer(cem);
      await answer(lea);
      expect(await signals()).toMatchObject([{ review: { approved: true } }]);
    });

    it('are not asked for without saying who asks, and never with an outcome at the deadline that approves', async () => {
      await expect(world.inbox.open({ queue: 'two' })).rejects.toMatchObject({
        code: 'tasks.requester_missing',
      });
      for (const onDeadline of [approve, { decision: 'perhaps' }])
        await expect(world.inbox.open({ queue: 'two', requester: null, onDeadline })).rejects.toMatchObject({
          code: 'tasks.unsafe_outcome',
        });
    });

    it('are bound, each, to exactly what was shown; putting it right asks everybody again, but for who did', async () => {
      const { taskId } = await world.inbox.open({ queue: 'eyes', requester: null });
      await answer(ann);
      const [left] = await waiting();
      const { contextDigest } = left!;
      await expect(
        world.inbox.tasks.complete({ id: left!.id, by: bob, result: approve, contextDigest: 'sha256:0' }),
      ).rejects.toMatchObject({ code: 'tasks.context_changed' });
      const context = { customer: 'c-1', amount: 3_000 };
      await world.inbox.tasks.amend({ id: left!.id, by: lea, context, contextDigest });
      const asked = await waiting();
      expect(asked.map((task) => task.context)).toEqual([context, context]);
      expect(asked[0]!.contextDigest).not.toBe(contextDigest);
      // The approval of the former amount counts no more, and an answer that was under way is refused.
      await expect(
        world.inbox.tasks.complete({ id: left!.id, by: bob, result: approve, contextDigest }),
      ).rejects.toMatchObject({ code: 'tasks.not_open' });
      await answer(bob);
      expect(await signals()).toEqual([]);
      await expect(answer(lea)).rejects.toMatchObject({ code: 'tasks.requester_excluded' });
      await answer(ann);
      expect(await signals()).toMatchObject([
        { review: { approved: true, votes: [{ by: 'key_bob' }, { by: 'key_ann' }] } },
      ]);
      expect(await world.inbox.tasks.expire(taskId, NOW_MS + 2 * HOUR_MS, true)).toMatchObject({
        decidedBy: 'key_ann',
      });
    });

    it('are put right only where the queue says so, and only as shown', async () => {
      await world.inbox.open({ queue: 'two', requester: null });
      const [task] = await waiting();
      const change = { id: task!.id, by: lea, context: {}, contextDigest: task!.contextDigest };
      await expect(world.inbox.tasks.amend(change)).rejects.toMatchObject({ code: 'tasks.not_amendable' });
      await world.inbox.reset();
      await world.inbox.open({ queue: 'eyes', requester: null });
      const [other] = await waiting();
      await expect(
        world.inbox.tasks.amend({ ...change, id: other!.id, contextDigest: 'sha256:0' }),
      ).rejects.toMatchObject({
        code: 'tasks.context_changed',
      });
    });

    it('come to one decision when all answer at once', async () => {
      for (let round = 0; round < 8; round++) {
        const before = (await signals()).length;
        const { taskId } = await world.inbox.open({ queue: 'two', requester: null });
        const tasks = await waiting();
        const other = world.inbox.another();
        const outcomes = await Promise.allSettled(
          [ann, bob, cem].map(async (by, index) => {
            const through = index === 1 ? other : world.inbox.tasks;
            return await through.complete(
              await answerOf(world.inbox.tasks, tasks[index]!.id, by, round % 2 ? approve : refuse),
            );
          }),
        );
        expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThanOrEqual(2);
        expect((await signals()).slice(before)).toHaveLength(1);
        expect(await review(taskId)).toMatchObject({ status: 'decided' });
        expect(await waiting()).toEqual([]);
      }
    });
  });
});
