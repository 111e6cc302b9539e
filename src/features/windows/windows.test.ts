import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Decimal, decimalOf, decimalText, parseDecimal, plus, times, toNumber } from './decimal.ts';
import { countDistinct, DISTINCT_EXACT_MAX, type Distinct, distinctOf, mergeDistinct } from './distinct.ts';
import { AGGREGATES, type CompiledFeature, type FeatureValue } from './state.ts';
import { addContribution, evaluateTiled, insertTile, type Tile, tilePlan } from './tile.ts';

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });

describe('decimals', () => {
  it('are the double that they were made from, as text and back, too', () => {
    fc.assert(
      fc.property(finite, (value) => {
        const decimal = decimalOf(value);
        expect([toNumber(decimal), toNumber(parseDecimal(decimalText(decimal)))]).toEqual([
          value + 0,
          value + 0,
        ]);
      }),
    );
  });

  it.each([
    ['0.1', '0.2', '0.3', '0.02'],
    ['9007199254740991', '1', '9007199254740992', '9007199254740991'],
    ['1e300', '-1e300', '0', '-1e600'],
    ['12.50', '-0.005', '12.495', '-0.0625'],
  ])('%s and %s add to %s and multiply to %s', (a, b, sum, product) => {
    const left = parseDecimal(a);
    const right = parseDecimal(b);
    expect(toNumber(plus(left, right))).toBe(Number(sum));
    expect(toNumber(times(left, right))).toBe(Number(product));
  });

  it('of few places are the digits that they are written in, and add and multiply as these do', () => {
    const few = fc.tuple(fc.integer({ min: -(10 ** 15) + 1, max: 10 ** 15 - 1 }), fc.nat(7));
    const scaled = ([units, scale]: [number, number], to: number) =>
      BigInt(units) * 10n ** BigInt(to - scale);
    const same = (decimal: Decimal, units: bigint, scale: number) =>
      expect(toNumber(decimal)).toBe(Number(`${units}e-${scale}`) + 0);
    fc.assert(
      fc.property(few, few, (a, b) => {
        const [left, right] = [a, b].map(([units, scale]) => decimalOf(Number(`${units}e-${scale}`)));
        same(left!, scaled(a, 7), 7);
        same(plus(left!, right!), scaled(a, 7) + scaled(b, 7), 7);
        same(times(left!, right!), scaled(a, 7) * scaled(b, 7), 14);
      }),
    );
  });

  it('add to the same in whatever order and grouping', () => {
    fc.assert(
      fc.property(fc.array(finite, { minLength: 2 }), fc.nat(), (values, at) => {
        const sum = (list: readonly number[]) => list.map(decimalOf).reduce(plus, 0);
        const split = at % values.length;
        const parts = plus(sum(values.slice(split)), sum(values.slice(0, split)));
        expect(toNumber(parts)).toBe(toNumber(sum(values.toReversed())));
      }),
    );
  });
});

describe('counts of different values', () => {
  const of = (from: number, count: number): Distinct => {
    let all: Distinct = [];
    for (let i = from; i < from + count; i++) all = mergeDistinct(all, distinctOf(`customer-${i}`));
    return all;
  };

  it('are exact up to the bound, whatever repeats', () => {
    expect(countDistinct(mergeDistinct(of(0, DISTINCT_EXACT_MAX), of(0, 100)))).toBe(DISTINCT_EXACT_MAX);
    expect(countDistinct(mergeDistinct(distinctOf('1'), distinctOf(1)))).toBe(2);
  });

  it('depend on the set of values only, on either side of the bound', () => {
    const whole = of(0, 1_500);
    expect(mergeDistinct(of(700, 800), of(0, 900))).toEqual(whole);
    expect(mergeDistinct(of(0, 900), of(700, 800))).toEqual(whole);
    const small = [of(0, 300), of(200, 300)] as const;
    expect(mergeDistinct(...small)).toEqual(mergeDistinct(small[1], small[0]));
  });

  it.each([600, 2_000, 8_000, 12_000, 20_000, 60_000])('of %i are within four standard errors', (count) => {
    const parts = Array.from({ length: 10 }, (_, i) => of((i * count) / 10, count / 10));
    const estimated = countDistinct(parts.reduce(mergeDistinct));
    expect(Math.abs(estimated / count - 1)).toBeLessThan(4 * 0.01625);
  });
});

