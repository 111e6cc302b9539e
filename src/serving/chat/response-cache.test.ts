import { expect, it } from 'vitest';
import { ResponseCache } from './response-cache.ts';

const { signal } = new AbortController();

it('an answer that another call is computing is waited for, but not longer than the time that is given', async () => {
  const cache = new ResponseCache(1_000_000);
  const first = await cache.look('key', { ttlMs: 60_000, waitMs: 60_000 }, signal);
  const patient = cache.look('key', { ttlMs: 60_000, waitMs: 60_000 }, signal);
  expect(await cache.look('key', { ttlMs: 60_000, waitMs: 10 }, signal)).toBeUndefined();
  const answer = [{ id: 'a' }];
  (first as { leader: { settle(answer: object[]): void } }).leader.settle(answer);
  expect(await patient).toEqual({ answer });
});
