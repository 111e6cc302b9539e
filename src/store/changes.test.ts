import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limitsFrom } from '../kernel/limits.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { DatabaseChanges, tells } from './changes.ts';

/** Long enough that nothing here is found by the safety net. */
const NEVER_MS = 3_600_000;
const POLL_MS = 7;
const untold = { pollMs: POLL_MS, isLeftByOthers: true };
const told = { pollMs: POLL_MS, isLeftByOthers: false };

describe('What the database tells of changes', () => {
  let test: TestDatabase;
  const errors: unknown[] = [];
  const open = async () => {
    const changes = new DatabaseChanges({
      db: test.db,
      limits: { ...limitsFrom(), changesPollMs: NEVER_MS },
      onError: (error) => errors.push(error),
    });
    await changes.start();
    return changes;
  };

  beforeAll(async () => {
    test = await createTestDatabase([
      {
        name: '0001_shelves',
        sql: `create table shelves (id int primary key, label text, notes text); ${tells('shelves', 'insert or delete or update of label')}
              create table boxes (id int primary key); ${tells('boxes')}`,
      },
    ]);
  });
  afterAll(() => test.close());

  it('wakes who follows a table, once the change is committed, and nobody else', async () => {
    const changes = await open();
    const wakes: string[] = [];
    changes.follow(['shelves'], () => wakes.push('shelves'));
    const stop = changes.follow(['boxes'], () => wakes.push('boxes'));
    await test.db.transaction(async (tx) => {
      await tx.query("insert into shelves values (1, 'a', ''), (2, 'b', '')");
      await tx.query('insert into boxes values (1)');
      expect(wakes).toEqual([]);
    });
    await expect.poll(() => wakes.length, { timeout: 15_000 }).toBe(2);
    expect(wakes).toEqual(['shelves', 'boxes']); // two rows of one transaction are one message
    stop();
    await test.db.query('delete from boxes where id = 99'); // of no row
    await test.db.query("update shelves set notes = 'x'"); // of a column that nobody waits for
    await test.db.query('delete from boxes');
    await test.db.query("update shelves set label = 'c'");
    await expect.poll(() => wakes.length, { timeout: 15_000 }).toBe(3);
    expect(wakes.at(-1)).toBe('shelves');
    await changes.stop();
  });

  it('says how long a loop may wait: as long as nobody else is there, or what it waits for is told', async () => {
    const one = await open();
    expect(one.pauseMs(untold)).toBe(NEVER_MS);
    let wakes = 0;
    one.follow([], () => wakes++);
    const other = await open();
    await expect.poll(() => one.pauseMs(untold), { timeout: 15_000 }).toBe(POLL_MS);
    expect(other.pauseMs(untold)).toBe(POLL_MS);
    expect(one.pauseMs(told)).toBe(NEVER_MS);
    expect(wakes).toBe(1); // its loops go over to the other pace at once
    await other.stop();
    await one.stop();
    const alone = await open();
    expect(alone.pauseMs(untold)).toBe(NEVER_MS);
    await alone.stop();
  });

  it('lets every loop look by itself while its connection is away, and once when it is back', async () => {
    const changes = await open();
    const paces: number[] = [];
    changes.follow([], () => paces.push(changes.pauseMs(told)));
    await test.db.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'aios changes' and datname = current_database()",
    );
    await expect.poll(() => paces, { timeout: 15_000 }).toEqual([POLL_MS, NEVER_MS]);
    let wakes = 0;
    changes.follow(['boxes'], () => wakes++);
    await test.db.query('insert into boxes values (2)');
    await expect.poll(() => wakes, { timeout: 15_000 }).toBe(1);
    await changes.stop();
    expect(errors).toEqual([]);
  });

  it('tells of each try that failed to open its connection, and once when it stands', async () => {
    const told: string[] = [];
    let left = 2;
    const changes = new DatabaseChanges({
      db: { connect: () => (left-- > 0 ? Promise.reject(new Error('away')) : test.db.connect()) },
      limits: { ...limitsFrom(), changesPollMs: NEVER_MS },
      onError: (error) => void told.push((error as Error).message),
      onBack: () => void told.push('back'),
    });
    await changes.start();
    await expect.poll(() => told, { timeout: 15_000 }).toEqual(['away', 'away', 'back']);
    await changes.stop();
  });
});
