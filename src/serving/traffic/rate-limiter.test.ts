import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { Quota } from '../../kernel/quota.ts';
import { RateLimiter } from './rate-limiter.ts';
import { servingUnderTest } from './traffic-under-test.ts';

function takes(
  limiter: RateLimiter,
  key: string,
  options: { perSecond: number; burst?: number },
  atMs: number,
) {
  try {
    limiter.take(key, options, atMs);
    return true;
  } catch {
    return false;
  }
}

describe('a rate limit', () => {
  it('lets no more than a burst and its rate through in any stretch of any history, and never refuses who keeps to it', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 200 });
    const rates = fc.record({
      perSecond: fc.integer({ min: 1, max: 50 }),
      burst: fc.integer({ min: 1, max: 10 }),
    });
    fc.assert(
      fc.property(gaps, rates, (steps, options) => {
        const limiter = new RateLimiter('risk', 10);
        let atMs = 1_000;
        const taken: number[] = [];
        for (const step of steps) {
          atMs += step;
          if (takes(limiter, 'k', options, atMs)) taken.push(atMs);
          else {
            // Refused only when a burst was taken in the time that it needs to come back.
            const since = atMs - (1000 * options.burst) / options.perSecond;
            expect(taken.filter((at) => at > since).length).toBeGreaterThan(0);
          }
        }
        for (const [from, first] of taken.entries()) {
          for (let to = from; to < taken.length; to++) {
            const allowed = options.burst + ((taken[to]! - first) * options.perSecond) / 1000;
            expect(to - from + 1).toBeLessThanOrEqual(allowed + 1e-6);
          }
        }
        const slow = new RateLimiter('risk', 10);
        for (let i = 0; i < 50; i++)
          expect(takes(slow, 'k', options, 1_000 + (i * 1000) / options.perSecond)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('says when the next call may come, and that call is let through', () => {
    const limiter = new RateLimiter('risk', 10);
    const options = { perSecond: 2, burst: 1 };
    limiter.take('k', options, 1_000);
    expect(() => limiter.take('k', options, 1_100)).toThrow(
      expect.objectContaining({
        code: 'serving.rate_limited',
        extensions: expect.objectContaining({ limitName: 'rateLimit', limit: 2, retryAfterMs: 400 }),
      }),
    );
    expect(takes(limiter, 'k', options, 1_500)).toBe(true);
    expect(limiter.refused).toBe(1);
  });

  it('says what is left with each call, taken and refused', () => {
    const limiter = new RateLimiter('risk', 10);
    const options = { perSecond: 2, burst: 3 };
    const shared = { name: 'requests', unit: 'requests', limit: 3, windowMs: 1_500 };
    expect(limiter.take('k', options, 1_000)).toEqual({ ...shared, remaining: 2, resetMs: 500 });
    expect(limiter.take('k', options, 1_000)).toEqual({ ...shared, remaining: 1, resetMs: 1_000 });
    expect(limiter.take('k', options, 1_250)).toEqual({ ...shared, remaining: 0, resetMs: 1_250 });
    expect(() => limiter.take('k', options, 1_300)).toThrow(
      expect.objectContaining({
        extensions: expect.objectContaining({ quota: { ...shared, remaining: 0, resetMs: 1_200 } }),
      }),
    );
    expect(limiter.take('k', options, 9_000)).toEqual({ ...shared, remaining: 2, resetMs: 500 });
    expect(limiter.take('plain', { perSecond: 1.5 }, 0)).toMatchObject({ limit: 1, remaining: 0 });
  });

  it('counts each key for itself, and takes no more memory than its number of keys', () => {
    const limiter = new RateLimiter('risk', 3);
    const options = { perSecond: 1, burst: 1 };
    for (const key of ['a', 'b', 'c']) expect(takes(limiter, key, options, 1_000)).toBe(true);
    expect(takes(limiter, 'd', options, 1_000)).toBe(true);
    expect(['d', 'c', 'b'].map((key) => takes(limiter, key, options, 1_000))).toEqual([false, false, false]);
    expect(takes(limiter, 'a', options, 1_000)).toBe(true);
  });

  it('holds for a key over all versions of a model, and not for AIOS itself', async () => {
    const options = { rateLimit: { perSecond: 0.001, burst: 2 } };
    const { serving } = servingUnderTest({ 'risk/1': { options }, 'risk/2': { options } });
    const call = (id: string, ref: number) => {
      let left: number | undefined;
      const onQuota = ({ remaining }: Quota) => {
        left = remaining;
      };
      return serving
        .score({ model: 'risk', ref, features: { a: 2, b: 2 }, caller: { kind: 'key', id }, onQuota })
        .then(({ version }) => [version, left])
        .catch(({ code }) => code);
    };
    expect([await call('k1', 1), await call('k1', 2), await call('k1', 1), await call('k2', 1)]).toEqual([
      [1, 1],
      [2, 0],
      'serving.rate_limited',
      [1, 1],
    ]);
    const told = vi.fn();
    for (let i = 0; i < 5; i++)
      await serving.score({ model: 'risk', features: { a: 2, b: 2 }, onQuota: told });
    expect(told).not.toHaveBeenCalled();
    expect(serving.statistics()['risk/1']!.rateLimited).toBe(1);
    serving.close();
  });

  it('tells what is left before it is known how the call ends', async () => {
    const { serving } = servingUnderTest({
      'risk/1': { options: { rateLimit: { perSecond: 1, burst: 2 } } },
    });
    const told = vi.fn();
    const features = { a: 'no number' };
    const call = { model: 'risk', features, caller: { kind: 'key', id: 'k1' }, onQuota: told };
    await expect(serving.score(call)).rejects.toMatchObject({ code: 'serving.feature_invalid' });
    expect(told).toHaveBeenCalledWith(expect.objectContaining({ remaining: 1 }));
    serving.close();
  });
});
