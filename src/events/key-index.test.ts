import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { KEY_BYTES, KeyIndex, type Place } from './key-index.ts';

const keyOf = (n: number) => hash('sha256', String(n), 'binary').slice(0, KEY_BYTES);
const placeOf = (n: number): Place => ({ partition: n % 8, offset: Math.floor(n / 8) });

describe('an index of keys', () => {
  it('answers as a map does, while it grows', () => {
    const index = new KeyIndex();
    for (let n = 0; n < 20_000; n++) {
      expect(index.get(keyOf(n))).toBeUndefined();
      index.set(keyOf(n), placeOf(n));
    }
    expect(index.size).toBe(20_000);
    for (let n = 0; n < 20_000; n++) expect(index.get(keyOf(n))).toEqual(placeOf(n));
    index.set(keyOf(7), { partition: 1, offset: 2 ** 45 });
    expect([index.size, index.get(keyOf(7))]).toEqual([20_000, { partition: 1, offset: 2 ** 45 }]);
  });

  it('keeps what stands behind offsets', () => {
    const index = new KeyIndex();
    for (let n = 0; n < 8_000; n++) index.set(keyOf(n), placeOf(n));
    const kept = index.from([990, 1000, 0, 1000, 1000, 1000, 1000, 999]);
    expect(kept.size).toBe(10 + 1000 + 1);
    for (let n = 0; n < 8_000; n++) {
      const { partition, offset } = placeOf(n);
      const isKept =
        partition === 2 || (partition === 0 && offset >= 990) || (partition === 7 && offset === 999);
      expect(kept.get(keyOf(n))).toEqual(isKept ? placeOf(n) : undefined);
    }
  });
});
