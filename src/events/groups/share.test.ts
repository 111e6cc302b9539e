import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.ts';
import type { LoggedEvent } from '../../kernel/cloudevent.ts';
import { AiosError } from '../../kernel/errors.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import type { Database } from '../../store/database.ts';
import { definitionMigrations } from '../../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { EventConsumers } from '../consumers.ts';
import { event } from '../event-under-test.ts';
import type { Appended } from '../head.ts';
import { EventLog } from '../log.ts';
import { eventMigrations } from '../migrations.ts';
import { type Appendix, Membership } from './membership.ts';

describe('what a process has of a group', () => {
  let database: TestDatabase;
  let log: EventLog;
  beforeAll(async () => {
    database = await createTestDatabase([...definitionMigrations, ...eventMigrations], 'consumerPollMs=20');
    log = new EventLog({ ...database, clock: systemClock });
  });
  afterAll(() => database.close());

  const until = async (isSo: () => boolean | Promise<boolean>) => {
    while (!(await isSo())) await sleep(5);
  };
  /** The connection is lost once with a statement: it comes to the database, or does not; nobody is told. */
  const losing = (text: string, lose: (carryOut: () => Promise<unknown>) => Promise<unknown>) => {
    const state = { isDue: false };
    const { db } = database;
    const over: Database = {
      transaction: (work) => db.transaction(work),
      connect: () => db.connect(),
      queryDynamic: (sql, values) => db.queryDynamic(sql, values),
      close: () => db.close(),
      async query<Row extends object>(sql: string, values?: readonly unknown[]): Promise<Row[]> {
        if (!state.isDue || !sql.includes(text)) return db.query<Row>(sql, values);
        state.isDue = false;
        await lose(() => db.query(sql, values));
        throw new AiosError('store.unavailable', { detail: 'The connection was lost.' });
      },
    };
    return { db: over, state };
  };
  const begin = async (group: string, db: Database) => {
    const seen: string[] = [];
    const consumers = new EventConsumers({ ...database, db, log });
    const handle = async (events: LoggedEvent[]) => () => seen.push(...events.map((one) => one.event.id));
    consumers.add({ group, from: 'latest', handle });
    await consumers.start();
    await until(() => consumers.partitions(group).length === 8);
    return { consumers, seen };
  };
  const expectAll = async (prefix: string, seen: readonly string[]) => {
    await log.append(Array.from({ length: 80 }, (_, n) => event(`${prefix}${n}`)));
    await until(() => seen.length >= 80);
    expect(new Set(seen).size).toBe(80);
  };

  /** A partition key of each partition: the events of a key are all in one. */
  const keysOfPartitions = async () => {
    const keys = Array.from({ length: 40 }, (_, n) => `k${n}`);
    const outcomes = await log.append(keys.map((partitionkey) => event(partitionkey, { partitionkey })));
    return new Map(
      outcomes.map((outcome, n) => [(outcome as PromiseFulfilledResult<Appended>).value.partition, keys[n]!]),
    );
  };

  it('is what it took, also where the answer to that was lost', async () => {
    const { db, state } = losing('for update of c skip locked', (carryOut) => carryOut());
    const { consumers, seen } = await begin('taken', db);
    state.isDue = true;
    await database.db.query(
      `update event_consumers set owner = null, epoch = epoch + 1 where consumer_group = 'taken'`,
    );
    await until(() => !state.isDue);
    await expectAll('taken', seen);
    await consumers.stop();
  });

  it('is what it could not give up, where nobody is left to have it', async () => {
    const limits = limitsFrom('consumerLeaseMs=60000');
    const other = new Membership({ ...database, limits, onAppended: () => {}, onError: () => {} });
    const { db, state } = losing('set owner = null', () => other.leave('kept'));
    const { consumers, seen } = await begin('kept', db);
    state.isDue = true;
    await other.join('kept');
    await until(() => !state.isDue);
    await expectAll('kept', seen);
    await consumers.stop();
    await other.close();
  });

  it('goes to a sink once, when another process has it before the batch is over', async () => {
    const handedOver: string[][] = [[], []];
    let isSlow = Promise.resolve();
    const [a, b] = [0, 1].map((nth) => {
      const consumers = new EventConsumers({
        ...database,
        log,
        // It would look for itself long after this test.
        limits: { ...database.limits, consumerPollMs: nth === 0 ? 60_000 : 20, consumerLeaseMs: 600_000 },
      });
      const consumer = consumers.add({
        group: 'sink',
        from: 'latest',
        handle: async () => undefined,
        deliver: async (events) => {
          handedOver[nth]!.push(...events.map((one) => one.event.id));
          await isSlow;
          return { undone: [], write: async () => {} };
        },
      });
      return { consumers, consumer };
    }) as [
      { consumers: EventConsumers; consumer: ReturnType<EventConsumers['add']> },
      { consumers: EventConsumers },
    ];
    const keys = await keysOfPartitions();
    await a.consumers.start();
    await b.consumers.start();
    a.consumer.lookAgain();
    await until(
      () => a.consumers.partitions('sink').length === 4 && b.consumers.partitions('sink').length === 4,
    );
    const [partition] = a.consumers.partitions('sink');
    const slow = Promise.withResolvers<void>();
    isSlow = slow.promise;
    const [outcome] = await log.append([event('slow', { partitionkey: keys.get(partition!)! })]);
    expect(outcome).toMatchObject({ value: { partition } });
    await until(() => handedOver[0]!.length === 1);
    await database.db.query(
      `update event_consumers set owner = $1, epoch = epoch + 1 where consumer_group = 'sink' and partition = $2`,
      [b.consumers.membership.id, partition],
    );
    await until(() => handedOver[1]!.length === 1); // it has in hand what the other one was slow with
    slow.resolve();
    await log.append([event('next', { partitionkey: keys.get(partition!)! })]);
    await until(() => handedOver.flat().includes('next'));
    expect(handedOver[0]!.filter((id) => id === 'slow')).toHaveLength(1);
    await a.consumers.stop();
    await b.consumers.stop();
  });

  it('is woken for types whose names are too long for one message', async () => {
    const told: Appendix[] = [];
    const faults: unknown[] = [];
    const limits = limitsFrom('consumerLeaseMs=60000');
    const members = [0, 1].map(
      () =>
        new Membership({
          ...{ ...database, limits },
          onAppended: (appended) => void told.push(appended),
          onError: (error) => void faults.push(error),
        }),
    );
    for (const member of members) await member.join('told');
    const types = Array.from({ length: 39 }, (_, n) => `${'長'.repeat(100)}${n}`);
    members[0]!.tell([[3, 17]], types);
    await until(() => told.length + faults.length > 0);
    expect(faults).toEqual([]);
    expect(told).toEqual([{ heads: [[3, 17]], types: null }]);
    members[0]!.tell([[3, 18]], ['short']);
    await until(() => told.length > 1);
    expect(told[1]).toEqual({ heads: [[3, 18]], types: ['short'] });
    for (const member of members) await member.close();
  });
});
