import { describe, expect, it } from 'vitest';
import { closeAll } from './close-all.ts';

describe('stopping all parts', () => {
  it('stops each, in order, whichever fails or does not end', async () => {
    const told: number[] = [];
    const part = (n: number, ending: () => Promise<unknown>) => () => {
      told.push(n);
      return ending();
    };
    const all = closeAll(
      [
        part(1, () => Promise.reject(new Error('the database is away'))),
        part(2, () => new Promise(() => {})),
        part(3, () => {
          throw new Error('it was never open');
        }),
        part(4, () => Promise.resolve()),
      ],
      20,
    );
    await expect(all).rejects.toMatchObject({
      code: 'stop.unfinished',
      message: expect.stringContaining('the database is away'),
    });
    expect(told).toEqual([1, 2, 3, 4]);
  });

  it('is done when they are', async () => {
    await closeAll([async () => 1, async () => 2], 10_000);
  });
});
