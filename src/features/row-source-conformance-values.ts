import { expect, it } from 'vitest';
import { type ColumnType, HELD, time, type World } from './row-source-conformance-world.ts';

/** What a source makes of times without an end, and of values that are not of the type that a feature says. */
export function values(world: World): void {
  rowsForEver(world);
  valuesOfOtherTypes(world);
  keysAsWritten(world);
}

function keysAsWritten(world: World): void {
  it('are found by their keys as the source writes them, as online, not by what else their type reads', async () => {
    const view = await world.view(
      {
        name: 'numbered',
        columns: HELD,
        keys: ['customer'],
        rows: [['7', time(0).slice(0, -1), null, 'basic']],
      },
      { validFrom: 'valid_from', validTo: 'valid_to' },
      { plan: { type: 'string' } },
    );
    const { rows } = await world.pages(view, { toMs: 1_000 }, 10);
    const online = new Set(rows.flatMap(({ keys }) => keys));
    const asked = ['7', '007', '+7', ' 7', '7 '];
    const found = await world.past(view, ...asked.map((key): [string, number] => [key, 1_000]));
    expect(found.flat()).toEqual(asked.map((key) => (online.has(key) ? 'basic' : null)));
    expect(found[0]).toEqual(['basic']);
  });
}

function rowsForEver(world: World): void {
  it('may begin or end at infinity: what ends there holds for good, what begins there never does', async () => {
    const day = (n: number) => time(n * 86_400_000).slice(0, -1);
    const view = await world.view(
      {
        name: 'endless',
        columns: { ...HELD, since: 'timestamptz' },
        keys: ['customer'],
        rows: [
          ['1', '-infinity', day(1), 'first', '-infinity'],
          ['1', day(1), 'infinity', 'second', 'infinity'],
          ['2', 'infinity', null, 'never', null],
          ['3', day(1), '-infinity', 'over', day(1)],
        ],
      },
      { validFrom: 'valid_from', validTo: 'valid_to' },
      { plan: { type: 'string' }, since: { type: 'timestamp' } },
      { types: { customer: 'int64' } },
    );
    const farMs = Date.parse('9999-12-31T00:00:00Z');
    expect(
      await world.past(view, ['1', 0], ['1', 86_400_000], ['1', farMs], ['2', farMs], ['3', farMs]),
    ).toEqual([
      ['first', null],
      ['second', null],
      ['second', null],
      [null, null],
      [null, null],
    ]);
    const { total, rows } = await world.pages(view, { toMs: farMs }, 10);
    expect([total, rows.map(({ keys, validToMs }) => [...keys, validToMs === null])]).toEqual([
      2,
      [
        ['1', true],
        ['3', false],
      ],
    ]);
    const found = await world.pages(view, { toMs: 1 }, 10);
    expect(found.rows.map(({ values }) => values.plan)).toEqual(['first']);
  });
}

function valuesOfOtherTypes(world: World): void {
  const stock = (type: ColumnType, value: string) =>
    world.view(
      {
        name: `typed_${type.replaceAll(' ', '_')}`,
        columns: { sku: 'text', at: 'timestamptz', stock: type },
        keys: ['sku'],
        rows: [['p', time(1), value]],
      },
      { timestamp: 'at' },
      { stock: { type: 'int64' } },
    );

  it.each([
    ['a fraction', 'double precision', '3.7', /3\.7/],
    ['a word', 'text', 'many', /many/],
  ] as const)('refuse %s for a whole number, as a fault of the source', async (_, type, value, words) => {
    const view = await stock(type, value);
    for (const ask of [() => world.past(view, ['p', 1_000]), () => world.pages(view, { toMs: 1_000 }, 10)]) {
      const asked = ask();
      await expect(asked).rejects.toMatchObject({ code: 'features.source_unfit' });
      await expect(asked).rejects.toThrow(words);
    }
  });

  it.each(['double precision', 'text'] as const)('take a whole number from a column of %s', async (type) => {
    expect(await world.past(await stock(type, '4'), ['p', 1_000])).toEqual([[4]]);
  });
}
