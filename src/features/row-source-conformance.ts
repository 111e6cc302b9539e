import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { passes } from './row-source-conformance-passes.ts';
import { rowsOfOneBegin, rowsThatEnd } from './row-source-conformance-spans.ts';
import { values } from './row-source-conformance-values.ts';
import { type Asker, PRICES, type SourceUnderTest, time, World } from './row-source-conformance-world.ts';

/** What every source of batch views must do; `open` gives one. */
export function rowSourceConformance(name: string, open: () => Promise<SourceUnderTest>): void {
  describe(`the rows of a batch view: ${name}`, () => {
    const world = new World();
    beforeAll(async () => {
      world.test = await open();
    });
    rowsByTime(world);
    rowsOfOneTime(world);
    rowsInZones(world);
    rowsThatEnd(world);
    rowsOfOneBegin(world);
    values(world);
    manyRows(world);
    passes(world);
    faults(world);
  });
}

function rowsByTime(world: World): void {
  const nothing = [null, null, null, null, null];

  it('are joined by time, then by when they were written, with a cut-off of each asker’s own', async () => {
    const view = await world.prices('joined', [
      ['p', time(10_000), time(11_000), '1.5', '3', time(1_000), 'true', 'first'],
      ['p', time(10_000), time(30_000), '2.5', '4', null, 'false', ''],
      ['p', time(20_000), time(21_000), null, null, null, null, null],
      ['q', time(15_000), null, '9', '9007199254740991', null, 'true', 'Ä, “quoted” "twice"'],
    ]);
    expect(
      await world.past(
        view,
        ['p', 9_999],
        ['p', 10_000],
        ['p', 10_000, 29_999],
        ['p', 19_999, 30_000],
        ['p', 20_000],
        ['p', 20_000, 20_999],
        ['q', 15_000],
        ['q', 99_000, 99_000],
        ['absent', 99_000],
        [null, 99_000],
      ),
    ).toEqual([
      nothing,
      [2.5, 4, null, false, ''],
      [1.5, 3, 1_000, true, 'first'],
      [2.5, 4, null, false, ''],
      nothing,
      [1.5, 3, 1_000, true, 'first'],
      [9, 9007199254740991, null, true, 'Ä, “quoted” "twice"'],
      nothing,
      nothing,
      nothing,
    ]);
    // One cut-off for all is another way through.
    expect(await world.past(view, ['p', 10_000, 11_000], ['p', 20_000, 11_000])).toEqual([
      [1.5, 3, 1_000, true, 'first'],
      [1.5, 3, 1_000, true, 'first'],
    ]);
  });
}

function rowsOfOneTime(world: World): void {
  it('that are equal in both times are told apart by their values as text', async () => {
    const row = (price: string | null, label: string | null, sku = 'p') => [
      sku,
      time(5_000),
      null,
      price,
      '1',
      null,
      null,
      label,
    ];
    const rows = [
      row('10', 'a'),
      row('9.5', 'a'),
      row('9.5', 'b'),
      row(null, 'z', 'q'),
      row('1', 'z', 'q'),
      row('-2', null, 'r'),
      row('-2', 'x', 'r'),
      row('10', 'a', 's'),
      row('1.5', 'a', 's'),
    ];
    for (const [index, order] of [rows, rows.toReversed()].entries()) {
      const view = await world.prices(`tied${index}`, order);
      const found = await world.past(view, ['p', 5_000], ['q', 5_000], ['r', 5_000], ['s', 5_000]);
      expect(found.map(([price, , , , label]) => [price, label])).toEqual([
        [9.5, 'b'],
        [null, 'z'],
        [-2, null],
        [10, 'a'],
      ]);
    }
  });
}

