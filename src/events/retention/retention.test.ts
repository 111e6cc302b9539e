import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { definitionMigrations } from '../../store/definitions.ts';
import { GroupCommit } from '../../store/group-commit.ts';
import { write } from '../../store/lane.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { EventConsumers } from '../consumers.ts';
import { event } from '../event-under-test.ts';
import type { Appended } from '../head.ts';
import { EventLog } from '../log.ts';
import { eventMigrations } from '../migrations.ts';
import { resolveRange } from '../replay/positions.ts';
import { completeReplays, endReplay, insertReplay, readReplay, resetGroup } from '../replay/replay-store.ts';
import { logBegin } from './log-begin.ts';
import { type Dropped, Retention } from './retention.ts';

const DAY_MS = 86_400_000;

describe('the retention of the log', () => {
  let database: TestDatabase;
  let nowMs = Date.parse('2026-01-01T00:00:00Z');
  const clock = { now: () => nowMs, monotonicMs: () => performance.now() };
  let log: EventLog;
  const audited: unknown[] = [];
  /** Who else reads the log and is behind. */
  let others: string[] = [];
  let onAsked: () => Promise<void> = async () => {};
  beforeEach(async () => {
    database = await createTestDatabase(
      [...definitionMigrations, ...eventMigrations],
      `consumerPollMs=20,eventRetentionMs=${16 * DAY_MS},eventDedupeMs=${30 * DAY_MS}`,
    );
    log = new EventLog({ ...database, clock });
    audited.length = 0;
    others = [];
    onAsked = async () => {};
  });
  afterEach(() => database.close());

  const open = async (unread: 'keep' | 'drop', limits = {}) => {
    const retention = new Retention({
      db: database.db,
      clock,
      limits: { ...database.limits, eventRetentionPassMs: 1e6, ...limits },
      unread,
      othersBehind: async () => {
        await onAsked();
        return others;
      },
      record: (dropped: Dropped) =>
        write(
          { name: 'noted', order: 99, write: async (_tx, items) => void audited.push(...items) },
          dropped,
        ),
      onError: (error) => {
        throw error;
      },
    });
    await retention.start();
    return retention;
  };
  const append = async (prefix: string, count: number) => {
    const events = Array.from({ length: count }, (_, n) =>
      event(`${prefix}${n}`, { data: 'x'.repeat(1000) }),
    );
    return (await log.append(events)).map((outcome) => (outcome as PromiseFulfilledResult<Appended>).value);
  };
  /** One segment of the log is over its time, behind it stands the one that is written to. */
  const overdue = async () => {
    const keeping = await open('keep');
    await append('old', 80);
    nowMs += DAY_MS;
    await keeping.pass();
    await append('new', 40);
    nowMs += 40 * DAY_MS;
    return keeping;
  };
  const tables = async () =>
    (
      await database.db.query<{ name: string }>(
        `select relname as name from pg_class where relkind = 'r' and (relname like 'event_batches\\_%' or relname like 'event_keys\\_%') order by 1`,
      )
    ).map(({ name }) => name);
  const consumed = async (group: string) => {
    const consumers = new EventConsumers({ ...database, log });
    const seen: string[] = [];
    consumers.add({ group, handle: async (batch) => () => seen.push(...batch.map((one) => one.event.id)) });
    await consumers.start();
    await consumers.idle();
    await consumers.stop();
    return seen;
  };

  it('leaves no group, and no replay, at a place that was found before it dropped what stood there', async () => {
    const retention = await open('keep');
    await append('old', 800); // more than a reader asks for at once
    await consumed('reader');
    const { from, until } = await resolveRange(database.db, undefined, undefined);
    nowMs += DAY_MS;
    await retention.pass();
    const [{ offset }] = (await append('new', 1)) as [Appended];
    nowMs += 16.5 * DAY_MS;
    expect(await retention.pass()).toHaveLength(1);
    const selection = { target: { consumer: 'reader' }, selection: {}, from, until };
    await insertReplay(database.db, { id: 'rpl_1', ...selection, createdBy: 'me', createdAt: nowMs });
    await completeReplays(database.db);
    expect(await readReplay(database.db, 'rpl_1')).toMatchObject({ status: 'completed' });
    await resetGroup(database.db, 'reader', from);
    expect(await consumed('reader')).toEqual(['new0']);
    expect(offset).toBeGreaterThan(0);
  });

  it('finds events by time, and keeps them for their time, when the clock was set back', async () => {
    others = ['somebody']; // who keeps segments that are too large
    const small = await open('keep', { eventLogBytesMax: 16 });
    const setBackMs = nowMs;
    const before = await append('before', 40);
    nowMs -= 3_600_000;
    await small.pass();
    await append('after', 40);
    nowMs += 300_000;
    await small.pass();
    const found = async (range: { since?: number; until?: number }) =>
      (await log.search({ ...range, limit: 100 })).items.map((one) => one.event.id.replace(/\d+$/, ''));
    expect(await found({ since: setBackMs })).toEqual(new Array(40).fill('before'));
    expect(await found({ until: setBackMs - 1_800_000 })).toEqual(new Array(40).fill('after'));
    expect(await found({ since: setBackMs - 3_600_000 })).toHaveLength(80);
    const { from } = await resolveRange(database.db, { timeMs: setBackMs }, undefined);
    for (const { partition } of before) expect(from[partition]).toBe(0);

    others = [];
    const daily = await open('keep');
    nowMs = setBackMs + 16 * DAY_MS - 1_800_000;
    expect(await daily.pass()).toEqual([]);
    nowMs = setBackMs + 16 * DAY_MS;
    expect((await daily.pass()).map(({ segment }) => segment)).toEqual([1, 2]);
  });

  it('drops whole tables when they are over, and goes on knowing what was in them', async () => {
    const retention = await open('keep');
    const first = await append('old', 100);
    await consumed('reader');
    nowMs += DAY_MS;
    expect(await retention.pass()).toEqual([]);
    expect(await tables()).toEqual(['event_batches_1', 'event_batches_2', 'event_keys_1']);
    const begunMs = nowMs - DAY_MS;
    expect(await logBegin(database.db)).toEqual({
      sinceMs: begunMs,
      isDropped: false,
      first: new Array(8).fill(0),
    });
    await append('new', 50);
    await consumed('reader');
    nowMs += 15.5 * DAY_MS;
    expect(await retention.pass()).toEqual([]);
    nowMs += DAY_MS;
    const [dropped] = await retention.pass();
    expect(dropped).toMatchObject({ segment: 1, unread: [] });
    expect(dropped!.first.reduce((sum, offset) => sum + offset, 0)).toBe(100);
    expect(audited).toEqual([dropped]);
    expect(await tables()).not.toContain('event_batches_1');
    expect(await logBegin(database.db)).toEqual({
      sinceMs: begunMs + DAY_MS,
      isDropped: true,
      first: dropped!.first,
    });
    const dead = await database.db.query<{ dead: number }>(
      "select coalesce(sum(n_tup_del), 0)::int as dead from pg_stat_user_tables where relname like 'event_batches%' or relname like 'event_keys%'",
    );
    expect(dead).toEqual([{ dead: 0 }]);
    // Sent again within the window, an event is known by where it stood: to a process, too, that was not there.
    log = new EventLog({ ...database, clock });
    const again = await append('old', 100);
    expect(again.map(({ partition, offset }) => [partition, offset])).toEqual(
      first.map(({ partition, offset }) => [partition, offset]),
    );
    expect(again.every(({ duplicate }) => duplicate)).toBe(true);
    // A group that is new begins where the log does.
    expect((await consumed('late')).toSorted()).toEqual(
      Array.from({ length: 50 }, (_, n) => `new${n}`).toSorted(),
    );
    await retention.stop();
  });

  it('keeps what a group has not read, unless told to drop it: then the group goes on behind it', async () => {
    const keeping = await open('keep');
    await append('old', 80);
    const consumers = new EventConsumers({ ...database, log });
    consumers.add({ group: 'away', handle: async () => undefined });
    await consumers.register();
    nowMs += DAY_MS;
    await keeping.pass();
    await append('new', 40);
    nowMs += 40 * DAY_MS;
    expect(await keeping.pass()).toEqual([]);
    expect((await keeping.segments())[0]).toMatchObject({ number: 1, behind: ['away'] });
    const dropping = await open('drop');
    expect((await dropping.pass()).map(({ segment, unread }) => [segment, unread])).toEqual([[1, ['away']]]);
    expect((await consumed('away')).every((id) => id.startsWith('new'))).toBe(true);
    await Promise.all([keeping.stop(), dropping.stop()]);
  });

  it('keeps what a feature view that is being built has still to read', async () => {
    const keeping = await overdue();
    others = ['feature view spend'];
    expect(await keeping.pass()).toEqual([]);
    expect((await keeping.segments())[0]).toMatchObject({ number: 1, behind: ['feature view spend'] });
    others = [];
    expect((await keeping.pass()).map(({ segment }) => segment)).toEqual([1]);
    await keeping.stop();
  });

  it('keeps what a replay has to read that begins while it looks', async () => {
    const keeping = await overdue();
    const { from, until } = await resolveRange(database.db, undefined, undefined);
    const asked = { target: { consumer: 'reader' }, selection: {}, from, until };
    const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    let beginning: Promise<void> | undefined;
    onAsked = async () => {
      onAsked = async () => {};
      const inserted = Promise.withResolvers<void>();
      beginning = database.db.transaction(async (tx) => {
        await insertReplay(tx, { id: 'rpl_1', ...asked, createdBy: 'me', createdAt: nowMs });
        inserted.resolve();
        while ((await database.db.query(waiting)).length === 0) await sleep(5); // until it is to be dropped
      });
      await inserted.promise;
    };
    expect(await keeping.pass()).toEqual([]);
    expect(await readReplay(database.db, 'rpl_1')).toMatchObject({ status: 'running', remaining: 120 });
    await beginning;
    await endReplay(database.db, 'rpl_1', 'canceled');
    expect((await keeping.pass()).map(({ segment }) => segment)).toEqual([1]);
    await keeping.stop();
  });

  it('bounds the log by bytes, whatever its age', async () => {
    const retention = await open('keep', { eventLogBytesMax: 2_000_000 });
    for (let round = 0; round < 8; round++) {
      await append(`s${round}-`, 400);
      await consumed('reader');
      await retention.pass();
    }
    const segments = await retention.segments();
    expect(segments.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(2_700_000);
    expect(segments[0]!.number).toBeGreaterThan(1);
    await retention.stop();
  });

  it('forgets keys when their window is over', async () => {
    const retention = await open('keep');
    await append('k', 5);
    for (let day = 0; day < 3; day++) {
      nowMs += 31 * DAY_MS;
      await retention.pass();
      await retention.pass();
    }
    expect(await tables()).not.toContain('event_keys_1');
    expect((await append('k', 5)).map(({ duplicate }) => duplicate)).toEqual(new Array(5).fill(false));
    await retention.stop();
  });

  it('bounds what events are known by, too', async () => {
    const retention = await open('keep', { eventKeysBytesMax: 1_000_000, eventKeysRecentMax: 1000 });
    for (let round = 0; round < 6; round++) {
      const batch = Array.from({ length: 3000 }, (_, n) => event(`b${round}-${n}`));
      for (const { status } of await log.append(batch)) expect(status).toBe('fulfilled');
      await retention.pass();
    }
    expect(await tables()).not.toContain('event_keys_1');
    const generations = await database.db.query<{ generation: number }>(
      'select distinct generation from event_key_runs',
    );
    expect(generations.map(({ generation }) => generation)).not.toContain(1);
    const again = await log.append([event('b5-1'), event('b0-1')]);
    expect(again.map((outcome) => (outcome as PromiseFulfilledResult<Appended>).value.duplicate)).toEqual([
      true,
      false,
    ]);
    await retention.stop();
  });

  it('is in nobody’s way: several processes append and read meanwhile, each event once and without a gap', async () => {
    const retention = await open('keep', { eventLogBytesMax: 1_000_000 });
    const twin = new EventLog({
      ...database,
      commit: new GroupCommit(database.db, database.limits),
      clock,
    });
    const consumers = new EventConsumers({ ...database, log: twin });
    const seen: string[] = [];
    consumers.add({
      group: 'reader',
      pauseMs: () => 1,
      handle: async (batch) => () => seen.push(...batch.map((one) => one.event.id)),
    });
    await consumers.start();
    let isOver = false;
    const passing = (async () => {
      const dropped: Dropped[] = [];
      while (!isOver) {
        dropped.push(...(await retention.pass()));
        await sleep(5);
      }
      return dropped;
    })();
    const data = 'x'.repeat(1000);
    const places: Appended[] = [];
    for (let round = 0; round < 20; round++) {
      const batch = (name: string) =>
        Array.from({ length: 60 }, (_, n) => event(`${name}${round}-${n}`, { data }));
      const both = [...batch('a'), ...batch('common')];
      const outcomes = await Promise.all([
        log.append(both),
        twin.append([...batch('common'), ...batch('b')]),
      ]);
      for (const outcome of outcomes.flat()) {
        if (outcome.status === 'rejected') throw outcome.reason;
        if (!outcome.value.duplicate) places.push(outcome.value);
      }
    }
    await consumers.idle();
    isOver = true;
    expect((await passing).length).toBeGreaterThan(0);
    expect(places).toHaveLength(20 * 180);
    expect(new Set(places.map(({ partition, offset }) => `${partition}/${offset}`)).size).toBe(20 * 180);
    while (seen.length < 20 * 180) await sleep(5);
    expect(new Set(seen).size).toBe(20 * 180);
    await consumers.stop();
    await retention.stop();
  });
});
