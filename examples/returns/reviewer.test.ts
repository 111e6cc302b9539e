import { expect, it } from 'vitest';
import { ManualClock } from '../../src/kernel/clock.ts';
import { SimulatedReviewers } from './reviewer.ts';

const HOUR_MS = 3_600_000;
const CASES = Array.from({ length: 400 }, (_, index) => `return-${index}`);

/** What simulated people answer to the cases, when their tasks come up in this order under these ids. */
async function answers(order: readonly string[], seed: number): Promise<Map<string, unknown>> {
  const clock = new ManualClock(HOUR_MS);
  const given = new Map<string, unknown>();
  const returnOf = new Map(order.map((returnId, index) => [`tsk_${index}`, returnId]));
  const request = async (method: string, path: string, { body }: { body?: unknown } = {}) => {
    const [, id = '', action] = /tasks\/(\w+)\/?(\w*)/.exec(path) ?? [];
    const returnId = returnOf.get(id)!;
    if (action === 'complete') given.set(returnId, body);
    const number = Number(returnId.slice('return-'.length));
    const context = { returnId, bought: number % 3, quantity: 1, stillHeld: 1 };
    return { method, context, contextDigest: returnId, createdAt: new Date(HOUR_MS).toISOString() };
  };
  const reviewers = new SimulatedReviewers({ request: request as never }, clock, seed);
  for (const id of returnOf.keys()) reviewers.opened(id);
  reviewers.opened('tsk_0'); // told again, it is one case all the same
  for (let hour = 0; hour < 60; hour++) {
    clock.advanceBy(HOUR_MS);
    await reviewers.answerDue();
  }
  expect(reviewers.answered + reviewers.forgotten).toBe(CASES.length);
  expect(reviewers.forgotten).toBeGreaterThan(0);
  return given;
}

it('simulated people answer a case the same in whatever order tasks come up, and otherwise with another seed', async () => {
  const forward = await answers(CASES, 1);
  expect(await answers(CASES.toReversed(), 1)).toEqual(forward);
  expect(await answers(CASES, 2)).not.toEqual(forward);
  const outcomes = [...forward.values()].map(
    (body) => (body as { result: { outcome: string } }).result.outcome,
  );
  expect(new Set(outcomes)).toEqual(new Set(['refund', 'refuse']));
});
