import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { parseEvents } from './cloudevents-http.ts';
import { EventConsumers } from './consumers.ts';
import { type Appended, EventLog } from './log.ts';
import { eventMigrations } from './migrations.ts';

const event = (id: string, more: Partial<CloudEvent> = {}): CloudEvent => ({
  specversion: '1.0',
  id,
  source: 'urn:test',
  type: 'thing.happened',
  time: '2026-01-01T00:00:00Z',
  data: { n: 1 },
  ...more,
});
const body = (value: unknown) =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const limits = limitsFrom('eventBytesMax=500,eventBatchCountMax=3');

describe('CloudEvents over HTTP', () => {
  const parse = (headers: Record<string, string>, content: unknown) =>
    parseEvents(headers, body(content), 0, limits);
  const { data, ...attributes } = event('1');

  it.each([
    ['structured', { 'content-type': 'application/cloudevents+json; charset=utf-8' }, event('1')],
    ['plain JSON with a specversion', { 'content-type': 'application/json' }, event('1')],
    ['a batch of one', { 'content-type': 'application/cloudevents-batch+json' }, [event('1')]],
  ])('reads %s', (_, headers, content) => expect(parse(headers, content)).toEqual([event('1')]));

  it('reads binary mode, with percent-encoded headers', () => {
    const headers = Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [`ce-${name}`, encodeURIComponent(String(value))]),
    );
    expect(parse({ ...headers, 'content-type': 'application/json' }, data)).toEqual([
      { ...event('1'), datacontenttype: 'application/json' },
    ]);
  });

  it('gives an event without a time its time of arrival', () => {
    const { time: _, ...timeless } = event('1');
    expect(parse({ 'content-type': 'application/cloudevents+json' }, timeless)).toEqual([
      event('1', { time: '1970-01-01T00:00:00.000Z' }),
    ]);
  });

  it.each([
    ['another specversion', { specversion: '0.3' }, '/specversion'],
    ['no id', { id: undefined }, '/id'],
    ['an empty source', { source: '' }, '/source'],
    ['a time that is none', { time: '2020' }, '/time'],
    ['an attribute with a capital', { customerId: 'x' }, '/customerId'],
    ['an attribute that is an object', { extra: {} }, '/extra'],
  ])('refuses %s, and only that event of a batch', (_, wrong, path) => {
    const [good, bad] = parse({ 'content-type': 'application/cloudevents-batch+json' }, [
      event('1'),
      { ...event('2'), ...wrong },
    ]);
    expect(good).toEqual(event('1'));
    expect(bad).toMatchObject({ code: 'events.invalid', issues: [expect.objectContaining({ path })] });
  });

  it.each([
    ['malformed JSON', { 'content-type': 'application/cloudevents+json' }, '{"a":', 'request.malformed'],
    ['another content type', { 'content-type': 'text/csv' }, 'a,b', 'request.media_type'],
    ['a batch that is none', { 'content-type': 'application/cloudevents-batch+json' }, {}, 'request.invalid'],
    [
      'a batch over the limit',
      { 'content-type': 'application/cloudevents-batch+json' },
      [1, 2, 3, 4],
      'request.too_large',
    ],
  ])('refuses %s as a whole', (_, headers, content, code) => {
    expect(() => parse(headers, content)).toThrow(expect.objectContaining({ code }));
  });

  it('names the limit that an event is over', () => {
    const [refused] = parse(
      { 'content-type': 'application/cloudevents+json' },
      event('1', { data: 'x'.repeat(600) }),
    );
    expect(refused).toMatchObject({
      code: 'events.payload_too_large',
      extensions: { limitName: 'eventBytesMax', limit: 500 },
    });
  });
});

describe('the event log', () => {
  let database: TestDatabase;
  let log: EventLog;
  beforeAll(async () => {
    database = await createTestDatabase(eventMigrations, 'consumerAttemptsMax=2,consumerPollMs=20');
    log = new EventLog({ ...database, clock: systemClock });
  });
  afterAll(() => database.close());
  const append = async (...events: CloudEvent[]) =>
    (await log.append(events)).map((outcome) => (outcome as PromiseFulfilledResult<Appended>).value);

  it('gives gapless offsets per partition, in order, and finds duplicates within and across commits', async () => {
    const key = { partitionkey: 'c-1' };
    const first = await append(event('a', key), event('b', key), event('a', key));
    expect(first.map(({ offset, duplicate }) => [offset, duplicate])).toEqual([
      [0, false],
      [1, false],
      [0, true],
    ]);
    const again = await append(event('b', key), event('c', key), event('b', { ...key, source: 'urn:other' }));
    expect(again.map(({ offset, duplicate }) => [offset, duplicate])).toEqual([
      [1, true],
      [2, false],
      [3, false],
    ]);
    expect(new Set([...first, ...again].map(({ partition }) => partition)).size).toBe(1);
    const { partition } = first[0]!;
    expect((await log.head())[partition]).toBe(4);
    const other = new EventLog({ ...database, clock: systemClock }); // reads from Postgres: its memory is empty
    const ids = async (from: EventLog) =>
      (await from.read(partition, 1, 10)).map((logged) => logged.event.id);
    expect([await ids(log), await ids(other)]).toEqual([
      ['b', 'c', 'b'],
      ['b', 'c', 'b'],
    ]);
  });

  it('keeps offsets gapless when two processes append at once', async () => {
    const other = await createTwin(database);
    const key = { partitionkey: 'race' };
    const places = (
      await Promise.all(
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((n) => [
          log.append([event(`r${n}`, key), event(`x${n}`, key)]),
          other.append([event(`r${n}`, key)]),
        ]),
      )
    ).flat() as PromiseFulfilledResult<Appended>[];
    const fresh = places.map(({ value }) => value).filter(({ duplicate }) => !duplicate);
    expect(fresh).toHaveLength(20);
    const offsets = fresh.map(({ offset }) => offset).sort((a, b) => a - b);
    expect(offsets.map((offset) => offset - offsets[0]!)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it('is searched newest first, page by page', async () => {
    await append(
      event('s1', { type: 'search.me', subject: 'one' }),
      event('s2', { type: 'search.me' }),
      event('s3', { type: 'search.me' }),
    );
    const first = await log.search({ type: 'search.me', limit: 2 });
    const second = await log.search({ type: 'search.me', limit: 2, before: first.nextCursor! });
    expect([...first.items, ...second.items].map((logged) => logged.event.id).sort()).toEqual([
      's1',
      's2',
      's3',
    ]);
    expect(second.nextCursor).toBeNull();
    expect((await log.search({ subject: 'one', limit: 5 })).items).toHaveLength(1);
  });
});

async function createTwin(database: TestDatabase): Promise<EventLog> {
  const { GroupCommit } = await import('../store/group-commit.ts');
  return new EventLog({
    ...database,
    commit: new GroupCommit(database.db, database.limits),
    clock: systemClock,
  });
}

describe('consumers', () => {
  let database: TestDatabase;
  let log: EventLog;
  let consumers: EventConsumers;
  beforeAll(async () => {
    database = await createTestDatabase(
      [...eventMigrations, { name: '0021_seen', sql: 'create table seen (id text, who text)' }],
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
});
