import { hash } from 'node:crypto';
import fc from 'fast-check';
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

  it('enters a key once, and says where it stands', () => {
    const index = new KeyIndex();
    for (let n = 0; n < 5_000; n++) expect(index.claim(keyOf(n), n % 8, n)).toBeUndefined();
    for (let n = 0; n < 5_000; n++)
      expect(index.claim(keyOf(n), 7, 999_999)).toEqual({ partition: n % 8, offset: n });
    expect(index.size).toBe(5_000);
  });

  it('takes keys out as a map does, whatever runs of slots they stand in', () => {
    // Few homes, so that runs are long, touch each other and go round the end of the arrays.
    const crowded = fc.tuple(fc.integer({ min: 1020, max: 1027 }), fc.integer({ min: 0, max: 11 }));
    const keyIn = ([home, number]: [number, number]) =>
      String.fromCharCode(home & 0xff, (home >> 8) & 3, 0, 0, number, ...new Array(11).fill(0));
    const steps = fc.array(fc.tuple(fc.boolean(), crowded), { maxLength: 300 });
    fc.assert(
      fc.property(steps, (changes) => {
        const index = new KeyIndex();
        const map = new Map<string, Place>();
        for (const [nth, [isEntered, at]] of changes.entries()) {
          const key = keyIn(at);
          if (isEntered) {
            expect(index.claim(key, nth % 8, nth)).toEqual(map.get(key));
            if (!map.has(key)) map.set(key, { partition: nth % 8, offset: nth });
          } else {
            index.delete(key);
            map.delete(key);
          }
        }
        expect(index.size).toBe(map.size);
        for (let home = 1020; home <= 1027; home++)
          for (let number = 0; number <= 11; number++)
            expect(index.get(keyIn([home, number]))).toEqual(map.get(keyIn([home, number])));
      }),
    );
  });

  it('keeps what stands behind offsets', () => {
    const index = new KeyIndex();
    for (let n = 0; n < 8_000; n++) index.set(keyOf(n), placeOf(n));
    index.deleteBefore([990, 1000, 0, 1000, 1000, 1000, 1000, 999]);
    expect(index.size).toBe(10 + 1000 + 1);
    for (let n = 0; n < 8_000; n++) {
      const { partition, offset } = placeOf(n);
      const isKept =
        partition === 2 || (partition === 0 && offset >= 990) || (partition === 7 && offset === 999);
      expect(index.get(keyOf(n))).toEqual(isKept ? placeOf(n) : undefined);
    }
  });

  it('keeps as many of a crowd that goes round the end of the arrays', () => {
    const keyIn = (home: number, number: number) =>
      String.fromCharCode(home & 0xff, (home >> 8) & 3, 0, 0, number, ...new Array(11).fill(0));
    const homes = fc.array(fc.tuple(fc.integer({ min: 1016, max: 1031 }), fc.nat(50)), { maxLength: 200 });
    fc.assert(
      fc.property(homes, fc.nat(50), (entered, before) => {
        const index = new KeyIndex();
        const map = new Map<string, Place>();
        for (const [nth, [home, offset]] of entered.entries()) {
          index.set(keyIn(home, nth), { partition: 0, offset });
          if (offset >= before) map.set(keyIn(home, nth), { partition: 0, offset });
        }
        index.deleteBefore([before]);
        expect(index.size).toBe(map.size);
        for (const [nth, [home]] of entered.entries())
          expect(index.get(keyIn(home, nth))).toEqual(map.get(keyIn(home, nth)));
      }),
    );
  });
});
