import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import { write } from '../store/lane.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { contractMigrations } from './migrations.ts';
import { Quarantine } from './quarantine.ts';
import { QuarantineRetention } from './quarantine-retention.ts';

const DAY = 86_400_000;
const START = Date.parse('2026-03-01T00:00:00Z');

describe('the retention of quarantine', () => {
  let database: TestDatabase;
  let clock: ManualClock;
  let quarantine: Quarantine;
  let retention: QuarantineRetention;
  let told: { counts: Record<string, number>; open: number }[];
  beforeEach(async () => {
    database = await createTestDatabase(
      contractMigrations,
      `contractQuarantineRetentionMs=${90 * DAY},contractQuarantinePruneMax=2`,
    );
    clock = new ManualClock(START);
    told = [];
    const { db, commit, limits } = database;
    const noted = (item: unknown) =>
      write(
        { name: 'noted', order: 99, write: async (_tx, items) => void told.push(...items) },
        item as never,
      );
    quarantine = new Quarantine({
      db,
      commit,
      clock,
      limits,
      check: () => undefined,
      append: () => write({ name: 'appended', order: 98, write: async () => undefined }, {}),
      record: () => write({ name: 'recorded', order: 97, write: async () => undefined }, {}),
    });
    retention = new QuarantineRetention({ db, commit, clock, limits, record: noted });
  });
  afterEach(() => database.close());

  const keep = (...ids: string[]) =>
    quarantine.keep(
      ids.map((id) => ({
        event: {
          specversion: '1.0',
          id,
          source: 's',
          type: 'order',
          time: new Date(START).toISOString(),
          data: {},
        },
        fault: new AiosError('contracts.data_invalid', {
          extensions: { version: '1.0.0', onFail: 'quarantine' },
        }),
      })),
    );
  const kept = async () =>
    (await quarantine.list({ limit: 100 })).items.map(({ event }) => event.id).toSorted();

  it('takes out what has been open or resolved for too long, step by step, and each step is told', async () => {
    await keep('a', 'b', 'c', 'resolved');
    clock.advanceTo(clock.now() + 60 * DAY);
    await keep('young');
    const [resolved] = (await quarantine.list({ limit: 100 })).items.filter(
      ({ event }) => event.id === 'resolved',
    );
    await quarantine.discard(resolved!.id, { kind: 'user', id: 'ann' }, 'a test');
    clock.advanceTo(clock.now() + 31 * DAY);
    expect(await retention.pass()).toBe(3);
    expect(await kept()).toEqual(['resolved', 'young']);
    expect(told.map(({ counts, open }) => [counts.order, open])).toEqual([
      [2, 2],
      [1, 1],
    ]);
    clock.advanceTo(clock.now() + 60 * DAY);
    expect(await retention.pass()).toBe(2);
    expect(await kept()).toEqual([]);
    expect(await retention.pass()).toBe(0);
  });

  it('is told once when two processes are at it', async () => {
    await keep('a', 'b');
    clock.advanceTo(clock.now() + 91 * DAY);
    const results = await Promise.allSettled([retention.pass(), retention.pass()]);
    expect(await kept()).toEqual([]);
    expect(told).toHaveLength(1);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'store.conflict' });
  });
});
