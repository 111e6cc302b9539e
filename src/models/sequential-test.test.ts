import { describe, expect, it } from 'vitest';
import { type ArmSums, lookAt } from './sequential-test.ts';

const OPTIONS = { alpha: 0.05, effect: 0.05, samplesMin: 100 };

/** Deterministic uniform numbers (mulberry32): a test must not fail by chance. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The first look, of one after each pair of outcomes, that finds a difference; undefined when none does. */
function firstFinding(rates: [number, number], pairs: number, seed: number): number | undefined {
  const next = uniform(seed);
  const arms: [ArmSums, ArmSums] = [
    { count: 0, sum: 0, sumOfSquares: 0 },
    { count: 0, sum: 0, sumOfSquares: 0 },
  ];
  for (let pair = 1; pair <= pairs; pair++) {
    for (const arm of [0, 1] as const) {
      const value = next() < rates[arm] ? 1 : 0;
      const { count, sum, sumOfSquares } = arms[arm];
      arms[arm] = { count: count + 1, sum: sum + value, sumOfSquares: sumOfSquares + value };
    }
    if (lookAt(arms[0], arms[1], OPTIONS).pValue <= OPTIONS.alpha) return pair;
  }
  return undefined;
}

describe('the sequential test', () => {
  it('finds a difference that is not there in no more than alpha of the tests, with a look after every outcome', () => {
    const tests = 400;
    const false_ = Array.from({ length: tests }, (_, seed) => firstFinding([0.2, 0.2], 2_000, seed + 1));
    expect(false_.filter((found) => found !== undefined).length / tests).toBeLessThanOrEqual(OPTIONS.alpha);
  });

  it('finds a difference that is there', () => {
    const found = Array.from({ length: 50 }, (_, seed) => firstFinding([0.2, 0.3], 4_000, seed + 1));
    expect(found.filter((each) => each !== undefined).length).toBeGreaterThanOrEqual(49);
  });

  it('says nothing on too few outcomes, or on outcomes that do not vary', () => {
    const sums = (count: number, ones: number): ArmSums => ({ count, sum: ones, sumOfSquares: ones });
    expect(lookAt(sums(99, 0), sums(5_000, 4_000), OPTIONS)).toMatchObject({ pValue: 1, interval: null });
    expect(lookAt(sums(200, 0), sums(200, 200), OPTIONS)).toMatchObject({ pValue: 1, difference: 1 });
    expect(lookAt(sums(0, 0), sums(0, 0), OPTIONS)).toMatchObject({ difference: null, championMean: null });
  });

  it('has an interval that leaves zero out exactly when the p-value is at alpha or below', () => {
    for (let ones = 200; ones < 320; ones++) {
      const look = lookAt(
        { count: 1_000, sum: 200, sumOfSquares: 200 },
        { count: 1_000, sum: ones, sumOfSquares: ones },
        OPTIONS,
      );
      expect(look.interval![0] > 0).toBe(look.pValue <= OPTIONS.alpha);
    }
  });
});
