import { type DurationParts, parseDuration } from '../kernel/duration.ts';
import { AiosError } from '../kernel/errors.ts';
import type { WorkingCalendar, WorkingTime } from './working-calendar.ts';

/** A length of time as definitions and flows write it: `PT4H`, `2d`, `{ hours: 2 }`. */
export type Length = string | DurationParts;

const DATE_TIME = /^\d{4}-\d\d-\d\dT/;
const SHORT_DAYS = /^(\d+(?:\.\d+)?)d$/;
const ISO = /^P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(T.+)?$/;

/**
 * The instant that lies so long after another: by the clock on the wall, or in working time where there is a calendar. With one, a day is a working day.
 *
 * @throws AiosError `definition.duration`, `tasks.no_working_time`
 * @example after(friday16h, 'PT2H', office) // Monday 10:00
 */
export function after(fromMs: number, length: Length, calendar: WorkingCalendar | undefined): number {
  return calendar ? calendar.add(fromMs, workingTimeOf(length)) : fromMs + parseDuration(length);
}

/** As `after`, for what a flow gives: a date and time in RFC 3339 stands as it is. */
export function whenOf(fromMs: number, text: string, calendar: WorkingCalendar | undefined): number {
  if (!DATE_TIME.test(text)) return after(fromMs, text, calendar);
  const ms = Date.parse(text);
  if (Number.isNaN(ms))
    throw new AiosError('definition.duration', { detail: `“${text}” is not a date and time.` });
  return ms;
}

/**
 * A length as working time. A part of a working day has no fixed length, so it is refused rather than guessed.
 *
 * @throws AiosError `definition.duration`
 */
export function workingTimeOf(length: Length): WorkingTime {
  const time = split(length);
  if (!Number.isInteger(time.weeks) || !Number.isInteger(time.days)) {
    throw new AiosError('definition.duration', {
      detail: `“${JSON.stringify(length)}” has a part of a working day: say it in hours.`,
    });
  }
  return time;
}

function split(length: Length): WorkingTime {
  if (typeof length === 'object') {
    const { days = 0, ...rest } = length;
    return { weeks: 0, days, ms: parseDuration(rest) };
  }
  const short = SHORT_DAYS.exec(length);
  if (short) return { weeks: 0, days: Number(short[1]), ms: 0 };
  const iso = ISO.exec(length);
  if (!iso || length === 'P') return { weeks: 0, days: 0, ms: parseDuration(length) };
  const [, weeks = '0', days = '0', time] = iso;
  return { weeks: Number(weeks), days: Number(days), ms: time === undefined ? 0 : parseDuration(`P${time}`) };
}
