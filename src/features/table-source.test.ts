import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { compileRowView } from './row-view.ts';
import { TableSources } from './table-source.ts';

describe('a table that changes under its view', () => {
  let database: TestDatabase;
  let source: TableSources;
  const sql = (text: string) => database.db.queryDynamic(text);
  beforeAll(async () => {
    database = await createTestDatabase([]);
    source = new TableSources(database.db, ['shop']);
    await sql('create schema shop');
  });
  afterAll(() => database.close());

  const VIEW = compileRowView(
    1,
    {
      name: 'prices',
      entity: 'product',
      source: { table: 'shop.prices', timestamp: 'at' },
      features: { price: { type: 'float64' } },
    },
    { joinKeys: ['sku'] },
  );
  const past = async (key: string) => {
    const [row] = await source.history(VIEW, [{ keys: [key], entity: key, asOf: { timeMs: 1_000 } }]);
    return row?.values.price;
  };
  const pass = async () => {
    await source.count(database.db, VIEW, { toMs: 1_000 });
    return source.page(database.db, VIEW, { toMs: 1_000, countMax: 10 });
  };
  const unfit = (words: string) => ({
    code: 'features.source_unfit',
    message: expect.stringContaining(words),
  });
  const remade = async (columns: string, row: string) => {
    await sql('drop table if exists shop.prices');
    await sql(`create table shop.prices (${columns}); create index on shop.prices (sku, at)`);
    await sql(`insert into shop.prices values (${row})`);
  };

  it('is looked at again when it is another one: keys and times of other types are found', async () => {
    await remade('sku bigint, at timestamptz, price numeric', "7, 'epoch', 1.5");
    expect(await past('7')).toBe(1.5);
    await sql('alter table shop.prices alter column sku type text');
    expect(await past('7')).toBe(1.5);
    expect(await pass()).toMatchObject([{ keys: ['7'] }]);
    await remade('sku bigint, at bigint, price numeric', '7, 0, 2.5');
    expect(await past('7')).toBe(2.5);
    await sql('alter table shop.prices alter column sku type text');
    expect(await pass()).toMatchObject([{ keys: ['7'], values: { price: 2.5 } }]);
  });

  it('is told as a fault of the source: a table that is gone, a column, a time that is none', async () => {
    await remade('sku text, at timestamptz, price numeric', "'a', 'epoch', 1");
    expect(await past('a')).toBe(1);
    await sql('alter table shop.prices alter column at type text');
    for (const ask of [() => past('a'), pass])
      await expect(ask()).rejects.toMatchObject(unfit('at is of type text'));
    await sql('alter table shop.prices drop column price');
    for (const ask of [() => past('a'), pass])
      await expect(ask()).rejects.toMatchObject(unfit('no column price'));
    await sql('drop table shop.prices');
    for (const ask of [() => past('a'), pass])
      await expect(ask()).rejects.toMatchObject(unfit('there is no such table'));
  });

  it.each([
    ['varchar(4)', 'abcd', ['abcde', 'ABCD']],
    ['char(6)', 'abcd', ['abcd  ', 'abcd!!!']],
    [
      'uuid',
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
      ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'],
    ],
    ['boolean', 'true', ['t', 'yes']],
  ])(
    'whose key is a %s has it as it writes it: no other text is cut or read to it',
    async (type, key, others) => {
      await remade(`sku ${type}, at timestamptz, price numeric`, `'${key}', 'epoch', 1.5`);
      expect((await pass()).map(({ keys }) => keys)).toEqual([[key]]);
      expect(await past(key)).toBe(1.5);
      for (const other of others) expect(await past(other)).toBeUndefined();
    },
  );

  it('that holds a word for a number is no fault of a key; a key of another type is', async () => {
    await remade('sku bigint, at timestamptz, price text', "7, 'epoch', 'cheap'");
    for (const ask of [() => past('7'), pass]) await expect(ask()).rejects.toMatchObject(unfit('cheap'));
    for (const key of ['seven', '9223372036854775808'])
      await expect(past(key)).rejects.toMatchObject({
        code: 'features.invalid_key',
        message: expect.stringContaining(key),
      });
  });
});
