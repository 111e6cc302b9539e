import { expect, it } from 'vitest';
import { FittingPrefetch } from './fitting-prefetch.ts';

const BYTES_MAX = 2_000_000;
const settled = (countMax: number, bytes: number, prefetch = new FittingPrefetch(countMax, BYTES_MAX)) => {
  for (let n = 0; n < 10_000; n++) prefetch.passed(1, bytes);
  return prefetch.count;
};

it('asks for few messages at first, and for as many as fit or are allowed in the end', () => {
  expect(new FittingPrefetch(500, BYTES_MAX).count).toBe(32);
  expect(settled(500, 300)).toBe(500);
  expect(settled(500, 0)).toBe(500);
  expect(settled(500, 16_000)).toBe(125);
  expect(settled(10, 300)).toBe(10);
});

it('asks for no more than have fitted when it was too much, down to one, and grows again', () => {
  const prefetch = new FittingPrefetch(500, BYTES_MAX);
  settled(500, 300, prefetch);
  prefetch.overflowed(3);
  expect(prefetch.count).toBe(3);
  prefetch.overflowed(3);
  expect(prefetch.count).toBe(1);
  prefetch.overflowed(1);
  expect(prefetch.count).toBe(1);
  expect(settled(500, 1_000_000, prefetch)).toBe(2);
  expect(settled(500, 300, prefetch)).toBe(500);
});

it('gives no message back more often than its bound can be halved', () => {
  // Messages as one who wants to harm would put them: whenever the bound has grown again, one that is too large.
  const prefetch = new FittingPrefetch(5_000, BYTES_MAX);
  const returned = new Map<number, number>();
  for (let acknowledged = 0; acknowledged < 100_000; ) {
    const sent = prefetch.count;
    if (sent > 1) {
      for (let n = 1; n < sent; n++)
        returned.set(acknowledged + n, (returned.get(acknowledged + n) ?? 0) + 1);
      prefetch.overflowed(1);
      acknowledged++;
    }
    while (prefetch.count <= 1 + (acknowledged % 7)) {
      prefetch.passed(1, 300);
      acknowledged++;
    }
  }
  expect(Math.max(...returned.values())).toBeLessThanOrEqual(13); // log2(5,000)
});
