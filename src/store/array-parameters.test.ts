import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { arrayParametersOf } from './array-parameters.ts';
import { timestamp } from './rows.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase([]);
});
afterAll(() => database.close());

const orNull = <T>(values: fc.Arbitrary<T>) => fc.array(fc.option(values), { maxLength: 20 });
const text = fc.string({ unit: 'binary' }).filter((each) => !each.includes('\0') && each.isWellFormed());

it.each([
  ['text', orNull(text), 'value'],
  ['json', orNull(fc.json()), 'value::text'],
  ['smallint', orNull(fc.integer({ min: -32_768, max: 32_767 })), 'value'],
  ['int', orNull(fc.integer()), 'value'],
  ['bigint', orNull(fc.maxSafeInteger()), 'value'],
  ['float8', orNull(fc.double()), 'value'],
  ['uuid', orNull(fc.uuid()), 'value'],
] as const)('what is written as %s[] is what is read', async (type, lists, read) => {
  await fc.assert(
    fc.asyncProperty(lists as fc.Arbitrary<unknown[]>, async (list) => {
      const rows = await database.db.query<{ value: unknown }>(
        `select ${read} as value from unnest($1::${type}[]) with ordinality as t(value, place) order by place`,
        [list],
      );
      expect(rows.map(({ value }) => value)).toEqual(list);
    }),
    { numRuns: 60 },
  );
});

it('times, bytes and real numbers too', async () => {
  const times = [0, 1_767_225_600_123, -5_000, Date.UTC(1999, 11, 31, 23, 59, 59, 999)];
  const [row] = await database.db.query<{ times: number[]; bytes: string[]; reals: number[] }>(
    `select (select array_agg(round(extract(epoch from t) * 1000)::float8) from unnest($1::timestamptz[]) t) as times,
       (select array_agg(encode(b, 'hex')) from unnest($2::bytea[]) b) as bytes, $3::real[] as reals`,
    [times.map(timestamp), [Buffer.from('00ff41', 'hex'), Buffer.alloc(0)], [0.5, -2]],
  );
  expect(row).toEqual({ times, bytes: ['00ff41', ''], reals: [0.5, -2] });
});

it('only arrays are taken, by the casts of the statement', () => {
  const parameters = arrayParametersOf('select $1::text, $2::json[], $3, $4::xid8[], $2::text[]');
  expect(parameters.map((each) => each?.oid)).toEqual([undefined, 114, undefined, undefined]);
});

it('a value that Postgres refuses is refused as before', async () => {
  await expect(database.db.query('select * from unnest($1::json[])', [['{"open":']])).rejects.toMatchObject({
    code: '22P02',
  });
  await expect(database.db.query('select * from unnest($1::text[])', [['a\0b']])).rejects.toMatchObject({
    code: '22021',
  });
});
