import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../kernel/cloudevent.ts';
import type { Json } from '../kernel/json.ts';
import { compileSchema } from '../kernel/schema.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { Distinct } from './distinct.ts';
import { contractMigrations } from './migrations.ts';
import { QualityMonitor } from './quality-monitor.ts';
import { count, measuredRule, noCounters, type QualityRule } from './quality-rules.ts';
import { SERVICE_LEVELS_SCHEMA, serviceLevelRules } from './service-levels.ts';

const START_MS = Date.parse('2026-03-01T00:00:00Z');
const HOUR_MS = 3_600_000;
const LATENESS_MS = 60_000;

function event(minute: number, data: Json): CloudEvent {
  const time = new Date(START_MS + minute * 60_000).toISOString();
  return { specversion: '1.0', id: `${minute}`, source: 's', type: 'order', time, data };
}

describe('distinct values', () => {
  it('are counted exactly while they are few', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 300 }), (values) => {
        const distinct = new Distinct();
        for (const value of values) distinct.add(value);
        return distinct.count() === new Set(values).size;
      }),
      { numRuns: 50 },
    );
  });

  it('are estimated within 5 % when they are many, in parts that are merged in any order as in one', () => {
    const whole = new Distinct();
    const parts = [new Distinct(), new Distinct(), new Distinct()];
    for (let i = 0; i < 60_000; i++) {
      whole.add(`value ${i % 30_000}`);
      parts[i % 3]!.add(`value ${i % 30_000}`);
    }
    expect(Math.abs(whole.count() - 30_000) / 30_000).toBeLessThan(0.05);
    const few = new Distinct();
    few.add('value 1');
    const merged = Distinct.from(few.state());
    for (const part of parts.reverse()) merged.merge(part.state());
    expect(merged.count()).toBe(whole.count());
    expect(JSON.stringify(whole.state()).length).toBeLessThan(6_000);
  });
});

