import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Cell, cellsOf, cohenKappa, confusionTable, fleissKappa } from './agreement.ts';

const cells = (counts: readonly (readonly number[])[]): Cell[] =>
  counts.flatMap((row, i) => row.map((count, j) => ({ row: String(i), column: String(j), count })));
/** What was said of each case, from how many said each category of it. */
const said = (ratings: readonly (readonly number[])[]): string[][] =>
  ratings.map((row) => row.flatMap((times, category) => new Array<string>(times).fill(String(category))));

describe('agreement', () => {
  it.each([
    // Fleiss, Levin, Paik: Statistical Methods for Rates and Proportions, 3rd edition, table 18.1: 100 diagnoses by two raters.
    [
      'of two diagnosticians',
      [
        [75, 1, 4],
        [5, 4, 1],
        [0, 0, 10],
      ],
      100,
      0.89,
      0.6765,
      0.0877,
    ],
    // The worked examples of the encyclopedia's article on Cohen's kappa: 50 grant proposals, then two tables with the same raw agreement.
    [
      'of two readers of proposals',
      [
        [20, 5],
        [10, 15],
      ],
      50,
      0.7,
      0.4,
      0.127,
    ],
    [
      'with equal margins',
      [
        [45, 15],
        [25, 15],
      ],
      100,
      0.6,
      0.1304,
      0.098,
    ],
    [
      'with unequal margins',
      [
        [25, 35],
        [5, 35],
      ],
      100,
      0.6,
      0.2593,
      0.078,
    ],
    [
      'that is full',
      [
        [7, 0],
        [0, 3],
      ],
      10,
      1,
      1,
      0,
    ],
    [
      'that is the opposite',
      [
        [0, 5],
        [5, 0],
      ],
      10,
      0,
      -1,
      0,
    ],
  ] as const)('by Cohen %s is the published value', (_, counts, count, agreement, kappa, standardError) => {
    const found = cohenKappa(cells(counts));
    expect(found.count).toBe(count);
    expect(found.agreement).toBeCloseTo(agreement, 10);
    expect(found.kappa).toBeCloseTo(kappa, 3);
    expect(found.standardError).toBeCloseTo(standardError, 2);
  });

  it('by Cohen has an interval around it, that says nothing when nothing varies', () => {
    const { kappa, standardError, interval } = cohenKappa(
      cells([
        [20, 5],
        [10, 15],
      ]),
    );
    expect(interval![0]).toBeCloseTo(kappa! - 1.96 * standardError!, 4);
    expect(interval![1]).toBeCloseTo(kappa! + 1.96 * standardError!, 4);
    expect(cohenKappa(cells([[9]]))).toEqual({
      count: 9,
      agreement: 1,
      kappa: null,
      standardError: null,
      interval: null,
    });
    expect(cohenKappa([])).toMatchObject({ count: 0, kappa: null });
  });

  it("by Fleiss is the published value: ten subjects, fourteen raters, five categories (Fleiss' kappa, worked example)", () => {
    const found = fleissKappa(
      said([
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
      ]),
    );
    expect(found.kappa).toBeCloseTo(0.2099, 4);
    expect(found.agreement).toBeCloseTo(0.378, 3);
    expect(found.interval![0]).toBeLessThan(0.2099);
    expect(found.interval![1]).toBeGreaterThan(0.2099);
  });

  it('by Fleiss wants as many raters for each case', () => {
    expect(() =>
      fleissKappa(
        said([
          [1, 1],
          [2, 1],
        ]),
      ),
    ).toThrow(RangeError);
    expect(fleissKappa([])).toMatchObject({ count: 0, kappa: null });
    expect(
      fleissKappa(
        said([
          [2, 0],
          [2, 0],
        ]),
      ),
    ).toMatchObject({ agreement: 1, kappa: null });
  });

  it('does not depend on the order of raters or the names of categories, and is within -1 and 1', () => {
    const answer = fc.constantFrom('a', 'b', 'c');
    fc.assert(
      fc.property(fc.array(fc.tuple(answer, answer), { minLength: 1, maxLength: 60 }), (pairs) => {
        const there = cohenKappa(cellsOf(pairs));
        const back = cohenKappa(cellsOf(pairs.map(([a, b]) => [b, a] as const)));
        const renamed = cohenKappa(cellsOf(pairs.map(([a, b]) => [`z${a}`, `z${b}`] as const)));
        expect(renamed).toEqual(there);
        if (there.kappa === null) {
          expect(back.kappa).toBeNull();
          return;
        }
        expect(back.kappa).toBeCloseTo(there.kappa, 9);
        expect(there.kappa).toBeGreaterThanOrEqual(-1);
        expect(there.kappa).toBeLessThanOrEqual(1 + 1e-12);
        expect(there.interval![0]).toBeLessThanOrEqual(there.kappa + 1e-12);
      }),
    );
  });

  it('takes answers of free text, where each case is a category of its own', () => {
    const pairs = Array.from(
      { length: 100_000 },
      (_, at) => [`a${at}`, at % 2 ? `a${at}` : `b${at}`] as const,
    );
    const all = cellsOf(pairs);
    expect(cohenKappa(all)).toMatchObject({ count: 100_000, agreement: expect.closeTo(0.5, 9) });
    expect(fleissKappa(pairs)).toMatchObject({ count: 100_000, agreement: expect.closeTo(0.5, 9) });
    const table = confusionTable(all, 50);
    expect([table.categories.length, table.counts.length]).toEqual([50, 50]);
    expect(table.omitted + table.counts.flat().reduce((total, count) => total + count, 0)).toBe(100_000);
  });

  it('shows the most frequent answers, in the order of their names', () => {
    const often = (times: number, ...pair: [string, string]) => new Array<[string, string]>(times).fill(pair);
    const pairs = [
      ...often(5, 'b', 'b'),
      ...often(3, 'a', 'b'),
      ...often(2, 'c', 'c'),
      ...often(1, 'c', 'a'),
    ];
    expect(confusionTable(cellsOf(pairs), 2)).toEqual({
      categories: ['b', 'c'],
      counts: [
        [5, 0],
        [0, 2],
      ],
      omitted: 4,
    });
    expect(confusionTable(cellsOf(pairs), 3)).toMatchObject({ categories: ['a', 'b', 'c'], omitted: 0 });
  });
});
