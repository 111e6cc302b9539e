import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.ts';
import type { LoggedEvent } from '../../kernel/cloudevent.ts';
import { AiosError } from '../../kernel/errors.ts';
import { definitionMigrations } from '../../store/definitions.ts';
import { type Write, write } from '../../store/lane.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { EventConsumers } from '../consumers.ts';
import { buryEvent } from '../dead-letters.ts';
import { event } from '../event-under-test.ts';
import { registerGroup } from '../group-offsets.ts';
import { EventLog } from '../log.ts';
import { eventMigrations } from '../migrations.ts';
import { cancelReplaysInto } from './replay-store.ts';
import { Replays } from './replays.ts';

describe('replays into a consumer', () => {
  let database: TestDatabase;
  let log: EventLog;
  let consumers: EventConsumers;
  let replays: Replays;
  const thrown = (error: unknown) => {
    throw error;
  };
  let onError: (error: unknown) => void = thrown;
  const seen: string[] = [];
  const started: string[] = [];
  /** The flow as this process knows it, which another one may have changed. */
  let knownVersion = 1;
  let revision = 0;
  const audited: unknown[] = [];
  beforeAll(async () => {
    database = await createTestDatabase(
      [...definitionMigrations, ...eventMigrations],
      'replayPollMs=30,consumerPollMs=20,consumerAttemptsMax=1,eventScanMax=10',
    );
    log = new EventLog({ ...database, clock: systemClock });
    consumers = new EventConsumers({ ...database, log });
    consumers.add({
      group: 'sink',
      isRepeatable: true,
      async handle(events) {
        if (events.some((logged) => logged.event.type === 'poison')) throw new AiosError('expression.failed');
        return () => seen.push(...events.map((logged) => logged.event.id));
      },
    });
    await consumers.start();
    replays = new Replays({
      ...database,
      ...{ log, consumers, clock: systemClock, takesPart: true },
      workflows: {
        require: () => {},
        room: () => 1,
        definitions: {
          get revision() {
            return revision;
          },
          reload: async () => {
            knownVersion = 2;
            revision = 1;
          },
        },
        start: async (events) => {
          const runs = events.map((logged) => `${logged.event.id} v${knownVersion}`);
          return () => void started.push(...runs);
        },
      },
      onError: (error) => onError(error),
    });
    await replays.start();
  });
  afterAll(async () => {
    await replays.stop();
    await consumers.stop();
    await database.close();
  });
  const audit = (_plan: unknown, payload: unknown): Write =>
    write({ name: 'noted', order: 99, write: async (_tx, items) => void audited.push(...items) }, payload);
  const until = async (isSo: () => Promise<boolean>) => {
    while (!(await isSo())) await sleep(5);
  };
  const target = { consumer: 'sink' };
  const ended = async (id: string) => {
    while ((await replays.get(id)).status === 'running') await sleep(10);
    return replays.get(id);
  };

  it('hand it the events of the range beside its own place, and no others', async () => {
    await log.append(Array.from({ length: 30 }, (_, n) => event(`a${n}`)));
    await consumers.idle();
    const midMs = Date.now() + 5;
    await sleep(20);
    await log.append(Array.from({ length: 20 }, (_, n) => event(`b${n}`)));
    await consumers.idle();
    seen.length = 0;
    const { id, events } = await replays.create({ target, from: { timeMs: midMs }, by: 'me' }, audit);
    expect(events).toBe(20);
    await log.append([event('after')]); // beyond the end of the replay
    expect(await ended(id!)).toMatchObject({ status: 'completed', handled: 20, remaining: 0 });
    await consumers.idle();
    expect(seen.toSorted()).toEqual(['after', ...Array.from({ length: 20 }, (_, n) => `b${n}`)].toSorted());
    expect(audited).toEqual([expect.objectContaining({ consumer: 'sink' })]);
    expect((await consumers.groups()).map(({ group }) => group)).toEqual(['sink']);
  });

  it('say that a count is a part, when a filter would read too much', async () => {
    const plan = await replays.plan({ target, filter: 'true', by: 'me' });
    expect(plan).toMatchObject({ isExact: false });
    expect(plan.events).toBeGreaterThanOrEqual(10);
  });

  it('move the group itself when it is to be reset', async () => {
    seen.length = 0;
    const { from } = await replays.plan({ target, by: 'me' });
    const later = from.map((offset, partition) => offset + (partition === 0 ? 0 : 1e6));
    await replays.create({ target, from: { offsets: later }, resets: true, by: 'me' }, audit);
    const [{ next_offset: expected }] = (await database.db.query<{ next_offset: number }>(
      'select next_offset from event_partitions where partition = 0',
    )) as [{ next_offset: number }];
    while (seen.length < expected) await sleep(5);
    await consumers.idle();
    expect(seen).toHaveLength(expected);
  });

  it('leave what fails as dead letters that can be tried again when the replay is over', async () => {
    await log.append([event('poison', { type: 'poison' })]);
    await consumers.idle();
    const { id } = await replays.create({ target, types: ['poison'], by: 'me' }, audit);
    expect(await ended(id!)).toMatchObject({ status: 'completed', handled: 0 });
    const { items } = await consumers.deadLetters.list({ group: `replay:${id}`, limit: 5 });
    expect(items).toHaveLength(1);
    await expect(consumers.deadLetters.replay(items[0]!.id)).rejects.toMatchObject({
      code: 'expression.failed',
    });
  });

  it('give a dead letter again as recorded when it was, also after it failed again', async () => {
    const recorded: number[] = [];
    consumers.add({
      group: 'recording',
      handle: async ([logged]) => {
        recorded.push(logged!.recordedAtMs);
        throw new AiosError('expression.failed');
      },
    });
    const logged = {
      partition: 0,
      offset: 0,
      event: event('old'),
      timeMs: 0,
      recordedAtMs: 1_700_000_000_000,
    };
    await buryEvent(database.db, 'recording', logged, new AiosError('expression.failed'), 1);
    const { items } = await consumers.deadLetters.list({ group: 'recording', limit: 5 });
    for (let time = 0; time < 2; time++)
      await expect(consumers.deadLetters.replay(items[0]!.id)).rejects.toMatchObject({
        code: 'expression.failed',
      });
    expect(recorded).toEqual([1_700_000_000_000, 1_700_000_000_000]);
  });

  it('begin at a later look where the database would not let them at first', async () => {
    const faults: unknown[] = [];
    onError = (error) => void faults.push(error);
    await database.db.query('alter table event_group_members rename to away');
    await log.append([event('again', { type: 'again' })]);
    const { id } = await replays.create({ target, types: ['again'], by: 'me' }, audit);
    expect(faults).not.toEqual([]);
    await database.db.query('alter table away rename to event_group_members');
    expect(await ended(id!)).toMatchObject({ status: 'completed', handled: 1 });
    onError = thrown;
  });

  it('are not begun into a group that ends meanwhile: nobody would ever work on them', async () => {
    const consumer = 'ending';
    consumers.add({ group: consumer, isRepeatable: true, handle: async () => undefined });
    await registerGroup(database.db, consumer, 'earliest');
    const faults: unknown[] = [];
    let creating: Promise<unknown> | undefined;
    await database.db.transaction(async (tx) => {
      await tx.query('delete from event_consumers where consumer_group = $1', [consumer]);
      await cancelReplaysInto(tx, consumer);
      creating = replays
        .create({ target: { consumer }, by: 'me' }, audit)
        .catch((error) => faults.push(error));
      const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      await Promise.race([creating, until(async () => (await database.db.query(waiting)).length > 0)]);
    });
    await creating;
    expect(faults).toMatchObject([{ code: 'events.unknown_consumer' }]);
    const reset = replays.create({ target: { consumer }, resets: true, by: 'me' }, audit);
    await expect(reset).rejects.toMatchObject({ code: 'events.unknown_consumer' });
  });

  it('start runs of the version that another process has just applied', async () => {
    await log.append([event('flowing', { type: 'flowing' })]);
    await database.db.query('update definitions_revision set revision = 1');
    const { id } = await replays.create({ target: { workflow: 'f' }, types: ['flowing'], by: 'me' }, audit);
    expect(await ended(id!)).toMatchObject({ status: 'completed', handled: 1 });
    expect(started).toEqual(['flowing v2']);
  });

  it('do not count what they lost meanwhile: it is delivered again, and counted then', async () => {
    let delivered = 0;
    const lost = async (events: readonly LoggedEvent[]) => {
      if (delivered++ > 0) return;
      await database.db.query(
        `update event_consumers set owner = null, epoch = epoch + 1 where consumer_group like 'replay:%' and partition = $1`,
        [events[0]!.partition],
      );
    };
    consumers.add({
      group: 'outside',
      isRepeatable: true,
      handle: async () => undefined,
      deliver: async (events) => {
        await lost(events);
        return { undone: [], write: async () => {} };
      },
    });
    await registerGroup(database.db, 'outside', 'latest');
    await log.append([event('moved', { type: 'moved' })]);
    const { id } = await replays.create(
      { target: { consumer: 'outside' }, types: ['moved'], by: 'me' },
      audit,
    );
    expect(await ended(id!)).toMatchObject({ status: 'completed', handled: 1 });
    expect(delivered).toBe(2);
  });

  it('end when they are canceled', async () => {
    const { id } = await replays.create({ target, by: 'me' }, audit);
    await replays.cancel(id!, () => audit({}, { canceled: id }));
    expect((await replays.get(id!)).status).not.toBe('running');
    const listed = await replays.list(1);
    expect(listed.items).toHaveLength(1);
    expect((await replays.list(10, listed.nextCursor!)).items.length).toBeGreaterThan(0);
  });
});
