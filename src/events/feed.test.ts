import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CloudEvent } from '../kernel/cloudevent.ts';
import { definitionMigrations } from '../store/definitions.ts';
import { write } from '../store/lane.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { event } from './event-under-test.ts';
import { EventFeed, type FeedItem } from './feed.ts';
import type { Appended } from './head.ts';
import { EventLog } from './log.ts';
import { eventMigrations } from './migrations.ts';
import { Retention } from './retention/retention.ts';

const DAY_MS = 86_400_000;

describe('who follows the log', () => {
  let database: TestDatabase;
  let log: EventLog;
  let nowMs = Date.parse('2026-01-01T00:00:00Z');
  const clock = { now: () => nowMs, monotonicMs: () => performance.now() };
  beforeAll(async () => {
    database = await createTestDatabase(
      [...definitionMigrations, ...eventMigrations],
      `consumerPollMs=20,eventRetentionMs=${16 * DAY_MS},eventRetentionPassMs=1000000`,
    );
    log = new EventLog({ ...database, clock });
  });
  afterAll(() => database.close());
  const append = async (events: CloudEvent[]) =>
    (await log.append(events)).map((outcome) => (outcome as PromiseFulfilledResult<Appended>).value);

  it('goes on where the log begins, and is told what was dropped before', async () => {
    const retention = new Retention({
      ...{ db: database.db, clock, limits: database.limits, unread: 'keep' },
      record: (dropped) => write({ name: 'noted', order: 99, write: async () => undefined }, dropped),
      onError: (error) => {
        throw error;
      },
    });
    await retention.start();
    const from = await log.head();
    const key = { partitionkey: 'one' };
    const old = await append(Array.from({ length: 450 }, (_, n) => event(`old${n}`, key))); // more than are read at once
    nowMs += DAY_MS;
    await retention.pass();
    await append([event('kept', key)]);
    nowMs += 16.5 * DAY_MS;
    expect(await retention.pass()).toHaveLength(1);
    await retention.stop();
    // Another process, which has nothing of them in memory.
    const feed = new EventFeed(new EventLog({ ...database, clock }), database.limits);
    const ended = new AbortController();
    const items: FeedItem[] = [];
    for await (const item of feed.follow(from, () => true, ended.signal)) {
      items.push({ ...item, cursor: [...item.cursor] });
      if (item.logged?.event.id === 'kept') ended.abort();
    }
    const { partition } = old[0]!;
    expect(items).toMatchObject([
      { dropped: { partition, from: old[0]!.offset, until: old[449]!.offset + 1 } },
      { logged: { partition, offset: 450, event: { id: 'kept' } } },
    ]);
    expect(items.map(({ cursor }) => cursor[partition])).toEqual([450, 451]);
  });
});
