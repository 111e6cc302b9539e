import pg from 'pg';
import { expect, it } from 'vitest';
import { createTestDatabase } from '../testing/database.ts';
import { openDatabase } from './database.ts';

/** What operators set for a whole database, and what changes the form of values or the meaning of a transaction. */
const THEIRS = {
  timezone: 'Asia/Kolkata',
  datestyle: 'SQL, DMY',
  intervalstyle: 'sql_standard',
  bytea_output: 'escape',
  extra_float_digits: '-15',
  default_transaction_isolation: 'serializable',
};

it('A database is read alike, whatever its operator has set for it', async () => {
  const database = await createTestDatabase([]);
  const { rows } = await inSession(database.url, 'select current_database() as name');
  for (const [name, value] of Object.entries(THEIRS))
    await inSession(database.url, `alter database ${rows[0].name} set ${name} = '${value}'`);
  const asked = `select '2026-11-22T10:00:00Z'::timestamptz as time, '2026-11-22'::date::text as date, '\\x00ff'::bytea as bytes, 0.1::float8 + 0.2 as sum,
    (interval '90 minutes')::text as interval, current_setting('transaction_isolation') as isolation`;
  const plain = await inSession(database.url, asked);
  expect(plain.rows[0]).toMatchObject({ date: '22/11/2026', interval: '1:30:00', isolation: 'serializable' });
  const db = await openDatabase(database.target, 1);
  const connection = await db.connect();
  const expected = {
    time: Date.parse('2026-11-22T10:00:00Z'),
    date: '2026-11-22',
    bytes: Buffer.from([0, 255]),
    sum: 0.1 + 0.2,
    interval: '01:30:00',
    isolation: 'read committed',
  };
  expect(await db.query(asked)).toEqual([expected]);
  expect(await connection.query(asked)).toEqual([expected]);
  await connection.close();
  await db.close();
  await database.close();
});

it('What the address of a database asks of its sessions is kept, beside what AIOS asks', async () => {
  const database = await createTestDatabase([]);
  const options = encodeURIComponent('-c search_path=theirs -c work_mem=5MB');
  const db = await openDatabase({ connectionString: `${database.url}?options=${options}` }, 1);
  expect(
    await db.query(
      "select current_setting('search_path') as path, current_setting('work_mem') as memory, current_setting('jit') as jit",
    ),
  ).toEqual([{ path: 'theirs', memory: '5MB', jit: 'off' }]);
  await db.close();
  await database.close();
});

async function inSession(url: string, text: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(text);
  } finally {
    await client.end();
  }
}
