import { describe, expect, it } from 'vitest';
import { PassLoop } from './pass-loop.ts';

/** Long enough that nothing here is found by the next look. */
const NEVER_MS = 3_600_000;

describe('A loop of passes', () => {
  it('takes another step when it was woken during one', async () => {
    const steps: (() => void)[] = [];
    const loop = new PassLoop({
      step: () => new Promise<boolean>((resolve) => steps.push(() => resolve(false))),
      pollMs: NEVER_MS,
      onError: undefined,
    });
    loop.begin();
    expect(steps).toHaveLength(1);
    loop.wake();
    steps[0]!();
    await expect.poll(() => steps.length, { timeout: 15_000 }).toBe(2);
    const ended = loop.stop();
    steps[1]!();
    await ended;
    expect(steps).toHaveLength(2);
  });

  it('keeps a wake over a step that fails', async () => {
    const errors: unknown[] = [];
    let steps = 0;
    const loop: PassLoop = new PassLoop({
      async step() {
        steps++;
        if (steps > 1) return false;
        loop.wake();
        throw new Error('away');
      },
      pollMs: NEVER_MS,
      onError: (error) => errors.push(error),
    });
    loop.begin();
    await expect.poll(() => steps, { timeout: 15_000 }).toBe(2);
    expect(errors).toHaveLength(1);
    await loop.stop();
  });

  it('goes on when it is woken from its pause, and ends from there', async () => {
    let steps = 0;
    const loop = new PassLoop({ step: async () => ++steps < 0, pollMs: NEVER_MS, onError: undefined });
    loop.begin();
    await expect.poll(() => steps, { timeout: 15_000 }).toBe(1);
    loop.wake();
    await expect.poll(() => steps, { timeout: 15_000 }).toBe(2);
    await loop.stop();
    expect(steps).toBe(2);
    loop.begin();
    await expect.poll(() => steps, { timeout: 15_000 }).toBe(3);
    await loop.stop();
  });
});
