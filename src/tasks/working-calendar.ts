import { AiosError } from '../kernel/errors.ts';
import type { TimeZone } from '../kernel/time-zone.ts';

/** Milliseconds of a day's clock, from and to; in order, apart from each other. */
export type Hours = readonly (readonly [fromMs: number, toMs: number])[];

interface WorkingHours {
  readonly zone: TimeZone;
  /** Of Sunday, Monday … Saturday. */
  readonly week: readonly Hours[];
  /** Instead of those of the week, by the day's number since 1970-01-01. */
  readonly days: ReadonlyMap<number, Hours>;
}

/** A length of working time: whole working days, and then milliseconds in which people work. */
export interface WorkingTime {
  readonly weeks: number;
  readonly days: number;
  readonly ms: number;
}

const CACHED_DAYS_MAX = 1_000;
const EPOCH_WEEKDAY = 4; // 1970-01-01 was a Thursday

/**
 * Counts in the hours in which people work. An hour of work is an hour that passes, also in a night in which the clock is changed.
 *
 * @example calendar.add(friday16h, { weeks: 0, days: 0, ms: 2 * 3_600_000 }) // Monday 10:00, where people work from 9 to 17
 */
export class WorkingCalendar {
  readonly #hours: WorkingHours;
  readonly #daysMax: number;
  readonly #intervals = new Map<number, Hours>();

  /** `daysMax`: how many days a count may pass through before it is given up. */
  constructor(hours: WorkingHours, daysMax: number) {
    this.#hours = hours;
    this.#daysMax = daysMax;
  }

  /**
   * The instant at which so much working time has passed. A week has as many working days as the calendar's week. A working day later is the same time
   * of the clock on the next working day, moved into its hours where people do not work then; counting begins at the next moment of work.
   *
   * @throws AiosError `tasks.no_working_time` when it lies more than `calendarDaysMax` days away
   */
  add(fromMs: number, { weeks, days, ms }: WorkingTime): number {
    const daysPerWeek = this.#hours.week.filter((hours) => hours.length > 0).length;
    const from = this.#addDays(fromMs, weeks * Math.max(1, daysPerWeek) + days);
    return ms === 0 ? from : this.#addMs(from, ms);
  }

  #addMs(fromMs: number, ms: number): number {
    let left = ms;
    for (const [, intervals] of this.#daysFrom(fromMs)) {
      for (const [start, end] of intervals) {
        const begin = Math.max(start, fromMs);
        if (end <= begin) continue;
        if (left <= end - begin) return begin + left;
        left -= end - begin;
      }
    }
    throw this.#tooFar(fromMs);
  }

  #addDays(fromMs: number, days: number): number {
    if (days === 0) return fromMs;
    let left = days;
    let timeMs: number | undefined;
    for (const [day, intervals] of this.#daysFrom(fromMs)) {
      if (timeMs === undefined) {
        const next = intervals.find(([, end]) => end > fromMs);
        if (next) timeMs = this.#hours.zone.localOf(Math.max(next[0], fromMs)).timeMs;
      } else if (intervals.length > 0 && --left === 0) return within(intervals, this.#instant(day, timeMs));
    }
    throw this.#tooFar(fromMs);
  }

  #instant(day: number, timeMs: number): number {
    return this.#hours.zone.instantOf(day, timeMs);
  }

  *#daysFrom(fromMs: number): Generator<[day: number, intervals: Hours], void> {
    const { day } = this.#hours.zone.localOf(fromMs);
    for (let passed = 0; passed <= this.#daysMax; passed++) yield [day + passed, this.#on(day + passed)];
  }

  /** The hours of a day as instants. */
  #on(day: number): Hours {
    const known = this.#intervals.get(day);
    if (known) return known;
    const { week, days } = this.#hours;
    const hours = days.get(day) ?? week[(((day + EPOCH_WEEKDAY) % 7) + 7) % 7]!;
    const intervals = hours
      .map(([from, to]) => [this.#instant(day, from), this.#instant(day, to)] as const)
      .filter(([start, end]) => end > start);
    if (this.#intervals.size >= CACHED_DAYS_MAX) this.#intervals.clear();
    this.#intervals.set(day, intervals);
    return intervals;
  }

  #tooFar(fromMs: number): AiosError {
    return new AiosError('tasks.no_working_time', {
      detail: `Nothing of it is left within ${this.#daysMax} days of ${new Date(fromMs).toISOString()}.`,
      extensions: { limitName: 'calendarDaysMax', limit: this.#daysMax },
    });
  }
}

/** The instant itself where people work then; else when they begin next on that day, or end. */
function within(intervals: Hours, atMs: number): number {
  for (const [start, end] of intervals) if (atMs < end) return Math.max(start, atMs);
  return intervals.at(-1)![1];
}