describe('a quality rule', () => {
  const events = [
    event(0, { id: 'a', total: 5, customer: { country: 'DE' } }),
    event(10, { id: 'b', total: -1, customer: { country: null } }),
    event(20, { id: 'a', total: 7, customer: {} }),
    event(30, { id: 'c', total: 700, customer: { country: '' } }),
  ];
  it.each<[string, QualityRule, number, boolean]>([
    ['of the number of events', { metric: 'rowCount', mustBeGreaterOrEqualTo: 4 }, 4, true],
    ['of the number of events, bounded', { metric: 'rowCount', mustBeBetween: [5, 9] }, 4, false],
    ['of nulls', { metric: 'nullValues', property: 'customer.country' }, 1, false],
    [
      'of a share of nulls',
      { metric: 'nullValues', property: 'customer.country', unit: 'percent', mustBeLessOrEqualTo: 25 },
      25,
      true,
    ],
    [
      'of missing values',
      {
        metric: 'missingValues',
        property: 'customer.country',
        arguments: { missingValues: [''] },
        mustBeLessThan: 3,
      },
      3,
      false,
    ],
    [
      'of a range',
      { metric: 'invalidValues', property: 'total', arguments: { minimum: 0, maximum: 500 }, mustBe: 2 },
      2,
      true,
    ],
    [
      'of listed values',
      { metric: 'invalidValues', property: 'customer.country', arguments: { validValues: ['DE'] } },
      1,
      false,
    ],
    ['of uniqueness', { metric: 'duplicateValues', property: 'id', mustBeLessThan: 1 }, 1, false],
    ['of freshness in seconds', { metric: 'freshness', mustBeLessThan: 1800 }, 1800, false],
    [
      'of each event',
      { rule: 'data.total < 500', message: 'm', onFail: 'alert', mustBeLessThan: 2 },
      1,
      true,
    ],
    ['that cannot work on events', { rule: 'data.nothing > 1', message: 'm', onFail: 'alert' }, 4, false],
  ])('%s is measured over a window', (_, rule, value, isHeld) => {
    const measured = measuredRule(rule);
    const counters = noCounters();
    const distinct = new Distinct();
    for (const one of events) count(counters, measured, one, Date.parse(one.time), distinct);
    counters.distinct = distinct.state();
    const found = measured.value(counters, START_MS + HOUR_MS, counters.newestMs);
    expect(found).toBe(value);
    expect(measured.holds(found!)).toBe(isHeld);
  });

  it('comes of service levels: that events come in time, and often enough', () => {
    const [latency, frequency, ...others] = serviceLevelRules([
      { property: 'latency', value: 5, unit: 'm' },
      { property: 'frequency', value: 2, unit: 'h' },
      { property: 'retention', value: 'P1Y' },
      { property: 'availability', value: 99 },
    ]);
    expect(others).toEqual([]);
    expect([latency!.name, frequency!.name, frequency!.windowMs]).toEqual([
      'latency 5 m',
      'frequency 2 h',
      2 * HOUR_MS,
    ]);
    const counters = noCounters();
    for (const lateMs of [0, 299_000, 301_000])
      count(counters, latency!, event(0, {}), START_MS + lateMs, undefined);
    expect(latency!.value(counters, START_MS + HOUR_MS, START_MS)).toBe(1);
    expect(latency!.holds(1)).toBe(false);
    expect(frequency!.holds(0)).toBe(false);
  });

  it('comes of a retention that is a number, which a contract gives a unit', () => {
    const [kept] = serviceLevelRules([{ property: 'retention', value: 2, unit: 'y' }]);
    expect([kept!.name, kept!.holds(2 * 365 * 86_400), kept!.holds(2 * 365 * 86_400 - 1)]).toEqual([
      'retention 2 y',
      true,
      false,
    ]);
    const issues = compileSchema(SERVICE_LEVELS_SCHEMA);
    expect(issues([{ property: 'retention', value: 'P1Y' }])).toEqual([]);
    expect(issues([{ property: 'retention', value: 1, unit: 'd' }])).toEqual([]);
    expect(issues([{ property: 'retention', value: 1 }])).not.toEqual([]);
    expect(issues([{ property: 'latency', value: 'PT5M', unit: 'm' }])).not.toEqual([]);
  });

  it('says nothing of a window without events, but for their number and their age', () => {
    const at = (metric: QualityRule['metric']) =>
      measuredRule({ metric: metric! }).value(noCounters(), START_MS + HOUR_MS, START_MS);
    expect([at('nullValues'), at('rowCount'), at('freshness')]).toEqual([undefined, 0, 3600]);
  });
});

