import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { classify, type DedicatedConnection, type Statement } from './database.ts';
import { prepared } from './prepared.ts';

const migrations = [
  {
    name: '0001_notes',
    sql: 'create table notes (id text primary key, n bigint, at timestamptz, body json)',
  },
];
const INSERT = 'insert into notes (id, n) select * from unnest($1::text[], $2::bigint[])';
const COUNT = 'select count(*) as count from notes';

describe('Statements sent in one packet', () => {
  let database: TestDatabase;
  let connection: DedicatedConnection;
  beforeAll(async () => {
    database = await createTestDatabase(migrations);
  });
  afterAll(() => database.close());
  beforeEach(async () => {
    await database.db.query('delete from notes');
    connection = await database.db.connect();
  });
  afterEach(() => connection.close());
  const transact = (statements: readonly Statement[]) =>
    connection.transact(statements.map(({ text, values }) => prepared(text, values)));

  it('are one transaction, and each has its rows, the first time and when their shape is known', async () => {
    for (const id of ['first', 'second']) {
      const [xact, inserted, rows, again] = await transact([
        { text: 'select pg_current_xact_id()::text as id', values: [] },
        { text: INSERT, values: [[id], [2 ** 40]] },
        {
          text: `select id, n, null as nothing, $2::json as body, 'epoch'::timestamptz as at from notes where id = $1`,
          values: [id, { deep: [1] }],
        },
        { text: 'select pg_current_xact_id()::text as id', values: [] },
      ]);
      expect(xact).toEqual(again);
      expect(inserted).toEqual([]);
      expect(rows).toEqual([{ id, n: 2 ** 40, nothing: null, body: { deep: [1] }, at: 0 }]);
    }
    expect(await database.db.query(COUNT)).toEqual([{ count: 2 }]);
    expect(await transact([])).toEqual([]);
  });

  it('leave nothing behind when one of them fails, and those behind it are parsed when they come again', async () => {
    const last = { text: 'select n + 1 as next from notes where id = $1', values: ['a'] };
    const failing = transact([
      { text: INSERT, values: [['a'], [1]] },
      { text: 'select 1 / $1::int as never', values: [0] },
      last,
    ]);
    await expect(failing).rejects.toMatchObject({ code: '22012' });
    expect(await database.db.query(COUNT)).toEqual([{ count: 0 }]);
    expect(await transact([{ text: INSERT, values: [['a'], [1]] }, last])).toEqual([[], [{ next: 2 }]]);
  });

  it('leave nothing behind when the commit itself fails', async () => {
    await database.db.query('create table parents (id text primary key)');
    await database.db.query(
      'create table children (parent text references parents deferrable initially deferred)',
    );
    const orphan = transact([
      { text: INSERT, values: [['b'], [1]] },
      { text: 'insert into children values ($1)', values: ['nobody'] },
    ]);
    await expect(orphan).rejects.toMatchObject({ code: '23503' });
    expect(await database.db.query(COUNT)).toEqual([{ count: 0 }]);
  });

  it('are not begun when a value cannot be sent', async () => {
    const circular: { self?: unknown } = {};
    circular.self = circular;
    const refused = transact([
      { text: INSERT, values: [['c'], [1]] },
      { text: 'select $1::json', values: [circular] },
    ]);
    await expect(refused).rejects.toThrow('circular');
    expect(await transact([{ text: COUNT, values: [] }])).toEqual([[{ count: 0 }]]);
  });

  it('stand in line with other queries of the connection', async () => {
    const [one, packet, two] = await Promise.all([
      connection.query('select 1 as one'),
      transact([
        { text: 'select 2 as two', values: [] },
        { text: 'select 3 as three', values: [] },
      ]),
      connection.query('select 4 as four'),
    ]);
    expect([one, packet, two]).toEqual([[{ one: 1 }], [[{ two: 2 }], [{ three: 3 }]], [{ four: 4 }]]);
  });

  it('fail as lost when the connection ends under them', async () => {
    const [session] = await connection.query<{ pid: number }>('select pg_backend_pid() as pid');
    const waiting = transact([{ text: 'select pg_sleep($1)', values: [60] }]);
    const told = waiting.catch((error: unknown) => classify(error));
    await expect
      .poll(() => database.db.query('select pg_terminate_backend($1) as done', [session!.pid]), {
        timeout: 15_000,
      })
      .toEqual([{ done: true }]);
    expect(await told).toBe('lost');
    await expect.poll(() => connection.lost, { timeout: 15_000 }).toBe(true);
  });
});
