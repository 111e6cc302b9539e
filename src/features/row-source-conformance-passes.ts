import { expect, it } from 'vitest';
import { time, type World } from './row-source-conformance-world.ts';

/** How the entities of a source are gone through. */
export function passes(world: World): void {
  const columns = {
    customer: 'bigint',
    product: 'text',
    at: 'timestamptz',
    written: 'timestamptz',
    units: 'bigint',
  } as const;
  const keys = ['customer', 'product'];
  const rows = [
    ['1', 'a', time(1_000), time(1_000), '1'],
    ['1', 'a', time(2_000), time(2_000), '2'],
    ['1', 'b', time(1_000), time(1_000), '3'],
    ['2', 'a', time(1_000), time(1_000), '4'],
    ['10', 'a', time(1_000), time(1_000), '5'],
    ['10', 'z', time(900_000), time(1_000), '6'],
    [null, 'z', time(1_000), time(1_000), '7'],
    ['3', 'late', time(1_500), time(60_000), '8'],
  ];
  const open = (name: string) =>
    world.view(
      { name, columns, keys, rows },
      { timestamp: 'at', created: 'written' },
      { units: { type: 'int64' } },
      { types: { customer: 'int64' } },
    );

  it('go through every entity with its newest row, page by page, in the order of the keys', async () => {
    const { total, rows: found } = await world.pages(await open('paged'), { toMs: 100_000 }, 2);
    expect(total).toBe(5);
    expect(found.map(({ keys: key, values }) => [...key, values.units])).toEqual([
      ['1', 'a', 2],
      ['1', 'b', 3],
      ['2', 'a', 4],
      ['3', 'late', 8],
      ['10', 'a', 5],
    ]);
    expect(found[0]).toMatchObject({ timeMs: 2_000, createdMs: 2_000, validToMs: null });
  });

  it('that are incremental take what came in since, late rows by when they were written', async () => {
    const { total, rows: found } = await world.pages(
      await open('since'),
      { fromMs: 50_000, toMs: 100_000 },
      10,
    );
    expect([total, found.map(({ keys: key }) => key)]).toEqual([1, [['3', 'late']]]);
  });

  it('go on after a place, in another process too', async () => {
    const view = await open('resumed');
    const { source, tx } = world.test;
    const page = await source.page(tx, view, { toMs: 100_000, after: ['2', 'a'], countMax: 10 });
    expect(page.map(({ keys: key }) => key)).toEqual([
      ['3', 'late'],
      ['10', 'a'],
    ]);
  });
}
