import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EventLog } from '../events/log.ts';
import { eventMigrations } from '../events/migrations.ts';
import { ManualClock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import { type Lane, write } from '../store/lane.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { contractMigrations } from './migrations.ts';
import { Quarantine } from './quarantine.ts';

describe('an event in quarantine that two people resolve at one time', () => {
  const by = { kind: 'key', id: 'ann' };
  const clock = new ManualClock(Date.parse('2026-03-01T00:00:00Z'));
  const told: string[] = [];
  const records: Lane<string> = {
    name: 'records',
    order: 99,
    write: async (_tx, items) => void told.push(...items),
  };
  let database: TestDatabase;
  let log: EventLog;
  let quarantine: Quarantine;
  beforeAll(async () => {
    database = await createTestDatabase([...eventMigrations, ...contractMigrations]);
    const { db, commit, limits } = database;
    log = new EventLog({ db, commit, clock, limits });
    quarantine = new Quarantine({
      ...{ db, commit, clock, limits },
      check: () => undefined,
      append: (event) => log.write(event),
      record: ({ id, action }) => write(records, `${id} ${action}`),
    });
  });
  afterAll(() => database.close());

  it.each([
    ['released', 'discarded'],
    ['discarded', 'released'],
    ['released', 'released'],
  ])('is %s or %s, and what is told of it is what became of it', async (first, second) => {
    const event = {
      ...{ specversion: '1.0' as const, id: `${first} ${second}`, source: 's', type: 'order', data: {} },
      time: new Date(clock.now()).toISOString(),
    };
    const fault = new AiosError('contracts.data_invalid', {
      extensions: { version: '1.0.0', onFail: 'quarantine' },
    });
    await quarantine.keep([{ event, fault }]);
    const id = (await quarantine.list({ status: 'open', limit: 1 })).items[0]!.id;
    const resolve = (how: string) =>
      how === 'released' ? quarantine.release(id, by) : quarantine.discard(id, by, 'a test');
    const outcomes = await Promise.allSettled([resolve(first), resolve(second)]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'contracts.unknown_quarantined' },
    });
    const { status } = (await quarantine.list({ limit: 1 })).items[0]!;
    expect(told.filter((line) => line.startsWith(id))).toEqual([`${id} ${status}`]);
    const { items } = await log.search({ type: 'order', limit: 10 });
    expect(items.some((logged) => logged.event.id === event.id)).toBe(status === 'released');
  });
});
