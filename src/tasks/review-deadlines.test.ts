import { describe, expect, it } from 'vitest';
import { approve, refuse, useReviewsUnderTest } from './reviews-under-test.ts';
import { ann, answerOf, bob, HOUR_MS, lea, NOW_MS } from './tasks-under-test.ts';

describe('reviews', () => {
  const world = useReviewsUnderTest();
  const { waiting, answer, signals, review } = world;

  describe('without an answer in time are a refusal', () => {
    it.each([
      ['approvals, nobody', { queue: 'two', requester: null }, []],
      ['approvals, one of two', { queue: 'two', requester: null }, [ann]],
      ['four eyes, two of four', { queue: 'eyes', requester: null }, [ann]],
      ['a review', { queue: 'bands', confidence: 0.8 }, []],
      ['no confidence', { queue: 'bands' }, []],
      ['a double review, nobody', { queue: 'bands', confidence: 0.1 }, []],
      ['a double review, one of two', { queue: 'bands', confidence: 0.1 }, [ann]],
      ['an adjudication', { queue: 'bands', confidence: 0.1 }, [ann, bob]],
    ])('%s', async (name, request, people) => {
      const opened = await world.inbox.open(request);
      for (const by of people) await answer(by, name === 'an adjudication' && by === bob ? refuse : approve);
      expect(opened).toMatchObject({
        deadlineAtMs: NOW_MS + 2 * HOUR_MS,
        onDeadline: refuse,
        settled: undefined,
      });
      const left = await waiting();
      expect(left.length).toBeGreaterThan(0);
      world.inbox.clock.advanceBy(2 * HOUR_MS);
      expect(
        await world.inbox.tasks.expire(opened.taskId, NOW_MS + 2 * HOUR_MS, opened.reviewed),
      ).toBeUndefined();
      expect(await waiting()).toEqual([]);
      for (const { id } of left)
        await expect(
          world.inbox.tasks.complete(await answerOf(world.inbox.tasks, id, lea)),
        ).rejects.toMatchObject({
          code: 'tasks.not_open',
        });
      expect(await signals()).toEqual([]);
    });

    it('and so is one that is withdrawn: its tasks close with it', async () => {
      const opened = await world.inbox.open({ queue: 'two', requester: null });
      await answer(ann);
      await world.inbox.database.commit.commit([
        world.inbox.tasks.close(opened.taskId, 'canceled', NOW_MS, true),
      ]);
      expect(await waiting()).toEqual([]);
      expect(await review(opened.taskId)).toMatchObject({ status: 'canceled', decision: null });
    });

    it('but a decision that came before the deadline stands', async () => {
      for (let round = 0; round < 6; round++) {
        await world.inbox.reset();
        const { taskId } = await world.inbox.open({ queue: 'eyes', requester: null });
        await answer(ann);
        const [left] = await waiting();
        const last = await answerOf(world.inbox.tasks, left!.id, bob);
        const [vote, expiry] = await Promise.allSettled([
          world.inbox.tasks.complete(last),
          world.inbox.another().expire(taskId, NOW_MS + 2 * HOUR_MS, true),
        ]);
        const decided = (await review(taskId))!.status === 'decided';
        expect(vote.status).toBe(decided ? 'fulfilled' : 'rejected');
        expect(expiry).toMatchObject({
          value: decided ? { result: approve, decidedBy: 'key_bob' } : undefined,
        });
        expect(await signals()).toHaveLength(decided ? 1 : 0);
      }
    });
  });
});
