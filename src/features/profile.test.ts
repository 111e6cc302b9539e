import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../kernel/json.ts';
import { compareWithProfile, profileOf } from './profile.ts';
import type { FeatureValue } from './windows/state.ts';

const NAMES = ['amount', 'tier'];
const TIERS = ['gold', 'blue', 'blue', 'none'];
/** A thousand vectors: amounts spread evenly over 0 … 999, tiers in turn. */
const rows = (change: (row: [number, string], index: number) => FeatureValue[] = (row) => row) =>
  Array.from({ length: 1_000 }, (_, i) => change([(i * 7) % 1_000, TIERS[i % 4]!], i));
const reference = profileOf(NAMES, rows());
const checks = (changed: (readonly FeatureValue[])[], names = NAMES) =>
  compareWithProfile(reference, names, changed).map(({ feature, check }) => `${feature} ${check}`);

describe('a reference profile', () => {
  it('says how the values lie', () => {
    expect(reference.rows).toBe(1_000);
    expect(reference.features.amount).toMatchObject({
      kind: 'number',
      nullShare: 0,
      mean: 499.5,
      stddev: expect.closeTo(Math.sqrt((1_000 * 1_001) / 12), 9),
    });
    expect(reference.features.amount!.deciles!.map(Math.round)).toEqual([
      0, 100, 200, 300, 400, 500, 599, 699, 799, 899, 999,
    ]);
    expect(reference.features.tier).toEqual({
      kind: 'category',
      nullShare: 0,
      distinct: 3,
      shares: { blue: 0.5, gold: 0.25, none: 0.25 },
    });
  });

  it('that was made of nothing says so, and nothing else', () => {
    const findings = compareWithProfile(profileOf(NAMES, []), NAMES, rows());
    expect(findings).toMatchObject([
      { check: 'rows', found: 0, message: expect.stringContaining('the reference is of no rows') },
    ]);
  });

  it.each([0.1, 0.7, 19.99, -1 / 3])(
    'finds nothing in a feature that is always %d, and another constant',
    (value) => {
      const of = (count: number, one: number) => Array.from({ length: count }, () => [one]);
      const constant = profileOf(['x'], of(100, value));
      expect(constant.features.x).toMatchObject({ mean: value, stddev: 0 });
      for (const count of [37, 40, 333])
        expect(compareWithProfile(constant, ['x'], of(count, value))).toEqual([]);
      const checks = compareWithProfile(constant, ['x'], of(40, value + 1e-9)).map(({ check }) => check);
      expect(checks).toContain('mean');
    },
  );

  it('tells categories apart that are called as what every object has', () => {
    const of = (tier: string) => rows(([amount], i) => [amount, i % 2 ? tier : 'blue']);
    const findings = compareWithProfile(profileOf(NAMES, of('constructor')), NAMES, of('__proto__'));
    expect(findings.map(({ check, found }) => [check, Number.isFinite(found)])).toEqual([['psi', true]]);
  });

  it('finds nothing in vectors that lie alike, in another order or number', () => {
    expect(checks(rows())).toEqual([]);
    expect(checks(rows().toReversed().slice(0, 500))).toEqual([]);
  });

  it.each([
    ['nulls', rows(([amount, tier], i) => [i % 10 === 0 ? null : amount, tier]), ['amount nullShare']],
    ['only nulls', rows(([, tier]) => [null, tier]), ['amount nullShare']],
    [
      'a shift',
      rows(([amount, tier]) => [amount + 300, tier]),
      [
        'amount mean',
        'amount quantile',
        'amount quantile',
        'amount quantile',
        'amount psi',
        'amount outside',
      ],
    ],
    [
      'values that hardly differ',
      rows(([amount, tier]) => [amount - (amount % 100), tier]),
      ['amount distinct'],
    ],
    [
      'values beyond what was seen',
      rows(([amount, tier], i) => [i % 50 === 0 ? -1 : amount, tier]),
      ['amount outside'],
    ],
    [
      'a category that was not there',
      rows(([amount, tier], i) => [amount, i % 3 === 0 ? 'new' : tier]),
      ['tier psi'],
    ],
    ['text for numbers', rows(([amount, tier]) => [String(amount), tier]), ['amount type']],
  ])('finds %s', (_, changed, found) => {
    expect(checks(changed)).toEqual(found);
  });

  it('finds a feature that is gone, and does not judge too few rows', () => {
    expect(
      checks(
        rows(([, tier]) => [tier]),
        ['tier'],
      ),
    ).toEqual(['amount missing']);
    expect(compareWithProfile(reference, NAMES, rows().slice(0, 29))).toEqual([
      expect.objectContaining({ check: 'rows', found: 29, expected: 30 }),
    ]);
  });

  it('goes by other thresholds when they are given', () => {
    const shifted = rows(([amount, tier]) => [amount + 300, tier]);
    const wide = { mean: 2, quantile: 2, psi: 9, outside: 1 };
    expect(compareWithProfile(reference, NAMES, shifted, wide)).toEqual([]);
    expect(
      compareWithProfile(
        reference,
        NAMES,
        rows(([amount, tier]) => [amount + 1, tier]),
        { mean: 0.001 },
      ),
    ).toEqual([expect.objectContaining({ check: 'mean', message: 'amount: mean is 500.5, expected 499.5' })]);
  });

  it('holds the largest numbers that there are', () => {
    const values = [-1e308, 1e308, 1e308, null];
    const { x } = profileOf(
      ['x'],
      values.map((value) => [value]),
    ).features as unknown as Record<string, JsonObject>;
    expect(x).toMatchObject({
      mean: expect.closeTo(1e308 / 3, -294),
      stddev: expect.closeTo(1.1547e308, -304),
    });
    expect(x!.deciles).toEqual(expect.arrayContaining([-1e308, 1e308]));
    expect(JSON.stringify(x)).not.toMatch(/[:,[]null/);
  });
});
