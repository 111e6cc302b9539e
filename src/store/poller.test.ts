import { describe, expect, it } from 'vitest';
import { Poller } from './poller.ts';

/** Long enough that nothing here is found by the next look. */
const NEVER_MS = 3_600_000;

describe('A poller', () => {
  it('looks again when it was woken during a look', async () => {
    const looks: (() => void)[] = [];
    const loop = new Poller({
      look: () => new Promise<boolean>((resolve) => looks.push(() => resolve(false))),
      pollMs: NEVER_MS,
      onError: undefined,
    });
    loop.begin();
    expect(looks).toHaveLength(1);
    loop.wake();
    looks[0]!();
    await expect.poll(() => looks.length, { timeout: 15_000 }).toBe(2);
    const ended = loop.stop();
    looks[1]!();
    await ended;
    expect(looks).toHaveLength(2);
  });

  it('keeps a wake over a look that fails', async () => {
    const errors: unknown[] = [];
    let looks = 0;
    const loop: Poller = new Poller({
      async look() {
        looks++;
        if (looks > 1) return false;
        loop.wake();
        throw new Error('away');
      },
      pollMs: NEVER_MS,
      onError: (error) => errors.push(error),
    });
    loop.begin();
    await expect.poll(() => looks, { timeout: 15_000 }).toBe(2);
    expect(errors).toHaveLength(1);
    await loop.stop();
  });

  it('goes on when it is woken from its pause, and ends from there', async () => {
    let looks = 0;
    const loop = new Poller({ look: async () => ++looks < 0, pollMs: NEVER_MS, onError: undefined });
    loop.begin();
    await expect.poll(() => looks, { timeout: 15_000 }).toBe(1);
    loop.wake();
    await expect.poll(() => looks, { timeout: 15_000 }).toBe(2);
    await loop.stop();
    expect(looks).toBe(2);
    loop.begin();
    await expect.poll(() => looks, { timeout: 15_000 }).toBe(3);
    await loop.stop();
  });

  it('looks as soon as a look asked for, and no later than it would by itself', async () => {
    let looks = 0;
    const soon = new Poller({ look: async () => (++looks < 3 ? 1 : undefined), pollMs: NEVER_MS });
    soon.begin();
    await expect.poll(() => looks, { timeout: 15_000 }).toBe(3);
    await soon.stop();
    let others = 0;
    const late = new Poller({ look: async () => NEVER_MS + ++others, pollMs: 1 });
    late.begin();
    await expect.poll(() => others, { timeout: 15_000 }).toBeGreaterThan(1);
    await late.stop();
  });

  it('looks at the pace that it is told, and when its tables change', async () => {
    let looks = 0;
    let told: (() => void) | undefined;
    const followed: string[] = [];
    const poller = new Poller({
      async look() {
        looks++;
        return undefined;
      },
      pollMs: 1,
      tables: ['webhooks'],
      changes: {
        follow(tables, wake) {
          followed.push(...tables);
          told = wake;
          return () => {
            told = undefined;
          };
        },
        pauseMs: () => NEVER_MS,
      },
    });
    poller.begin();
    await expect.poll(() => looks, { timeout: 15_000 }).toBe(1);
    told!();
    await expect.poll(() => looks, { timeout: 15_000 }).toBe(2);
    await poller.stop();
    expect({ followed, told }).toEqual({ followed: ['webhooks'], told: undefined });
  });
});
