import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decimalOf, plus, toNumber } from './decimal.ts';
import { ExactSum } from './exact-sum.ts';
import {
  type CompiledFeature,
  type Contribution,
  evaluateExact,
  type FeatureValue,
  insertContribution,
} from './state.ts';
import { addContribution, evaluateTiled, type Tile, tilePlan } from './tile.ts';

const AGGREGATES = ['sum', 'mean', 'stddev', 'min', 'max', 'count'] as const;
const features: CompiledFeature[] = AGGREGATES.map((aggregate) => ({
  name: aggregate,
  aggregate,
  windowMs: 1_000,
  tumbling: false,
  hasValue: true,
}));
const value = fc.oneof(
  fc.integer({ min: -1_000_000, max: 1_000_000 }).map((cents) => cents / 100),
  fc.integer({ min: -1_000_000, max: 1_000_000 }).map((units) => units / 1e6),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);

/** Contributions of one time, which stand in the order of their offsets. */
function exact(values: readonly number[]): FeatureValue[] {
  const list: Contribution[] = [];
  for (const [offset, each] of values.entries())
    insertContribution(list, {
      partition: 0,
      offset,
      timeMs: 5,
      recordedAtMs: 5,
      values: features.map(() => each),
    });
  return evaluateExact(features, list, { timeMs: 10 });
}

function tiled(values: readonly number[]): FeatureValue[] {
  const plan = tilePlan(10, 0, features);
  const tiles: Tile[] = [];
  for (const [offset, each] of values.entries())
    addContribution(
      plan,
      tiles,
      { partition: 0, offset, timeMs: 5, item: 0 },
      features.map(() => each),
    );
  return evaluateTiled(plan, tiles, { timeMs: 10 });
}

describe('sums of a window', () => {
  it('are those of the decimals, in any order', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 20 }), (values) => {
        const expected = toNumber(values.map(decimalOf).reduce(plus, 0));
        for (const order of [values, values.toReversed(), values.toSorted((a, b) => a - b)]) {
          const sum = new ExactSum();
          for (const each of order) sum.add(each);
          expect(sum.value).toBe(expected);
        }
      }),
    );
  });

  it('are the same to the last bit in another order of arrival, and of a view with tiles', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 12 }), fc.nat(11), (values, at) => {
        const turned = [...values.slice(at), ...values.slice(0, at)].toReversed();
        expect(exact(turned)).toEqual(exact(values));
        expect(exact(values)).toEqual(tiled(values));
      }),
    );
  });

  it.each([
    [
      [0.1, 0.2],
      [0.3, 0.15, 0.07071067811865475, 0.1, 0.2, 2],
    ],
    [
      [0.3, 0.2, 0.1],
      [0.6, 0.6 / 3, 0.1, 0.1, 0.3, 3],
    ],
    [
      [1e308, 1e308],
      [null, null, 0, 1e308, 1e308, 2],
    ], // JSON holds no number past 1.8e308
    [
      [1e-9, -1e-9],
      [0, 0, 1.4142135623730951e-9, -1e-9, 1e-9, 2],
    ],
    [
      [1e200, -1e200], // their squares are no doubles
      [0, 0, 1.4142135623730952e200, -1e200, 1e200, 2],
    ],
    [
      [1e-200, 3e-200],
      [4e-200, 2e-200, 1.4142135623730953e-200, 1e-200, 3e-200, 2],
    ],
    [
      [2 ** 53 - 1, 1, 0.5],
      [9007199254740992, 3002399751580330.5, 5200308914369307, 0.5, 2 ** 53 - 1, 3],
    ],
  ])('of %j are %j', (values, expected) => {
    expect(exact(values)).toEqual(expected);
  });
});
