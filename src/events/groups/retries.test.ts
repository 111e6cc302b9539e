import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.ts';
import type { LoggedEvent } from '../../kernel/cloudevent.ts';
import { AiosError } from '../../kernel/errors.ts';
import { definitionMigrations } from '../../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { EventConsumers } from '../consumers.ts';
import { event } from '../event-under-test.ts';
import { EventLog } from '../log.ts';
import { eventMigrations } from '../migrations.ts';
import { Retries } from './retries.ts';

const fault = new AiosError('expression.failed');

describe('what fails in a partition', () => {
  it('is narrowed down to the event that stands alone, and put aside after its tries', () => {
    const retries = new Retries(2);
    const failed = (offset: number, count: number) =>
      retries.failed({ partition: 3, offset, count, isAll: true }, fault, 0);
    expect(failed(10, 5)).toBeUndefined();
    expect(retries.due(0)).toEqual([]);
    expect(retries.due(1e6)).toEqual([{ partition: 3, countMax: 5 }]);
    expect(failed(10, 5)).toBeUndefined();
    retries.passed(3, 13);
    expect(retries.due(0)).toEqual([{ partition: 3, countMax: 1 }]);
    expect([failed(13, 1), failed(13, 1)]).toEqual([undefined, 2]);
    expect(retries.holds(3)).toBe(true);
    retries.passed(3, 15);
    expect(retries.holds(3)).toBe(false);
  });

  it('is not put aside for what others of its batch did', () => {
    const retries = new Retries(1);
    expect(retries.failed({ partition: 1, offset: 7, count: 1, isAll: false }, fault, 0)).toBeUndefined();
    expect(retries.failed({ partition: 1, offset: 7, count: 1, isAll: true }, fault, 0)).toBe(1);
  });
});

describe('a consumer', () => {
  let database: TestDatabase;
  let log: EventLog;
  beforeAll(async () => {
    const effects = { name: '0029_effects', sql: 'create table effects (id text)' };
    database = await createTestDatabase([...definitionMigrations, ...eventMigrations, effects]);
    log = new EventLog({ ...database, clock: systemClock });
  });
  afterAll(() => database.close());

  it('goes on in its other partitions while an event holds up one, whose order stays', async () => {
    const seen: string[] = [];
    let isBroken = true;
    const consumers = new EventConsumers({ ...database, log });
    consumers.add({
      group: 'held',
      from: 'latest',
      pauseMs: () => 1,
      async handle(events: LoggedEvent[]) {
        if (isBroken && events.some((logged) => logged.event.id === 'bad'))
          throw new AiosError('request.overloaded');
        return () => seen.push(...events.map((logged) => logged.event.id));
      },
    });
    await consumers.start();
    const [held, other] = [{ partitionkey: 'k5' }, { partitionkey: 'k6' }];
    await log.append([event('bad', held), event('behind-1', held), event('behind-2', held)]);
    for (let n = 0; n < 20; n++) await log.append([event(`other-${n}`, other)]);
    while (seen.length < 20) await sleep(5);
    expect(seen).toEqual(Array.from({ length: 20 }, (_, n) => `other-${n}`));
    isBroken = false;
    await consumers.idle();
    expect(seen.slice(20)).toEqual(['bad', 'behind-1', 'behind-2']);
    await consumers.stop();
  });

  it('commits nothing of a batch that took longer than its lease while it stood still', async () => {
    const consumers = new EventConsumers({
      ...database,
      log,
      limits: { ...database.limits, consumerLeaseMs: 3_000 },
    });
    let tries = 0;
    const told: string[] = [];
    consumers.add({
      group: 'late',
      from: 'latest',
      async handle(events, tx) {
        await tx.query('insert into effects values ($1)', [events[0]!.event.id]);
        if (tries++ === 0) await sleep(4_000);
        return () => told.push(events[0]!.event.id);
      },
    });
    await consumers.start();
    await log.append([event('late')]);
    await consumers.idle();
    expect([tries, told]).toEqual([2, ['late']]);
    expect(await database.db.query('select id from effects')).toEqual([{ id: 'late' }]);
    expect(await consumers.deadLetters.countOpen()).toBe(0);
    await consumers.stop();
  });
});
