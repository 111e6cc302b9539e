import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definitionMigrations } from '../../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { registerGroup } from '../group-offsets.ts';
import { eventMigrations } from '../migrations.ts';
import { beginAt } from '../retention/segments.ts';
import { completeReplays, endReplay, insertReplay, readReplay } from './replay-store.ts';

describe('the rows of replays and groups', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase([...definitionMigrations, ...eventMigrations]);
  });
  afterAll(() => database.close());

  const isWaitedFor = async () => {
    const waiting =
      'select from pg_stat_activity where datname = current_database() and wait_event_type = $1';
    while ((await database.db.query(waiting, ['Lock'])).length === 0) await sleep(5);
  };

  it('end a replay that is canceled in the moment in which it is done, without a deadlock', async () => {
    const { db } = database;
    const none = new Array(8).fill(0);
    await insertReplay(db, {
      ...{ id: 'rpl_1', target: { consumer: 'g' }, selection: {}, from: none, until: none },
      ...{ createdBy: 'me', createdAt: 0 },
    });
    let completing: Promise<void> | undefined;
    await db.transaction(async (tx) => {
      await tx.query(
        "select from event_consumers where consumer_group = 'replay:rpl_1' order by partition for update",
      );
      completing = completeReplays(db);
      await isWaitedFor();
      expect(await endReplay(tx, 'rpl_1', 'canceled')).toBe(true);
    });
    await completing;
    expect(await readReplay(db, 'rpl_1')).toMatchObject({ status: 'canceled' });
  });

  it('begin a new group where the log does, also while a part of it is dropped', async () => {
    const { db } = database;
    const ends = new Array(8).fill(7);
    let registering: Promise<void> | undefined;
    await db.transaction(async (tx) => {
      await tx.query('select from event_head for update'); // as a drop does
      await beginAt(tx, ends);
      registering = registerGroup(db, 'new', 'earliest');
      await Promise.race([registering, isWaitedFor()]);
    });
    await registering;
    const rows = await db.query('select log_offset from event_consumers where consumer_group = $1', ['new']);
    expect(rows).toEqual(ends.map((offset) => ({ log_offset: offset })));
  });
});
