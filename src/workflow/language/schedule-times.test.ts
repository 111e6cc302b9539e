import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../kernel/json.ts';
import { readSchedule, type Schedule } from './schedule.ts';
import { backfillTimes, planFiring, scheduledInput } from './schedule-times.ts';

const HOUR = 3_600_000;

function read(schedule: JsonObject, options: JsonObject = {}): Schedule {
  return readSchedule(schedule, options, (...fault) => expect.fail(fault.join(' ')))!;
}

const at = (iso: string): number => Date.parse(`2026-${iso}Z`);
const shown = (times: readonly number[]): string[] =>
  times.map((ms) => new Date(ms).toISOString().slice(5, 16));

const plans: [
  name: string,
  schedule: JsonObject,
  missed: string,
  due: string,
  now: string,
  fired: string[],
  next: string | undefined,
][] = [
  ['a time that has not come', { every: 'PT1H' }, 'skip', '01-01T02:00', '01-01T01:59', [], '01-01T02:00'],
  [
    'a time that has just come',
    { every: 'PT1H' },
    'skip',
    '01-01T02:00',
    '01-01T02:00',
    ['01-01T02:00'],
    '01-01T03:00',
  ],
  ['missed times are skipped', { every: 'PT1H' }, 'skip', '01-01T02:00', '01-01T05:30', [], '01-01T06:00'],
  [
    'of missed times the last is fired',
    { every: 'PT1H' },
    'last',
    '01-01T02:00',
    '01-01T05:30',
    ['01-01T05:00'],
    '01-01T06:00',
  ],
  [
    'one that is on time is the last',
    { every: 'PT1H' },
    'last',
    '01-01T02:00',
    '01-01T05:00',
    ['01-01T05:00'],
    '01-01T06:00',
  ],
  [
    'all missed times are fired, a few at once',
    { every: 'PT1H' },
    'all',
    '01-01T02:00',
    '01-01T09:30',
    ['01-01T02:00', '01-01T03:00', '01-01T04:00'],
    '01-01T05:00',
  ],
  [
    'the last of a year of minutes',
    { cron: '* * * * *' },
    'last',
    '01-01T00:00',
    '12-31T23:59',
    ['12-31T23:59'],
    undefined,
  ],
  [
    'after: fired however late, the end of its run sets the next',
    { after: 'PT1H' },
    'skip',
    '01-01T02:00',
    '01-09T00:00',
    ['01-01T02:00'],
    undefined,
  ],
];

describe('what is fired', () => {
  test.each(plans)('%s', (_name, schedule, missed, due, now, fired, next) => {
    const plan = planFiring(read(schedule, { missed }), at(due), { nowMs: at(now), graceMs: 30_000, max: 3 });
    expect(shown(plan.fireMs)).toEqual(fired);
    if (next) expect(shown([plan.nextMs!])).toEqual([next]);
  });
});

describe('back-fill', () => {
  test('the times of a range, its end left out', () => {
    const times = backfillTimes(read({ every: 'PT1H' }), at('01-01T02:00'), at('01-01T05:00'), 10);
    expect(shown(times)).toEqual(['01-01T02:00', '01-01T03:00', '01-01T04:00']);
  });

  test('an empty range holds none', () => {
    expect(backfillTimes(read({ every: 'PT1H' }), at('01-01T02:00'), at('01-01T02:00'), 10)).toEqual([]);
  });

  test.each([
    ['more times than allowed', { every: 'PT1H' }, /more than 10 times; .* before 2026-01-01T10:00/],
    ['times that follow from runs', { after: 'PT1H' }, /no past times/],
  ])('%s are refused', (_name, schedule, message) => {
    expect(() => backfillTimes(read(schedule), at('01-01T00:00'), at('01-02T00:00'), 10)).toThrow(message);
  });
});

describe('the input of a scheduled run', () => {
  test.each<[string, JsonObject, string, string | null]>([
    ['every hour', { every: 'PT1H' }, '2026-03-01T05:00:00.000Z', '2026-03-01T04:00:00.000Z'],
    [
      'a working day after a weekend',
      { cron: '0 8 * * 1-5' },
      '2026-03-02T08:00:00.000Z',
      '2026-02-27T08:00:00.000Z',
    ],
    ['once a year', { cron: '0 0 1 1 *' }, '2026-01-01T00:00:00.000Z', '2025-01-01T00:00:00.000Z'],
    ['after', { after: 'PT1H' }, '2026-03-01T05:00:00.000Z', null],
  ])('%s', (_name, schedule, scheduledAt, previousAt) => {
    expect(scheduledInput(read(schedule), Date.parse(scheduledAt))).toEqual({ scheduledAt, previousAt });
  });

  test('the interval of the night in which clocks go forward has 23.5 hours', () => {
    const nightly = read({ cron: '30 2 * * *' }, { timezone: 'Europe/Berlin' });
    const { scheduledAt, previousAt } = scheduledInput(nightly, at('03-29T01:00'));
    expect((Date.parse(String(scheduledAt)) - Date.parse(String(previousAt))) / HOUR).toBe(23.5);
  });
});
