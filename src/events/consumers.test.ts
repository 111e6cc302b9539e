import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import type { LoggedEvent, LogPosition } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { EventConsumers } from './consumers.ts';
import { buryEvent } from './dead-letters.ts';
import { event } from './event-under-test.ts';
import type { Appended } from './head.ts';
import { EventLog } from './log.ts';
import { eventMigrations } from './migrations.ts';

describe('consumers', () => {
  let database: TestDatabase;
  let log: EventLog;
  let consumers: EventConsumers;
  beforeAll(async () => {
    database = await createTestDatabase(
      [
        ...definitionMigrations,
        ...eventMigrations,
        { name: '0021_seen', sql: 'create table seen (id text, who text)' },
      ],
      'consumerAttemptsMax=2,consumerPollMs=20',
    );
    log = new EventLog({ ...database, clock: systemClock });
  });
  afterAll(async () => {
    await consumers.stop();
    await database.close();
  });

  it('see each event once and in order, over a restart; a bad one becomes a dead letter that can be replayed', async () => {
    const seen: string[] = [];
    let broken = true;
    const handle = async (events: LoggedEvent[]) => {
      if (broken && events.some((logged) => logged.event.id === 'bad'))
        throw new AiosError('expression.failed', { detail: 'cannot work on it' });
      return () => seen.push(...events.map((logged) => logged.event.id));
    };
    const start = async () => {
      consumers = new EventConsumers({ ...database, log });
      const consumer = consumers.add({
        group: 'g',
        types: ['wanted'],
        handle: async (events) => void (await handle(events))?.(),
      });
      await consumers.start();
      return consumer;
    };
    const key = { type: 'wanted', partitionkey: 'one' };
    await log.append([event('1', key), event('2', key), event('skipped', { ...key, type: 'other' })]);
    let consumer = await start();
    const outcomes = await log.append([event('bad', key), event('3', key)]);
    await consumer.passed((outcomes[1] as PromiseFulfilledResult<Appended>).value);
    expect(seen).toEqual(['1', '2', '3']);
    const { items } = await consumers.deadLetters.list({ limit: 10 });
    expect(items).toEqual([
      expect.objectContaining({
        group: 'g',
        status: 'open',
        problem: expect.objectContaining({ code: 'expression.failed' }),
      }),
    ]);
    await expect(consumers.deadLetters.replay(items[0]!.id)).rejects.toMatchObject({
      code: 'expression.failed',
    });
    broken = false;
    await consumers.deadLetters.replay(items[0]!.id);
    expect(seen).toEqual(['1', '2', '3', 'bad']);
    await expect(consumers.deadLetters.replay(items[0]!.id)).rejects.toMatchObject({
      code: 'events.unknown_dead_letter',
    });
    await consumers.stop();
    await log.append([event('4', key)]);
    consumer = await start();
    await consumers.idle();
    expect(seen).toEqual(['1', '2', '3', 'bad', '4']);
  });

  it('tell a handler of each batch that is not committed, before it comes again', async () => {
    const own = new EventConsumers({ ...database, log });
    const said: string[] = [];
    let tries = 0;
    own.add({
      group: 'undoing',
      from: 'latest',
      types: ['undone'],
      // What the second try was worked on under is older than what is in force: the commit fails, which the handler does not see.
      definitions: {
        get revision() {
          return tries === 1 ? -1 : 1e9;
        },
        reload: async () => {},
      },
      async handle(_events, tx, onRollback) {
        const nth = ++tries;
        await tx.query("insert into seen values ('undone', 'undoing')");
        onRollback(() => said.push(`undone ${nth}`));
        if (nth === 1) throw new AiosError('store.unavailable');
        return () => said.push(`committed ${nth}`);
      },
    });
    await own.start();
    await log.append([event('to-undo', { type: 'undone' })]);
    await expect.poll(() => said).toEqual(['undone 1', 'undone 2', 'committed 3']);
    expect(await database.db.query("select id from seen where who = 'undoing'")).toHaveLength(1);
    await own.stop();
  });

  it('find the one bad event among all partitions, and hand the others over once', async () => {
    const handled: string[] = [];
    const own = new EventConsumers({ ...database, log });
    own.add({
      group: 'isolating',
      from: 'latest',
      async handle(events) {
        const ids = events.map((logged) => logged.event.id);
        if (ids.includes('bad-1') || ids.includes('bad-2')) throw new AiosError('expression.failed');
        return () => handled.push(...ids);
      },
    });
    await own.start();
    const batch = (name: string) =>
      Array.from({ length: 100 }, (_, n) => event(`${name}${n}`, { partitionkey: `k${n}` }));
    await log.append([
      ...batch('i'),
      event('bad-1', { partitionkey: 'k5' }),
      event('bad-2', { partitionkey: 'k6' }),
      ...batch('j'),
    ]);
    await own.idle();
    await own.stop();
    expect(handled).toHaveLength(200);
    expect(new Set(handled).size).toBe(200);
    const { items } = await own.deadLetters.list({ group: 'isolating', limit: 10 });
    expect(items.map((letter) => [letter.event.id, letter.attempts]).sort()).toEqual([
      ['bad-1', 2],
      ['bad-2', 2],
    ]);
    await own.deadLetters.dismiss(items[0]!.id);
    await expect(own.deadLetters.dismiss(items[0]!.id)).rejects.toMatchObject({
      code: 'events.unknown_dead_letter',
    });
    // Its group went back in the log, and the event failed once more.
    const { group, partition, offset, event: failing, attempts } = items[0]!;
    const again = { partition: partition!, offset: offset!, event: failing, timeMs: 0, recordedAtMs: 0 };
    for (const round of [1, 2])
      await buryEvent(database.db, group, again, new AiosError('internal'), round + 2);
    const { items: opened } = await own.deadLetters.list({ group, status: 'open', limit: 10 });
    expect(opened.find(({ id }) => id === items[0]!.id)).toMatchObject({
      attempts: attempts + 3, // of the first round: the second finds it open
      problem: { code: 'internal' },
    });
    await own.deadLetters.dismiss(items[0]!.id);
  });

  it('try on while the database is the cause, and longer when the error says later', async () => {
    const failures = [
      new AiosError('store.unavailable'),
      new AiosError('store.unavailable'),
      new AiosError('store.conflict'),
      new AiosError('request.overloaded'),
      new AiosError('request.overloaded'),
      new AiosError('request.overloaded'),
    ];
    const told: string[] = [];
    const own = new EventConsumers({
      ...database,
      log,
      onError: (_group, error) => told.push(error.code),
    });
    const consumer = own.add({
      group: 'patient',
      from: 'latest',
      async handle() {
        const failure = failures.shift();
        if (failure) throw failure;
      },
    });
    await own.start();
    const [outcome] = await log.append([event('patience')]);
    await consumer.passed((outcome as PromiseFulfilledResult<Appended>).value);
    expect(told).toHaveLength(6);
    expect((await own.deadLetters.list({ group: 'patient', limit: 1 })).items).toEqual([]);
    const never = expect(consumer.passed({ partition: 0, offset: 1e9 })).rejects.toMatchObject({
      code: 'store.unavailable',
    });
    await own.stop();
    await never;
  });

  it('share a group between processes: each event is handled once, with its offset in the same transaction', async () => {
    const members = await Promise.all(
      ['a', 'b'].map(async (who) => {
        const own = new EventConsumers({
          ...database,
          log: who === 'a' ? log : new EventLog({ ...database, clock: systemClock }),
        });
        own.add({
          group: 'shared',
          types: ['count.me'],
          async handle(events, tx) {
            await tx.query('insert into seen select unnest($1::text[]), $2', [
              events.map((logged) => logged.event.id),
              who,
            ]);
          },
        });
        await own.start();
        return own;
      }),
    );
    for (let round = 0; round < 10; round++) {
      await log.append(
        Array.from({ length: 40 }, (_, i) =>
          event(`m${round}-${i}`, { type: 'count.me', partitionkey: `k${i}` }),
        ),
      );
    }
    for (let count = 0; count < 400; await sleep(10))
      [{ count }] = (await database.db.query<{ count: number }>('select count(*) as count from seen')) as [
        { count: number },
      ];
    await sleep(50);
    expect(await database.db.query('select id from seen group by id having count(*) > 1')).toEqual([]);
    await Promise.all(members.map((member) => member.stop()));
  });

  it('know that another process worked on the group before them, though they did not look in between', async () => {
    const own = new EventConsumers({
      ...database,
      log,
      limits: { ...database.limits, consumerPollMs: 60_000 },
    });
    const consumer = own.add({ group: 'watched', from: 'latest', handle: async () => undefined });
    await own.start();
    const append = async (id: string) => {
      const [appended] = await log.append([event(id, { partitionkey: 'watched' })]);
      return (appended as PromiseFulfilledResult<LogPosition>).value;
    };
    await consumer.passed(await append('watched-1'));
    const before = consumer.continuity();
    let other!: LogPosition;
    await database.db.transaction(async (tx) => {
      await tx.query("select from event_consumers where consumer_group = 'watched' for update");
      other = await append('watched-2');
      await tx.query(
        "update event_consumers set log_offset = $2 where consumer_group = 'watched' and partition = $1",
        [other.partition, other.offset + 1],
      );
    });
    await consumer.passed(await append('watched-3'));
    expect(consumer.continuity()).toBeGreaterThan(before);
    await own.stop();
  });

  it('miss no event that was sent after the definition that wants it was applied by another process', async () => {
    const definitions = new Definitions(database.db);
    const own = new EventConsumers({ ...database, log });
    const seen: string[] = [];
    const consumer = own.add({
      group: 'defined',
      from: 'latest',
      types: () => definitions.list('wanted').map(({ name }) => name),
      definitions,
      handle: async (events) => () => seen.push(...events.map((logged) => logged.event.id)),
    });
    await own.start();
    const applied = ['first.type', 'second.type'].map(async (name) => {
      const body = { kind: 'wanted', name, body: { name }, source: '', createdBy: 'test' };
      await database.commit.commit([definitions.put(body)]);
      const [appended] = await log.append([event(`${name}-1`, { type: name })]);
      await consumer.passed((appended as PromiseFulfilledResult<Appended>).value);
    });
    await Promise.all(applied);
    expect(seen.sort()).toEqual(['first.type-1', 'second.type-1']);
    expect(definitions.revision).toBeGreaterThan(0);
    await own.stop();
  });

  it('take no more events than there is room for, and the others when they are woken', async () => {
    const own = new EventConsumers({
      ...database,
      log,
      limits: { ...database.limits, consumerPollMs: 60_000 },
    });
    let room = 0;
    const batches: number[] = [];
    const consumer = own.add({
      group: 'narrow',
      from: 'latest',
      room: () => room,
      pauseMs: () => 1,
      handle: async (events) => void batches.push(events.length),
    });
    await own.start();
    const key = { partitionkey: 'narrow' };
    const outcomes = await log.append([
      event('narrow-1', key),
      event('narrow-2', key),
      event('narrow-3', key),
    ]);
    await sleep(30);
    expect(batches).toEqual([]);
    room = 2;
    consumer.wake();
    await consumer.passed((outcomes[2] as PromiseFulfilledResult<LogPosition>).value);
    expect(batches).toEqual([2, 1]);
    await own.stop();
  });
});
