import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import type { Queryable } from '../store/database.ts';
import { GroupCommit } from '../store/group-commit.ts';
import { type Lane, write } from '../store/lane.ts';
import { writeInTransaction } from '../store/write-in-transaction.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { event } from './event-under-test.ts';
import type { Appended } from './head.ts';
import { putKeysAway } from './keys.ts';
import { EventLog } from './log.ts';
import { eventMigrations } from './migrations.ts';

describe('appending from what a process knows of the log', () => {
  let database: TestDatabase;
  let log: EventLog;
  beforeEach(async () => {
    database = await createTestDatabase(eventMigrations);
    log = new EventLog({ ...database, clock: systemClock });
  });
  afterEach(() => database.close());

  const other = (limits = database.limits) =>
    new EventLog({ ...database, clock: systemClock, limits, commit: new GroupCommit(database.db, limits) });
  const append = async (to: EventLog, ...ids: string[]) =>
    (await to.append(ids.map((id) => event(id)))).map((outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason;
      return outcome.value;
    });
  const duplicates = async (to: EventLog, ...ids: string[]) =>
    (await append(to, ...ids)).map(({ duplicate }) => duplicate);
  const logged = async () =>
    (
      await database.db.query<{ id: string }>(
        "select event->>'id' as id from events order by partition, log_offset",
      )
    ).map(({ id }) => id);
  const ids = (from: number, until: number) => Array.from({ length: until - from }, (_, n) => `e${from + n}`);
  /** Each event once, and no offset left out. */
  const expectWhole = async (count: number) => {
    const seen = await logged();
    expect([seen.length, new Set(seen).size]).toEqual([count, count]);
    expect((await log.head()).reduce((sum, next) => sum + next, 0)).toBe(count);
  };

  it('writes a row for what a flush brings of a partition, of 256 events and 256 KiB at most', async () => {
    await append(log, 'first');
    const one = { partitionkey: 'one' };
    await log.append(Array.from({ length: 300 }, (_, n) => event(`s${n}`, one)));
    await log.append(
      Array.from({ length: 3 }, (_, n) => event(`l${n}`, { ...one, data: 'x'.repeat(300_000) })),
    );
    const rows = await database.db.query<{ count: number }>(
      'select count from event_batches where count > 1 or length(events) > 1000 order by first_offset',
    );
    expect(rows.map(({ count }) => count)).toEqual([256, 44, 1, 1, 1]);
    const [{ partition }] = (await database.db.query<{ partition: number }>(
      'select partition from event_batches where count = 256',
    )) as [{ partition: number }];
    const from = (await log.head())[partition]! - 303;
    // From anywhere in the middle, by a process that has none of it in memory.
    for (const [offset, count] of [
      [0, 5],
      [250, 20],
      [255, 1],
      [256, 1],
      [299, 4],
    ] as const) {
      const read = await other().read(partition, from + offset, count);
      expect(read.map((found) => found.offset)).toEqual(
        Array.from({ length: count }, (_, n) => from + offset + n),
      );
    }
  });

  it('knows after a start what was logged before', async () => {
    const first = await append(log, ...ids(0, 1000));
    const again = await append(other(), ...ids(0, 1000), 'new');
    expect(again.slice(0, 1000)).toEqual(first.map((place) => ({ ...place, duplicate: true })));
    expect(again[1000]!.duplicate).toBe(false);
  });

  it('finds out at its next flush that another process has appended', async () => {
    const twin = other();
    await append(log, 'a');
    await append(twin, 'b');
    expect(await duplicates(log, 'b', 'c', 'c')).toEqual([true, false, true]);
    expect(await duplicates(twin, 'c', 'a', 'd')).toEqual([true, true, false]);
    await expectWhole(4);
  });

  it('keeps each event once while two processes append the same, many at a time', async () => {
    const twin = other();
    const rounds = Array.from({ length: 20 }, (_, round) => ids(round * 50, round * 50 + 100));
    await Promise.all([log, twin].flatMap((to) => rounds.map((round) => append(to, ...round))));
    await expectWhole(1050);
  });

  it('takes nothing for logged of a transaction that was rolled back', async () => {
    await append(log, 'before');
    const rolledBack = database.db.transaction(async (tx) => {
      await writeInTransaction(tx, [log.write(event('gone'))]);
      throw new Error('changed its mind');
    });
    await expect(rolledBack).rejects.toThrow('changed its mind');
    expect(await duplicates(log, 'gone', 'before')).toEqual([false, true]);
    await expectWhole(2);
  });

  it('takes nothing for logged of a transaction that appended twice and was rolled back', async () => {
    const rolledBack = database.db.transaction(async (tx) => {
      await writeInTransaction(tx, [log.write(event('one'))]);
      const [again] = (await writeWithResults(tx, log, 'one', 'two')) as [Appended];
      expect(again.duplicate).toBe(true);
      throw new Error('changed its mind');
    });
    await expect(rolledBack).rejects.toThrow('changed its mind');
    expect(await duplicates(log, 'one', 'two')).toEqual([false, false]);
    await expectWhole(2);
  });

  it('knows what a transaction appended whose commit nobody told it of', async () => {
    await database.db.transaction((tx) => writeInTransaction(tx, [log.write(event('told'))]));
    expect(await duplicates(log, 'told', 'next')).toEqual([true, false]);
    expect(await duplicates(log, 'told', 'next')).toEqual([true, true]);
    await expectWhole(2);
  });

  it('makes a flush again that was made for the outcome of one that failed', async () => {
    await append(log, 'before');
    const odd: Lane<string> = {
      name: 'odd',
      order: 90,
      plan: () => ({ statements: [{ text: 'select 1 / (select 0)', values: [] }] }),
      write: () => Promise.reject(Object.assign(new Error('no'), { code: '22023' })),
    };
    // The first fails with all that stands in it; the second, of 600 at once, is made while the first is under way, and says again what was in it.
    const failing = database.commit.commit([log.write(event('e0')), write(odd, 'x')]);
    const second = append(log, ...ids(0, 600));
    await expect(failing).rejects.toMatchObject({ code: 'store.refused_value' });
    expect((await second).filter(({ duplicate }) => duplicate)).toEqual([]);
    expect(await duplicates(log, ...ids(0, 600))).toEqual(new Array(600).fill(true));
    await expectWhole(601);
  });

  it('keeps what a flush brought that a transaction seemed to have overtaken', async () => {
    await append(log, 'before');
    const waiting = () =>
      database.db.query(
        "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
      );
    let overtaking: Promise<unknown> | undefined;
    let first: Promise<unknown> | undefined;
    let second: Promise<boolean[]> | undefined;
    const rollBack = Promise.withResolvers<void>();
    await database.db.transaction(async (tx) => {
      await tx.query('select from event_head for update');
      first = append(log, 'a');
      await expect.poll(waiting).toHaveLength(1);
      overtaking = database.db.transaction(async (own) => {
        await writeInTransaction(own, [log.write(event('e0')), log.write(event('gone'))]);
        await rollBack.promise;
        throw new Error('changed its mind');
      });
      overtaking.catch(() => {});
      await expect.poll(waiting).toHaveLength(2);
      // So many that the flush is made while the first one is under way; it is sent behind it, and finds the transaction before it.
      second = duplicates(log, ...ids(0, 600));
    });
    await first;
    // Postgres wakes the transaction when the first flush commits; on a busy machine the second one finds the head free before it is awake, and is written first.
    let isWritten = false;
    const written = () => {
      isWritten = true;
    };
    second?.then(written, written);
    await expect
      .poll(async () => isWritten || (await waiting()).length === 1)
      .toBe(true)
      .finally(rollBack.resolve);
    await expect(overtaking).rejects.toThrow('changed its mind');
    expect(await second).toEqual(new Array(600).fill(false));
    expect(await duplicates(log, 'gone', ...ids(0, 600))).toEqual([false, ...new Array(600).fill(true)]);
    await expectWhole(603);
  });

  it('holds no table while it waits for the head: whoever drops one has the head, and waits for the table', async () => {
    await append(log, 'before');
    let appending: Promise<unknown> | undefined;
    await database.db.transaction(async (tx) => {
      await tx.query('select from event_head for update');
      appending = append(log, 'meanwhile');
      await expect
        .poll(() =>
          database.db.query(
            "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
          ),
        )
        .toHaveLength(1);
      await tx.query("set local lock_timeout = '500ms'");
      await tx.query('lock table event_batches, event_keys in access exclusive mode');
    });
    await appending;
    await expectWhole(2);
  });

  it('holds so many keys in memory, and looks the others up', async () => {
    const small = other({ ...database.limits, eventKeysRecentMax: 400 });
    for (let from = 0; from < 3000; from += 100) await append(small, ...ids(from, from + 100));
    let more = 0;
    // Keys are put away beside the appends, when one finds that there are too many.
    const oneMore = async () => {
      await append(small, `more-${more++}`);
      return putAway();
    };
    await expect.poll(oneMore, { timeout: 30_000 }).toBeGreaterThan(2000);
    expect(await duplicates(small, ...ids(0, 3000))).toEqual(new Array(3000).fill(true));
    expect(await duplicates(log, ...ids(0, 3000), 'new')).toEqual([...new Array(3000).fill(true), false]);
    await expectWhole(3001 + more);
  });

  it('goes on appending while keys are put away', async () => {
    let isOver = false;
    const putting = (async () => {
      while (!isOver) await putKeysAway(database.db, 100);
    })();
    for (let from = 0; from < 2000; from += 50) await append(log, ...ids(from, from + 100));
    // On a busy machine the appends end first.
    await expect.poll(putAway).toBeGreaterThan(1000);
    isOver = true;
    await putting;
    await expectWhole(2050);
  });

  it('makes a few flushes anew when keys were put away, however many come behind them', async () => {
    await append(log, 'before');
    const { lane } = log.write(event('any'));
    const madeAnew = vi.spyOn(lane, 'write');
    const appends: Promise<unknown>[] = [];
    // Eight at a time, so that the next flush is always made while one is under way.
    for (let nth = 0; nth < 200; nth++) {
      appends.push(append(log, ...ids(nth * 400, nth * 400 + 400)));
      if (nth >= 8) await appends[nth - 8];
      if (nth === 20) await putKeysAway(database.db, 1000);
    }
    await Promise.all(appends);
    expect(await putAway()).toBeGreaterThan(1000);
    expect(madeAnew.mock.calls.length).toBeGreaterThan(0);
    expect(madeAnew.mock.calls.length).toBeLessThan(10);
    await expectWhole(80_001);
  });

  async function putAway(): Promise<number> {
    const [row] = await database.db.query<{ count: number | null }>(
      'select sum(length(keys) / 16)::int as count from event_keys',
    );
    return row!.count ?? 0;
  }
});

async function writeWithResults(tx: Queryable, log: EventLog, ...ids: string[]): Promise<unknown> {
  const writes = ids.map((id) => log.write(event(id)));
  return writes[0]!.lane.write(
    tx,
    writes.map(({ item }) => item),
  );
}
