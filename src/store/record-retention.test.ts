import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../kernel/clock.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { write } from './lane.ts';
import { RecordRetention } from './record-retention.ts';

const MIGRATION = {
  name: '9000_passes',
  sql: 'create table passes (id int primary key, ended_at timestamptz); create table gone (count int not null)',
};

describe('records of work that is over', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase([MIGRATION]);
  });
  afterAll(() => database.close());
  const clock = new ManualClock(Date.UTC(2026, 0, 10));
  const open = (isFailing = false) =>
    new RecordRetention({
      ...{ db: database.db, clock },
      limits: { recordPassMs: 60_000, recordPruneMax: 10 },
      tables: [{ table: 'passes', over: 'ended_at < $1', keptMs: 86_400_000 }],
      record: ({ count }) =>
        write(
          {
            name: 'gone',
            order: 50,
            write: async (tx, items) => {
              if (isFailing) throw new Error('no record');
              await tx.query('insert into gone select * from unnest($1::int[])', [items]);
              return undefined;
            },
          },
          count,
        ),
      onError: (error) => {
        throw error;
      },
    });
  const left = async () =>
    (await database.db.query<{ id: number }>('select id from passes order by id')).map(({ id }) => id);

  it('go after their time, each once by whatever process, and what is under way stays', async () => {
    await database.db.query(
      `insert into passes select n, case when n > 1 then timestamptz '2026-01-10Z' - n * interval '1 hour' end from generate_series(1, 70) n`,
    );
    await expect(open(true).pass()).rejects.toThrow('no record');
    expect(await left()).toHaveLength(70); // without its record nothing goes
    const counts = await Promise.all([open().pass(), open().pass()]);
    await open().pass();
    expect(await left()).toEqual(Array.from({ length: 24 }, (_, n) => n + 1));
    const steps = await database.db.query<{ count: number }>('select count from gone');
    expect(steps.reduce((sum, { count }) => sum + count, 0)).toBe(46);
    expect(Math.max(...steps.map(({ count }) => count))).toBeLessThanOrEqual(10);
    expect(counts[0]! + counts[1]!).toBeLessThanOrEqual(46);
  });
});
