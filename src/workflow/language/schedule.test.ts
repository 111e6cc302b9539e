import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../kernel/json.ts';
import { readSchedule, scheduledRunKey, timesOf } from './schedule.ts';

const BERLIN = { timezone: 'Europe/Berlin' };

function times(schedule: JsonObject, options: JsonObject, from: string, count: number): string[] {
  const faults: string[] = [];
  const read = readSchedule(schedule, options, (...fault) => faults.push(fault.join(' ')));
  expect(faults).toEqual([]);
  const found: string[] = [];
  let atMs: number | undefined = Date.parse(from);
  while (found.length < count) {
    atMs = read!.nextMs(atMs);
    if (atMs === undefined) break;
    found.push(new Date(atMs).toISOString().slice(0, 16));
  }
  return found;
}

const cases: [name: string, schedule: JsonObject, options: JsonObject, from: string, expected: string[]][] = [
  [
    'every: multiples of the duration',
    { every: { minutes: 15 } },
    {},
    '2026-01-01T00:07:00Z',
    ['2026-01-01T00:15', '2026-01-01T00:30'],
  ],
  [
    'every: the time itself is not after itself',
    { every: 'PT1H' },
    {},
    '2026-01-01T01:00:00Z',
    ['2026-01-01T02:00'],
  ],
  [
    'after: the end of the last run and the duration',
    { after: 'PT10M' },
    {},
    '2026-01-01T00:07:00Z',
    ['2026-01-01T00:17'],
  ],
  ['cron in UTC', { cron: '30 2 * * *' }, {}, '2026-01-01T03:00:00Z', ['2026-01-02T02:30']],
  [
    'cron where clocks go forward: 02:30 does not exist on 29 March, and is due at 03:00',
    { cron: '30 2 * * *' },
    BERLIN,
    '2026-03-27T12:00:00Z',
    ['2026-03-28T01:30', '2026-03-29T01:00', '2026-03-30T00:30'],
  ],
  [
    'cron where clocks go back: 02:30 exists twice on 25 October, and is due once',
    { cron: '30 2 * * *' },
    BERLIN,
    '2026-10-24T12:00:00Z',
    ['2026-10-25T00:30', '2026-10-26T01:30'],
  ],
  [
    'cron at several hours where clocks go forward: 02:00 does not exist, and is due at 03:00',
    { cron: '0 2,14 * * *' },
    BERLIN,
    '2026-03-28T14:00:00Z',
    ['2026-03-29T01:00', '2026-03-29T12:00', '2026-03-30T00:00'],
  ],
  [
    'cron at several hours where clocks go back: 02:00 exists twice, and is due once',
    { cron: '0 2,14 * * *' },
    BERLIN,
    '2026-10-24T14:00:00Z',
    ['2026-10-25T00:00', '2026-10-25T13:00', '2026-10-26T01:00'],
  ],
  [
    'cron at several minutes that do not exist: due once, at 03:00, together with 03:00 itself',
    { cron: '*/20 2,3 * * *' },
    BERLIN,
    '2026-03-29T00:50:00Z',
    ['2026-03-29T01:00', '2026-03-29T01:20', '2026-03-29T01:40', '2026-03-30T00:00'],
  ],
  [
    'cron at several minutes that exist twice: due once each, and not in the second of these hours',
    { cron: '*/20 2 * * *' },
    BERLIN,
    '2026-10-25T00:20:00Z',
    ['2026-10-25T00:40', '2026-10-26T01:00'],
  ],
  [
    'cron asked in the second of two hours of one name: what comes behind them',
    { cron: '10,50 2,3 * * *' },
    BERLIN,
    '2026-10-25T01:20:00Z',
    ['2026-10-25T02:10', '2026-10-25T02:50', '2026-10-26T01:10'],
  ],
  [
    'cron by the hour where clocks go back: each of the 25 hours',
    { cron: '0 * * * *' },
    BERLIN,
    '2026-10-24T23:30:00Z',
    ['2026-10-25T00:00', '2026-10-25T01:00', '2026-10-25T02:00'],
  ],
  [
    'cron by the hour, by its name: each of the 25 hours',
    { cron: '@hourly' },
    BERLIN,
    '2026-10-24T23:30:00Z',
    ['2026-10-25T00:00', '2026-10-25T01:00', '2026-10-25T02:00'],
  ],
  ['a date that never comes', { cron: '0 0 30 2 *' }, {}, '2026-01-01T00:00:00Z', []],
];

describe('due times', () => {
  test.each(cases)('%s', (_name, schedule, options, from, expected) => {
    expect(times(schedule, options, from, Math.max(1, expected.length))).toEqual(expected);
  });

  test('one due time is one key, to the millisecond', () => {
    expect(scheduledRunKey(5000)).toBe('schedule/1970-01-01T00:00:05.000Z');
    expect(scheduledRunKey(5001)).not.toBe(scheduledRunKey(5000));
  });

  test('are told as they are written, durations given by their parts in ISO 8601', () => {
    const read = (schedule: JsonObject) => readSchedule(schedule, undefined, () => {})!;
    expect(read({ every: { days: 1, minutes: 30, milliseconds: 500 } }).expression).toBe('P1DT30M0.5S');
    expect(timesOf(read({ cron: '0 8 * * 1-5' }))).toBe('cron 0 8 * * 1-5 UTC');
  });
});

const refused: [name: string, schedule: JsonObject, options: JsonObject, path: string][] = [
  ['two kinds at once', { every: 'PT1M', cron: '* * * * *' }, {}, '/schedule/cron'],
  ['a pattern that is none', { cron: 'often' }, {}, '/schedule/cron'],
  ['a pattern with seconds', { cron: '*/5 * * * * *' }, {}, '/schedule/cron'],
  ['a duration of months', { every: 'P1M' }, {}, '/schedule/every'],
  ['a duration of nothing', { after: 'PT0S' }, {}, '/schedule/after'],
  [
    'a time zone that is none',
    { every: 'PT1M' },
    { timezone: 'Mars/Base' },
    '/document/metadata/aios/schedule/timezone',
  ],
  [
    'an overlap that is none',
    { every: 'PT1M' },
    { overlap: 'wait' },
    '/document/metadata/aios/schedule/overlap',
  ],
  [
    'missed times that are none',
    { every: 'PT1M' },
    { missed: 'some' },
    '/document/metadata/aios/schedule/missed',
  ],
  [
    'an option that is none',
    { every: 'PT1M' },
    { timeZone: 'Europe/Berlin' },
    '/document/metadata/aios/schedule/timeZone',
  ],
  ['options without a schedule by time', {}, { overlap: 'skip' }, '/document/metadata/aios/schedule'],
];

describe('what is refused names its path', () => {
  test.each(refused)('%s', (_name, schedule, options, path) => {
    const paths: string[] = [];
    expect(readSchedule(schedule, options, (at) => paths.push(at))).toBeUndefined();
    expect(paths).toEqual([path]);
  });
});
