import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readDocument } from '../kernel/document.ts';
import type { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { TimeZone } from '../kernel/time-zone.ts';
import { calendarKind, compileCalendar } from './calendar-kind.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const OFFICE = ['09:00-12:00', '13:00-17:00'];
const WORKDAYS = {
  monday: OFFICE,
  tuesday: OFFICE,
  wednesday: OFFICE,
  thursday: OFFICE,
  friday: ['09:00-15:00'],
};
const berlin = (changes: JsonObject = {}) =>
  compileCalendar({ name: 'office', timeZone: 'Europe/Berlin', hours: WORKDAYS, ...changes }, 3_660);
const at = (text: string) => Date.parse(text);
const shown = (ms: number) => new Date(ms).toISOString().replace(':00.000Z', 'Z');
const span = (changes: { weeks?: number; days?: number; hours?: number }) => ({
  weeks: changes.weeks ?? 0,
  days: changes.days ?? 0,
  ms: (changes.hours ?? 0) * HOUR_MS,
});

describe('a calendar', () => {
  it.each([
    ['within a morning', '2026-01-05T08:30Z', { hours: 1 }, '2026-01-05T09:30Z'],
    ['over the noon break', '2026-01-05T10:30Z', { hours: 2 }, '2026-01-05T13:30Z'],
    ['to the very end of the hours', '2026-01-05T08:00Z', { hours: 7 }, '2026-01-05T16:00Z'],
    ['over the weekend', '2026-01-09T13:00Z', { hours: 2 }, '2026-01-12T09:00Z'],
    ['from a night', '2026-01-05T22:00Z', { hours: 1 }, '2026-01-06T09:00Z'],
    ['days, at the same time of the clock', '2026-01-05T09:30Z', { days: 3 }, '2026-01-08T09:30Z'],
    ['days, into shorter hours', '2026-01-08T15:30Z', { days: 1 }, '2026-01-09T14:00Z'],
    ['days, over the weekend', '2026-01-09T09:30Z', { days: 1 }, '2026-01-12T09:30Z'],
    ['days, from a weekend', '2026-01-10T09:30Z', { days: 1 }, '2026-01-13T08:00Z'],
    ['days and then hours', '2026-01-08T09:30Z', { days: 1, hours: 5 }, '2026-01-12T08:30Z'],
    ['weeks', '2026-01-07T09:30Z', { weeks: 1 }, '2026-01-14T09:30Z'],
    ['over the day on which the clock goes forward', '2026-03-27T13:00Z', { hours: 2 }, '2026-03-30T08:00Z'],
    ['over the day on which the clock goes back', '2026-10-23T12:00Z', { hours: 2 }, '2026-10-26T09:00Z'],
    [
      'days over that day, at the same time of the clock',
      '2026-10-23T08:00Z',
      { days: 1 },
      '2026-10-26T09:00Z',
    ],
  ])('counts %s', (_, from, time, expected) => {
    expect(shown(berlin().add(at(from), span(time)))).toBe(expected);
  });

  it('knows free days and days with hours of their own', () => {
    const holidays = ['2026-01-06', { date: '2026-01-10', title: 'Stock-taking', hours: ['09:00-10:00'] }];
    expect(shown(berlin({ holidays }).add(at('2026-01-05T15:00Z'), span({ hours: 2 })))).toBe(
      '2026-01-07T09:00Z',
    );
    expect(shown(berlin({ holidays }).add(at('2026-01-09T13:30Z'), span({ hours: 1 })))).toBe(
      '2026-01-10T08:30Z',
    );
  });

  it('counts hours that pass: a night shift in which the clock is changed is an hour shorter or longer', () => {
    const nights = berlin({ hours: { sunday: ['00:00-06:00'] } });
    const begin = (day: string) => nights.add(at(day) - DAY_MS, span({ hours: 0.5 })) - HOUR_MS / 2;
    const week = (day: string) => nights.add(begin(day), span({ hours: 6.5 }));
    expect(shown(nights.add(begin('2026-03-29T12:00Z'), span({ hours: 5 })))).toBe('2026-03-29T04:00Z');
    expect(shown(week('2026-03-29T12:00Z'))).toBe('2026-04-04T23:30Z');
    expect(shown(nights.add(begin('2026-10-25T12:00Z'), span({ hours: 7 })))).toBe('2026-10-25T05:00Z');
  });

  it('gives up where too few hours are left, and says which limit', () => {
    const holidays = Array.from({ length: 300 }, (_, day) =>
      new Date(Date.UTC(2026, 0, 5 + day)).toISOString().slice(0, 10),
    );
    const closed = compileCalendar({ name: 'c', timeZone: 'UTC', hours: WORKDAYS, holidays }, 200);
    for (const time of [span({ hours: 1 }), span({ days: 1 })])
      expect(() => closed.add(at('2026-01-05T09:00Z'), time)).toThrow(
        expect.objectContaining({
          code: 'tasks.no_working_time',
          extensions: { limitName: 'calendarDaysMax', limit: 200 },
        }),
      );
  });

  it.each([
    ['timeZone: Europe/Atlantis\nhours: { monday: ["09:00-12:00"] }', '/timeZone', 'IANA'],
    ['timeZone: UTC\nhours: { monday: ["12:00-09:00"] }', '/hours/monday/0', 'go forward'],
    [
      'timeZone: UTC\nhours: { monday: ["09:00-12:00", "11:00-13:00"] }',
      '/hours/monday/1',
      'one after another',
    ],
    ['timeZone: UTC\nhours: { monday: [] }', '/hours', 'needs hours'],
    ['timeZone: UTC\nhours: { monday: ["9-17"] }', '/hours/monday/0', 'pattern'],
    ['timeZone: UTC\nhours: { monday: ["09:00-24:00"] }\nholidays: ["2026-02-30"]', '/holidays/0', ''],
  ])('that is wrong is refused with its place: %s', (text, path, message) => {
    try {
      calendarKind.parse(readDocument(`name: c\n${text}`, 'calendars/c.yaml'), new Map());
      expect.unreachable();
    } catch (error) {
      const issue = (error as AiosError).issues.find((one) => one.path === path);
      expect(issue).toMatchObject({
        file: 'calendars/c.yaml',
        line: expect.any(Number),
        message: expect.stringContaining(message),
      });
    }
  });
});

describe('properties of a calendar', () => {
  const ZONES = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'UTC'];
  const DAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
  const clock = (half: number) =>
    `${String(Math.floor(half / 2)).padStart(2, '0')}:${half % 2 === 0 ? '00' : '30'}`;
  /** Up to three intervals of a day, on half hours. */
  const hours = fc
    .uniqueArray(fc.integer({ min: 0, max: 48 }), { minLength: 0, maxLength: 6 })
    .map((cuts) => [...cuts].sort((a, b) => a - b))
    .map((cuts) =>
      Array.from(
        { length: Math.floor(cuts.length / 2) },
        (_, i) => `${clock(cuts[2 * i]!)}-${clock(cuts[2 * i + 1]!)}`,
      ),
    );
  const calendars = fc
    .record({
      timeZone: fc.constantFrom(...ZONES),
      week: fc.array(hours, { minLength: 7, maxLength: 7 }),
      holidays: fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 5 }),
    })
    .filter(({ week }) => week.some((day) => day.length > 0))
    .map(({ timeZone, week, holidays }) => ({
      timeZone,
      week,
      free: new Set(holidays.map((day) => new Date(START_MS + day * DAY_MS).toISOString().slice(0, 10))),
    }));
  // Around the days on which Berlin, New York and Lord Howe change their clocks, forward or back.
  const START_MS = Date.UTC(2026, 2, 1);
  const instants = fc
    .record({ autumn: fc.boolean(), minute: fc.integer({ min: 0, max: 45 * 24 * 60 }) })
    .map(({ autumn, minute }) => (autumn ? Date.UTC(2026, 8, 20) : START_MS) + minute * MINUTE_MS);
  type Drawn = typeof calendars extends fc.Arbitrary<infer Value> ? Value : never;
  const compiled = ({ timeZone, week, free }: Drawn) =>
    compileCalendar(
      {
        name: 'c',
        timeZone,
        hours: Object.fromEntries(week.map((texts, day) => [DAYS[day]!, texts])),
        holidays: [...free],
      },
      3_660,
    );
  /** Whether people work at a minute of the clock, asked of Intl alone. */
  const works = ({ timeZone, week, free }: Drawn) => {
    const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' });
    return (ms: number) => {
      const [date = '', time = ''] = format.format(ms).split(' ');
      if (free.has(date)) return false;
      return week[new Date(`${date}T00:00Z`).getUTCDay()]!.some((text) => {
        const [from = '', to = ''] = text.split('-');
        return time >= from && time < to;
      });
    };
  };

  /** Hours that end inside the hour that comes twice end the first time (RFC 5545, 3.3.5), where the clock would count its second time, too. */
  const toldByTheClock = ({ timeZone, week }: Drawn) => {
    const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' });
    const HOUR_MS = 60 * MINUTE_MS;
    return (ms: number) => {
      const now = format.format(ms);
      if (format.format(ms - HOUR_MS) !== now && format.format(ms - HOUR_MS / 2) !== now) return true;
      const hour = now.slice(11, 13);
      const ranges = week[new Date(`${now.slice(0, 10)}T00:00Z`).getUTCDay()]!;
      return !ranges.some((text) =>
        text.split('-').some((bound) => bound.startsWith(hour) && !bound.endsWith(':00')),
      );
    };
  };

  it('agrees with counting quarter by quarter of an hour', () => {
    const QUARTER_MS = 15 * MINUTE_MS; // hours of these calendars and all changes of the clock lie on it
    const quarters = fc.integer({ min: 1, max: 60 });
    fc.assert(
      fc.property(calendars, instants, quarters, (drawn, instant, count) => {
        const from = Math.floor(instant / QUARTER_MS) * QUARTER_MS;
        const isWork = works(drawn);
        const isTold = toldByTheClock(drawn);
        let ms = from;
        for (let left = count; left > 0; ms += QUARTER_MS) {
          if (ms - from > 20 * DAY_MS) return; // a calendar with very few hours: too long to count here
          if (!isTold(ms)) return;
          if (isWork(ms)) left--;
        }
        expect(compiled(drawn).add(from, { weeks: 0, days: 0, ms: count * QUARTER_MS })).toBe(ms);
      }),
      { numRuns: 80 },
    );
  });

  it('adds up, and never goes back', () => {
    const minutes = fc.integer({ min: 1, max: 3_000 });
    fc.assert(
      fc.property(
        calendars,
        instants,
        minutes,
        minutes,
        fc.integer({ min: 0, max: 4 }),
        (drawn, from, a, b, days) => {
          const calendar = compiled(drawn);
          const add = (start: number, count: number) =>
            calendar.add(start, { weeks: 0, days: 0, ms: count * MINUTE_MS });
          expect(add(add(from, a), b)).toBe(add(from, a + b));
          const later = from + b * MINUTE_MS;
          const time = { weeks: 0, days, ms: a * MINUTE_MS };
          expect(calendar.add(later, time)).toBeGreaterThanOrEqual(calendar.add(from, time));
          expect(calendar.add(from, time)).toBeGreaterThan(from);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('the clock of a zone goes there and back', () => {
    fc.assert(
      fc.property(fc.constantFrom(...ZONES), instants, (name, ms) => {
        const zone = new TimeZone(name);
        const { day, timeMs } = zone.localOf(ms);
        const back = zone.instantOf(day, timeMs);
        // Where the clock shows a time twice, the first time is meant.
        expect(back === ms || (back < ms && zone.localOf(back).timeMs === timeMs)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});
