import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { largePage } from './large-pages.ts';

interface Kept {
  id: string;
  event: { text: string };
}

const COUNT = 12;
const EVENT_BYTES = JSON.stringify({ text: 'x'.repeat(90) }).length;
let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase([
    { name: 'kept', sql: 'create table kept (id text primary key, event json not null)' },
  ]);
  await database.db.query(
    `insert into kept select 'k' || lpad(n::text, 2, '0'), json_build_object('text', repeat('x', 90)) from generate_series(1, ${COUNT}) as n`,
  );
});
afterAll(() => database.close());

const pageOf = (limit: number, bytesMax: number, before?: string) =>
  largePage<Kept>(database.db, {
    select: 'select id, event from kept where $1::text is null or id < $1 order by id desc',
    values: [before ?? null],
    limit,
    bytesMax,
  });

it.each([
  ['by their number', 5, 1_000_000, [5, 5, 2]],
  ['by their bytes', 100, 3 * EVENT_BYTES + 20, [4, 4, 4]],
  ['one at the least', 100, 1, new Array(COUNT).fill(1)],
  ['all of them', COUNT, 1_000_000, [COUNT]],
])('pages end %s, and hold each row once in its order', async (_name, limit, bytesMax, lengths) => {
  const pages: Kept[][] = [];
  let before: string | undefined;
  do {
    const { items, nextCursor } = await pageOf(limit, bytesMax, before);
    pages.push(items);
    before = nextCursor ?? undefined;
  } while (before !== undefined);
  expect(pages.map(({ length }) => length)).toEqual(lengths);
  const ids = Array.from({ length: COUNT }, (_, n) => `k${String(COUNT - n).padStart(2, '0')}`);
  expect(pages.flat().map(({ id }) => id)).toEqual(ids);
  expect(Object.keys(pages[0]![0]!)).toEqual(['id', 'event']);
});

it('is empty where there is nothing', async () => {
  expect(await pageOf(5, 1000, 'k00')).toEqual({ items: [], nextCursor: null });
});
