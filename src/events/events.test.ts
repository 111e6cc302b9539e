import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import type { CloudEvent } from '../kernel/cloudevent.ts';
import { definitionMigrations } from '../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { event } from './event-under-test.ts';
import type { Appended } from './head.ts';
import { putRun } from './key-runs.ts';
import { EventLog } from './log.ts';
import { eventMigrations } from './migrations.ts';
import { openFirst, roll } from './retention/segments.ts';

describe('the event log', () => {
  let database: TestDatabase;
  let log: EventLog;
  beforeAll(async () => {
    database = await createTestDatabase(
      [...definitionMigrations, ...eventMigrations],
      'consumerAttemptsMax=2,consumerPollMs=20',
    );
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

  it('finds duplicates of other generations of keys, and one among many that are new', async () => {
    const one = await createTestDatabase([...definitionMigrations, ...eventMigrations]);
    const fresh = new EventLog({ ...one, clock: systemClock });
    const outcomes = async (...events: CloudEvent[]) =>
      (await fresh.append(events)).map((outcome) => (outcome as PromiseFulfilledResult<Appended>).value);
    const [first] = await outcomes(event('old'));
    await openFirst(one.db, 0);
    await one.db.transaction((tx) => roll(tx, 'keys', 1, 0));
    const batch = Array.from({ length: 1200 }, (_, n) => event(`n${n}`));
    const places = await outcomes(...batch.slice(0, 700), event('old'), ...batch.slice(700));
    expect(places[700]).toEqual({ ...first, duplicate: true });
    expect(places.filter(({ duplicate }) => duplicate)).toHaveLength(1);
    expect((await outcomes(...batch)).every(({ duplicate }) => duplicate)).toBe(true);
    expect((await fresh.head()).reduce((sum, next) => sum + next, 0)).toBe(1201);
    await one.close();
  });

  it('appends the others when the database refuses one', async () => {
    const odd = event('odd', { type: 'no\u0000text' });
    const settled = await log.append([event('even-1'), odd, event('even-2')]);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((settled[1] as PromiseRejectedResult).reason).toMatchObject({ code: 'store.refused_value' });
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

  it('finds a duplicate that another process appends at the same time under another partition key', async () => {
    const other = await createTwin(database);
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, n) => [
        log.append([event(`d${n}`, { partitionkey: 'left' })]),
        other.append([event(`d${n}`, { partitionkey: 'right' })]),
      ]).flat(),
    );
    const places = outcomes.flat().map((outcome) => (outcome as PromiseFulfilledResult<Appended>).value);
    expect(places.filter(({ duplicate }) => duplicate)).toHaveLength(60);
  });

  it('looks keys up by their index, however the statement was planned', async () => {
    const keys = Buffer.concat(Array.from({ length: 50_000 }, (_, n) => hash('md5', String(n), 'buffer')));
    await putRun(database.db, 1, { keys, places: Buffer.alloc(keys.length / 2) });
    // As if each key might be in it: a filter that is full.
    await database.db.query(`update event_key_runs set filter = '\\xff'`);
    await database.db.query('analyze event_keys, event_key_runs');
    const scans = async () => {
      // Postgres 14 has no such function, and no need of it.
      await database.db.query(
        'do $$ begin perform pg_stat_force_next_flush(); exception when undefined_function then null; end $$',
      );
      const [row] = await database.db.query<{ seq_scan: number }>(
        "select sum(seq_scan)::int as seq_scan from pg_stat_user_tables where relname like 'event_keys%'",
      );
      return row!.seq_scan;
    };
    const twin = await createTwin(database);
    const before = await scans();
    for (let n = 0; n < 12; n++) await twin.append([event(`scan-${n}`)]);
    await twin.append(Array.from({ length: 500 }, (_, n) => event(`scans-${n}`)));
    await sleep(1100); // Postgres publishes the statistics of a busy connection once a second
    await twin.append([event('scan-last')]);
    expect(await scans()).toBe(before);
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
    await append(event('s4', { subject: 'two', data: 'a\u0000b\ud800"subject":"one"' }));
    expect((await log.search({ subject: 'two', limit: 5 })).items[0]?.event.data).toContain('\u0000');
    expect((await log.search({ subject: 'one', limit: 5 })).items).toHaveLength(1);
    expect((await log.search({ type: 'search.me', since: Date.now() + 60_000, limit: 5 })).items).toEqual([]);
  });

  it('shows every event on one page of a walk, though others come meanwhile', async () => {
    await append(...Array.from({ length: 40 }, (_, n) => event(`w${n}`, { source: 'urn:walk' })));
    const walked: string[] = [];
    let before: string | null | undefined;
    while (before !== null) {
      const page = await log.search({ source: 'urn:walk', limit: 3, before });
      walked.push(...page.items.map((logged) => logged.event.id));
      await append(event(`late-${walked.length}`, { source: 'urn:walk' }));
      before = page.nextCursor;
    }
    expect([...walked].sort()).toEqual(Array.from({ length: 40 }, (_, n) => `w${n}`).sort());
  });

  it.each(['nonsense', '1.2.3', '1.2.3.4.5.6.7.-8'])('refuses the cursor %s', async (before) => {
    await expect(async () => log.search({ limit: 1, before })).rejects.toMatchObject({
      code: 'request.invalid',
    });
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