describe('tiles', () => {
  const features: CompiledFeature[] = AGGREGATES.map((aggregate) => ({
    name: aggregate,
    aggregate,
    windowMs: 40,
    tumbling: false,
    hasValue: true,
  }));
  const plan = tilePlan(10, 0, features);
  const add = (tiles: Tile[], timeMs: number, offset: number, value: FeatureValue, of = plan) => {
    const values = of.features.map(() => value);
    addContribution(of, tiles, { timeMs, partition: 0, offset, item: 0 }, values);
  };

  it('merge to the same in any order and grouping, and say what all values say', () => {
    const entries = fc.array(
      fc.record({
        timeMs: fc.nat(60),
        value: fc.oneof(
          fc.integer({ min: -999, max: 999 }).map((cents) => cents / 100),
          fc.constant(null),
        ),
        rank: fc.nat(),
      }),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(entries, fc.nat(30), fc.nat(70), (drawn, split, timeMs) => {
        const placed = drawn.map((entry, offset) => ({ ...entry, offset }));
        const build = (list: typeof placed) => {
          const tiles: Tile[] = [];
          for (const { timeMs, offset, value } of list) add(tiles, timeMs, offset, value);
          return tiles;
        };
        const inOrder = build(placed);
        const shuffled = placed.toSorted((a, b) => a.rank - b.rank);
        const grouped = build(shuffled.slice(0, split));
        for (const tile of build(shuffled.slice(split))) insertTile(plan, grouped, tile);
        const vector = evaluateTiled(plan, inOrder, { timeMs });
        expect(evaluateTiled(plan, grouped, { timeMs })).toEqual(vector);
        const end = Math.floor(timeMs / 10) * 10;
        const counted = placed
          .filter(({ timeMs, value }) => value !== null && timeMs < end && timeMs >= end - 40)
          .toSorted((a, b) => a.timeMs - b.timeMs || a.offset - b.offset)
          .map(({ value }) => value as number);
        expect(close(vector)).toEqual(close(bruteForce(counted)));
      }),
    );
  });

  it('lose nothing of large numbers that lie close together', () => {
    const tiles: Tile[] = [];
    for (const [offset, value] of [1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16].entries())
      add(tiles, 5, offset, value);
    expect(evaluateTiled(plan, tiles, { timeMs: 10 })[AGGREGATES.indexOf('stddev')]).toBe(Math.sqrt(30));
  });

  it('of a tumbling window are those of the newest whole one, and wait for what may come late', () => {
    const tumbling = tilePlan(10, 5, [{ ...features[0]!, windowMs: 20, tumbling: true }]);
    const tiles: Tile[] = [];
    for (const [offset, timeMs] of [0, 12, 19, 20, 33].entries()) add(tiles, timeMs, offset, 1, tumbling);
    const count = (timeMs: number) => evaluateTiled(tumbling, tiles, { timeMs })[0];
    expect([24, 25, 44, 45].map(count)).toEqual([0, 3, 3, 2]);
  });
});

function bruteForce(values: readonly number[]): FeatureValue[] {
  const count = values.length;
  const sum = values.reduce((total, value) => total + value, 0);
  const spread = values.reduce((total, value) => total + (value - sum / count) ** 2, 0);
  return [
    count,
    sum,
    count > 0 ? sum / count : null,
    count > 0 ? Math.min(...values) : null,
    count > 0 ? Math.max(...values) : null,
    count > 1 ? Math.sqrt(spread / (count - 1)) : null,
    values[0] ?? null,
    values.at(-1) ?? null,
    new Set(values).size,
  ];
}

/** To six decimals: brute force adds doubles. */
function close(values: readonly FeatureValue[]): FeatureValue[] {
  return values.map((value) => (typeof value === 'number' ? Math.round(value * 1e6) / 1e6 + 0 : value));
}
