import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../kernel/cloudevent.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { contractMigrations } from './migrations.ts';
import { QualityMonitor } from './quality-monitor.ts';
import { measuredRule } from './quality-rules.ts';

const HOUR_MS = 3_600_000;
const LATENESS_MS = 60_000;

describe('the freshness of events', () => {
  let database: TestDatabase;
  let monitor: QualityMonitor;
  let type = '';
  let seconds = 0;
  const clock = new ManualClock(Date.parse('2026-03-01T00:00:00Z'));
  beforeAll(async () => {
    database = await createTestDatabase(contractMigrations);
  });
  afterAll(() => database.close());
  beforeEach(({ task }) => {
    type = task.name;
    monitor = new QualityMonitor({
      db: database.db,
      clock,
      limits: { contractQualityLatenessMs: LATENESS_MS, contractQualityWindowsMax: 10 },
      rulesOf: () => [measuredRule({ metric: 'freshness', mustBeLessThan: seconds })],
      types: () => [type],
      logBegin: async () => undefined,
      uncountedSince: async () => undefined,
      emit: async () => {},
    });
  });
  const handle = (timeMs: number, recordedAtMs: number) => {
    const event: CloudEvent = {
      ...{ specversion: '1.0', id: `${timeMs}`, source: 's', type, data: {} },
      time: new Date(timeMs).toISOString(),
    };
    const logged: LoggedEvent = { event, partition: 0, offset: 0, timeMs, recordedAtMs };
    return database.db.transaction((tx) => monitor.handle([logged], tx));
  };
  /** Oldest first. */
  const judged = async () =>
    (await monitor.windows(type, 10)).map(({ value, late, status }) => [value, late, status]).reverse();

  it('takes no event of the future for a sign of life, and one of a clock that is ahead for what it was when it came', async () => {
    seconds = 5400;
    const startMs = clock.now();
    await monitor.judge();
    await handle(startMs + 3 * HOUR_MS, startMs + HOUR_MS / 2);
    await handle(Date.parse('9999-01-01T00:00:00Z'), startMs + HOUR_MS / 2);
    clock.advanceBy(4 * HOUR_MS + 2 * LATENESS_MS);
    await monitor.judge();
    expect(await judged()).toEqual([
      [1800, 0, 'passed'],
      [5400, 0, 'failed'],
      [9000, 0, 'failed'],
      [12_600, 0, 'failed'],
    ]);
  });

  it('is known of a source that is always behind', async () => {
    seconds = 3 * 3600;
    clock.advanceTo(Date.parse('2026-03-02T00:00:00Z'));
    await monitor.judge();
    for (let hour = 0; hour < 3; hour++) {
      const recordedAtMs = clock.now() + HOUR_MS / 2;
      clock.advanceBy(HOUR_MS + 2 * LATENESS_MS);
      await handle(recordedAtMs - 2 * HOUR_MS, recordedAtMs);
      await monitor.judge();
    }
    expect(await judged()).toEqual([
      [9000, 0, 'passed'],
      [8880, 0, 'passed'],
      [8760, 0, 'passed'],
    ]);
  });
});
