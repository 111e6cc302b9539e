import { expect, it } from 'vitest';
import { type Asker, HELD, time, type World } from './row-source-conformance-world.ts';

/** Rows that do not count for ever. */
export function rowsThatEnd(world: World): void {
  it('count as long as the view says, and between their two times where they have two', async () => {
    const view = await world.prices('aging', [['p', time(1_000), null, '1', null, null, null, null]], '10s');
    expect((await world.past(view, ['p', 11_000], ['p', 11_001])).map(([price]) => price)).toEqual([1, null]);
    const held = await world.view(
      {
        name: 'held',
        columns: HELD,
        keys: ['customer'],
        rows: [
          ['5', time(0).slice(0, -1), time(10_000).slice(0, -1), 'basic'],
          ['5', time(10_000).slice(0, -1), time(20_000).slice(0, -1), 'plus'],
          ['5', time(30_000).slice(0, -1), null, 'again'],
        ],
      },
      { validFrom: 'valid_from', validTo: 'valid_to' },
      { plan: { type: 'string' } },
      { types: { customer: 'int64' } },
    );
    const asked = [0, 9_999, 10_000, 20_000, 30_000].map((ms): [string, number] => ['5', ms]);
    expect((await world.past(held, ...asked)).flat()).toEqual(['basic', 'basic', 'plus', null, 'again']);
    await expect(world.past(held, ['5', 1, 1])).rejects.toMatchObject({ code: 'features.no_cutoff' });
    await expect(world.past(held, ['5x', 1])).rejects.toMatchObject({ code: 'features.invalid_key' });
  });
}

/** As two changes in one tick of a clock leave them, and a row that was closed for the time that it was opened. */
export function rowsOfOneBegin(world: World): void {
  it('that are held from one time on: the one that holds longest counts, and of those that overlap the one that began last', async () => {
    const at = (ms: number | null) => (ms === null ? null : time(ms).slice(0, -1));
    const rows = [
      ['5', at(0), at(10_000), 'first'],
      ['5', at(10_000), at(10_000), 'z: held for no time'],
      ['5', at(10_000), null, 'basic'],
      ['6', at(0), at(5_000), 'z: short'],
      ['6', at(0), at(9_000), 'long'],
      ['7', at(0), null, 'open'],
      ['7', at(2_000), at(4_000), 'within'],
      ['8', at(1_000), at(1_000), 'never'],
      ['9', at(1_000), at(2_000), 'z: closed'],
      ['9', at(1_000), 'infinity', 'a: for ever'],
      ['9', at(1_000), null, 'b: open'],
    ];
    for (const [index, given] of [rows, rows.toReversed()].entries()) {
      const view = await world.view(
        { name: `begun${index}`, columns: HELD, keys: ['customer'], rows: given },
        { validFrom: 'valid_from', validTo: 'valid_to' },
        { plan: { type: 'string' } },
        { types: { customer: 'int64' } },
      );
      const asked: Asker[] = [
        ['5', 9_999],
        ['5', 10_000],
        ['6', 8_999],
        ['6', 9_000],
      ];
      const more: Asker[] = [
        ['7', 3_000],
        ['7', 4_000],
        ['8', 1_000],
        ['9', 3_000],
      ];
      expect((await world.past(view, ...asked, ...more)).flat()).toEqual([
        ...['first', 'basic', 'long', null],
        ...['within', null, null, 'b: open'],
      ]);
      const { rows: paged } = await world.pages(view, { toMs: 20_000 }, 2);
      expect(paged.map(({ values: { plan } }) => plan)).toEqual([
        ...['basic', 'long', 'within', 'never', 'b: open'],
      ]);
    }
  });
}