function rowsInZones(world: World): void {
  it('count from their time on, in whatever zone it was written, rounded up to a millisecond', async () => {
    const view = await world.prices('zoned', [
      [
        'p',
        '2026-03-01T12:00:00+02:00',
        '2026-03-01T12:00:00+02:00',
        '1',
        null,
        '2026-03-01T01:00:00.0005+05:30',
        null,
        null,
      ],
      ['p', '2026-03-01T10:00:01.000500Z', '2026-03-01T10:00:01Z', '2', null, null, null, null],
      ['old', '1969-12-31T23:59:59.9995Z', '1969-12-31T23:59:59Z', '3', null, null, null, null],
    ]);
    const at = Date.parse('2026-03-01T10:00:00Z');
    const found = await world.past(
      view,
      ['p', at - 1],
      ['p', at],
      ['p', at + 1000],
      ['p', at + 1001],
      ['old', -1],
      ['old', 0],
    );
    expect(found.map(([price, , listed]) => [price, listed])).toEqual([
      [null, null],
      [1, Date.parse('2026-02-28T19:30:00.001Z')],
      [1, Date.parse('2026-02-28T19:30:00.001Z')],
      [2, null],
      [null, null],
      [3, null],
    ]);
  });
}

interface Drawn {
  sku: number;
  at: number;
  written: number | null;
  price: number | null;
}

/** The rule in the plainest words. */
function bruteForce(
  rows: readonly Drawn[],
  sku: number,
  atMs: number,
  recordedByMs?: number,
): Drawn | undefined {
  const text = ({ price }: Drawn) => String(price ?? 'null');
  return rows
    .filter((row) => row.sku === sku && row.at <= atMs)
    .filter((row) => recordedByMs === undefined || (row.written !== null && row.written <= recordedByMs))
    .toSorted(
      (a, b) =>
        b.at - a.at ||
        (b.written ?? Number.NEGATIVE_INFINITY) - (a.written ?? Number.NEGATIVE_INFINITY) ||
        (text(a) < text(b) ? 1 : -1),
    )[0];
}

function manyRows(world: World): void {
  it('are the same as by brute force, in whatever order they lie', { timeout: 120_000 }, async () => {
    const row = fc.record({
      sku: fc.integer({ min: 0, max: 2 }),
      at: fc.integer({ min: -2, max: 6 }),
      written: fc.option(fc.integer({ min: -2, max: 8 })),
      price: fc.option(fc.integer({ min: -1, max: 12 })),
    });
    const asker = fc.record({
      sku: fc.integer({ min: 0, max: 3 }),
      at: fc.integer({ min: -3, max: 8 }),
      recordedBy: fc.option(fc.integer({ min: -3, max: 9 }), { nil: undefined }),
    });
    let drawnViews = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 25 }),
        fc.array(asker, { minLength: 1, maxLength: 12 }),
        async (rows, askers) => {
          const text = (ms: number | null) => (ms === null ? null : time(ms));
          const view = await world.prices(
            `drawn${drawnViews++}`,
            rows.map(({ sku, at, written, price }) => [
              `s${sku}`,
              time(at),
              text(written),
              price === null ? null : String(price),
              null,
              null,
              null,
              null,
            ]),
          );
          const found = await world.past(
            view,
            ...askers.map(({ sku, at, recordedBy }): Asker => [`s${sku}`, at, recordedBy]),
          );
          expect(found.map(([price]) => price)).toEqual(
            askers.map(({ sku, at, recordedBy }) => bruteForce(rows, sku, at, recordedBy)?.price ?? null),
          );
        },
      ),
      { numRuns: 25 },
    );
  });
}

function faults(world: World): void {
  it.each([
    [
      'without a column of a feature',
      'absent',
      'at',
      /it has no column absent; it has sku, at, written, price/,
    ],
    ['whose time is none', 'price', 'price', /no time|invalid timestamp/],
  ])('refuse a source %s', async (_, column, timestamp, words) => {
    const view = await world.view(
      {
        name: 'unfit',
        columns: PRICES,
        keys: ['sku'],
        rows: [['p', time(1), null, '1.5', null, null, null, null]],
      },
      { timestamp },
      { x: { type: 'float64', column } },
    );
    const asked = world.past(view, ['p', 1_000]);
    await expect(asked).rejects.toMatchObject({ code: 'features.source_unfit' });
    await expect(asked).rejects.toThrow(words);
  });
}