describe('the monitor of quality rules', () => {
  let database: TestDatabase;
  const clock = new ManualClock(START_MS);
  const told: CloudEvent[] = [];
  let isDown = false;
  const rules = [
    measuredRule({ metric: 'rowCount', mustBeGreaterThan: 1, message: 'orders come' }),
    measuredRule({ metric: 'duplicateValues', property: 'id' }),
  ];
  const open = () =>
    new QualityMonitor({
      db: database.db,
      clock,
      limits: { contractQualityLatenessMs: LATENESS_MS, contractQualityWindowsMax: 10 },
      rulesOf: (type) => (type === 'order' ? rules : []),
      types: () => ['order'],
      logBegin: async () => undefined,
      uncountedSince: async () => undefined,
      emit: async (one) => {
        if (isDown) throw new Error('down');
        // As the log does: both processes may tell of a window, under one id.
        if (!told.some(({ id }) => id === one.id)) told.push(one);
      },
    });
  let monitor: QualityMonitor;
  beforeAll(async () => {
    database = await createTestDatabase(contractMigrations);
  });
  afterAll(() => database.close());
  beforeEach(() => {
    monitor = open();
  });
  const handle = (...events: CloudEvent[]) =>
    database.db.transaction((tx) =>
      monitor.handle(
        events.map(
          (one, offset): LoggedEvent => ({
            event: one,
            partition: 0,
            offset,
            timeMs: Date.parse(one.time),
            recordedAtMs: 0,
          }),
        ),
        tx,
      ),
    );
  const judgeAt = async (minute: number) => {
    clock.advanceTo(START_MS + minute * 60_000);
    // Both end before the next step: one that goes on would tell of a window that is asked for then.
    const outcomes = await Promise.allSettled([monitor.judge(), open().judge()]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  };
  const verdicts = async () =>
    (await monitor.windows('order', 20)).map(
      ({ rule, startMs, rows, value, status, late }) =>
        `${(startMs - START_MS) / HOUR_MS} ${rule}: ${rows} ${value} ${status} ${late}`,
    );

  it('adds batches up, waits for late events and judges each window once', async () => {
    await handle(event(5, { id: 'a' }), event(10, { id: 'b' }));
    await handle(event(59, { id: 'a' }), event(61, { id: 'a' }));
    await judgeAt(60);
    expect((await verdicts()).filter((line) => !line.includes('open'))).toEqual([]);
    await judgeAt(61);
    expect(await verdicts()).toEqual([
      '1 duplicateValues id: 1 null open 0',
      '1 rowCount: 1 null open 0',
      '0 duplicateValues id: 3 1 failed 0',
      '0 rowCount: 3 3 passed 0',
    ]);
    expect(told).toMatchObject([
      {
        type: 'aios.contract.quality.failed.v1',
        subject: 'order',
        data: { rule: 'duplicateValues id', value: 1, windowStart: '2026-03-01T00:00:00.000Z' },
      },
    ]);
  });

  it('counts what comes after the verdict as late, and leaves the verdict', async () => {
    await handle(event(20, { id: 'z' }));
    expect((await verdicts()).slice(2)).toEqual([
      '0 duplicateValues id: 3 1 failed 1',
      '0 rowCount: 3 3 passed 1',
    ]);
  });

  it('tells of a failure and of the recovery, also where nothing came, and where a process died before it told', async () => {
    told.length = 0;
    isDown = true;
    await judgeAt(121).catch(() => {});
    expect(told).toEqual([]);
    isDown = false;
    await judgeAt(122);
    expect(
      [...new Set(told.map(({ type, data }) => `${type} ${(data as { rule: string }).rule}`))].sort(),
    ).toEqual([
      'aios.contract.quality.failed.v1 rowCount',
      'aios.contract.quality.recovered.v1 duplicateValues id',
    ]);
    await judgeAt(181);
    expect((await verdicts()).slice(0, 2)).toEqual([
      '2 duplicateValues id: 0 null empty 0',
      '2 rowCount: 0 0 failed 0',
    ]);
    expect(await monitor.states('order')).toMatchObject([
      { rule: 'duplicateValues id', status: 'passed' },
      { rule: 'rowCount', status: 'failed' },
    ]);
    await judgeAt(100 * 60);
    expect((await monitor.windows('order', 100)).length).toBe(20); // the newest ten windows of each rule, no others
    await handle(event(3, { id: 'very late' }));
    expect((await monitor.windows('order', 100)).at(-1)).toMatchObject({ rows: 0, late: 1, status: 'empty' });
  });

  it('begins anew with windows of another length, and fails none of them for what it did not count', async () => {
    let window = '1h';
    const shifted = new QualityMonitor({
      ...{ db: database.db, clock, types: () => ['shifted'], emit: async () => {} },
      limits: { contractQualityLatenessMs: LATENESS_MS, contractQualityWindowsMax: 100 },
      rulesOf: () => [measuredRule({ name: 'some', metric: 'rowCount', window })],
      logBegin: async () => undefined,
      uncountedSince: async () => undefined,
    });
    clock.advanceTo(START_MS + 300 * HOUR_MS);
    const beginMs = clock.now();
    /** An event every minute. */
    const pass = async (minutes: number) => {
      for (let minute = 0; minute < minutes; minute++) {
        const timeMs = clock.now();
        const one = { ...event(0, {}), type: 'shifted', time: new Date(timeMs).toISOString() };
        const logged = { event: one, partition: 0, offset: 0, timeMs, recordedAtMs: timeMs };
        await database.db.transaction((tx) => shifted.handle([logged], tx));
        clock.advanceBy(60_000);
        await shifted.judge();
      }
    };
    await pass(85);
    window = '7m';
    await pass(60);
    window = '1h';
    await pass(200);
    const windows = await shifted.windows('shifted', 100);
    expect(windows.filter(({ status }) => status === 'failed')).toEqual([]);
    const passed = windows.filter(({ status }) => status === 'passed');
    const lengths = new Set(passed.map(({ startMs, endMs }) => (endMs - startMs) / 60_000));
    expect(lengths).toEqual(new Set([60, 7]));
    const whole = passed.filter(({ startMs, endMs }) => startMs > beginMs && endMs - startMs === HOUR_MS);
    expect(whole.length).toBeGreaterThan(1);
    expect(windows.filter(({ status }) => status === 'open').length).toBeLessThanOrEqual(2);
  });

  it('misses no events in a window that began before the rule', async () => {
    const visits = new QualityMonitor({
      db: database.db,
      clock,
      limits: { contractQualityLatenessMs: LATENESS_MS, contractQualityWindowsMax: 10 },
      rulesOf: () => [measuredRule({ metric: 'rowCount' })],
      types: () => ['visit'],
      logBegin: async () => undefined,
      uncountedSince: async () => undefined,
      emit: async () => {},
    });
    clock.advanceBy(HOUR_MS / 2);
    await visits.judge();
    clock.advanceBy(2 * HOUR_MS);
    await visits.judge();
    expect((await visits.windows('visit', 10)).map(({ status }) => status)).toEqual(['failed', 'empty']);
  });

  it('holds a promised retention against what the log has kept, and tells once events went too early', async () => {
    let begin: { sinceMs: number; isDropped: boolean } | undefined;
    told.length = 0;
    clock.advanceTo(START_MS + 1000.5 * HOUR_MS);
    const startMs = clock.now();
    const kept = new QualityMonitor({
      db: database.db,
      clock,
      limits: { contractQualityLatenessMs: LATENESS_MS, contractQualityWindowsMax: 10 },
      rulesOf: () => serviceLevelRules([{ property: 'retention', value: 6, unit: 'h' }]),
      types: () => ['kept'],
      logBegin: async () => begin,
      uncountedSince: async () => undefined,
      emit: async (one) => void told.push(one),
    });
    const judged = async () => {
      await kept.judge();
      clock.advanceBy(HOUR_MS);
      await kept.judge();
      const [newest] = await kept.windows('kept', 1);
      return [newest!.status, newest!.value];
    };
    expect(await judged()).toEqual(['empty', null]);
    begin = { sinceMs: startMs, isDropped: false };
    expect((await judged())[0]).toBe('empty'); // young, and all of it is there
    const endMs = () => clock.now() - LATENESS_MS - ((clock.now() - LATENESS_MS) % HOUR_MS);
    begin = { sinceMs: endMs() - 6 * HOUR_MS, isDropped: true };
    expect(await judged()).toEqual(['passed', 7 * 3600]);
    begin = { sinceMs: endMs() - 3 * HOUR_MS, isDropped: true };
    expect(await judged()).toEqual(['failed', 4 * 3600]);
    expect(told).toMatchObject([
      { type: 'aios.contract.quality.failed.v1', data: { rule: 'retention 6 h', value: 4 * 3600 } },
    ]);
    expect(await kept.states('kept')).toMatchObject([{ rule: 'retention 6 h', status: 'failed' }]);
    begin = { sinceMs: endMs() - 5 * HOUR_MS, isDropped: true };
    expect(await judged()).toEqual(['passed', 6 * 3600]);
  });
});
