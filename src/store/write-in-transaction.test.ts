import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import type { Queryable } from './database.ts';
import { write } from './lane.ts';
import { writeInTransaction } from './write-in-transaction.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase([
    { name: '0001_notes', sql: 'create table notes (text text not null)' },
  ]);
});
afterAll(() => database.close());

const put = (tx: Queryable, text: string) => tx.query('insert into notes values ($1)', [text]);
const notes = () => database.db.query('select text from notes order by text');
const twice = {
  name: 'twice',
  order: 1,
  async write(tx: Queryable, texts: readonly string[]) {
    for (const text of texts) await put(tx, text);
    return undefined;
  },
};

it.each([
  ['the database refuses', (tx: Queryable) => tx.query('select 1 / 0').then(() => undefined)],
  ['is none that can be sent', () => Promise.reject(new RangeError('Invalid time value'))],
])('nothing is left of the writes beside one that %s', async (_, fail) => {
  const failing = { name: 'failing', order: 2, write: fail };
  const outcome = database.db.transaction((tx) =>
    writeInTransaction(tx, [write(twice, 'a'), write(twice, 'b'), write(twice, 'c'), write(failing, 0)]),
  );
  await expect(outcome).rejects.toThrow(/division by zero|Invalid time value/);
  await database.db.transaction((tx) => writeInTransaction(tx, [write(twice, 'kept')]));
  expect(await notes()).toEqual([{ text: 'kept' }]);
  await database.db.query('delete from notes');
});
