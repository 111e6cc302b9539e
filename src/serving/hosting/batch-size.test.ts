import { afterEach, describe, expect, it, vi } from 'vitest';
import { RunFailed } from '../runtimes/runtime.ts';
import { measureBestBatch } from './batch-size.ts';

afterEach(() => vi.restoreAllMocks());

/** A replica whose runs take `costMs` of a clock that only they move. */
function timed(costMs: (rows: number, run: number) => number) {
  let nowMs = 1_000;
  let runs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  const sizes: number[] = [];
  const replica = {
    async run(requests: readonly unknown[]) {
      sizes.push(requests.length);
      nowMs += costMs(requests.length, runs++);
      return { outputs: [], computeUs: 0 };
    },
  };
  const measure = (rowsMax = 64) => measureBestBatch(replica, [], rowsMax, 2_500);
  return { measure, sizes, tookMs: () => nowMs - 1_000 };
}

describe('the best batch size', () => {
  it.each<[string, (rows: number, run: number) => number, number]>([
    ['is the largest when a run costs the same whatever the rows', () => 1, 64],
    ['is off when each row costs the same', (rows) => rows, 1],
    ['is off when it gains next to nothing', (rows) => rows + 0.02, 1],
    ['is the smallest that is nearly as good as the best', (rows) => 1 + rows, 16],
    ['is where a tree ensemble peaks', (rows) => (rows > 32 ? 0.1 * rows : 0.5 + 0.05 * rows), 32],
    ['is told by the fastest runs: others were held up', (rows, run) => rows * (run % 3 === 0 ? 1 : 9), 1],
  ])('%s', async (_, costMs, expected) => {
    expect(await timed((rows, run) => costMs(rows, run) / 10).measure()).toBe(expected);
  });

  it('is found in bounded time, also of a slow model', async () => {
    const quick = timed(() => 0.01);
    await quick.measure(4096);
    expect(quick.tookMs()).toBeLessThan(400);
    const slow = timed(() => 150);
    expect(await slow.measure()).toBe(64);
    expect(slow.tookMs()).toBeLessThan(2_000);
    const slower = timed((rows) => 1_000 * rows);
    expect(await slower.measure()).toBe(1);
    expect(Math.max(...slower.sizes)).toBe(2); // four rows might run longer than a run may
  });

  it('stays below what the model refuses', async () => {
    const { measure } = timed((rows) => {
      if (rows > 8) throw new RunFailed('at most 8 rows');
      return 1;
    });
    expect(await measure()).toBe(8);
  });

  it('is not told by a replica that dies of a batch', async () => {
    const { measure } = timed((rows) => {
      if (rows > 8) throw new Error('killed');
      return 1;
    });
    await expect(measure()).rejects.toThrow('killed');
  });
});
