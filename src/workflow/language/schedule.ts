import { Cron } from 'croner';
import { type DurationParts, parseDuration } from '../../kernel/duration.ts';
import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { LIMITS } from '../../kernel/limits.ts';
import { escapePointer } from '../../kernel/schema.ts';
import { TimeZone } from '../../kernel/time-zone.ts';

const OPTIONS = '/document/metadata/aios/schedule';

const OVERLAPS = ['skip', 'queue', 'parallel', 'cancel'] as const;
const MISSED = ['skip', 'last', 'all'] as const;
/** The hours of a pattern that is due in every hour. */
const EVERY_HOUR = /^\s*(@hourly\s*$|\S+\s+([*?]|0-23)(\/1)?\s)/i;
const DAY_MS = 86_400_000;

/** When a flow starts by time (dsl.md, "Schedule"), with what the specification has no place for: `document.metadata.aios.schedule`. */
export interface Schedule {
  readonly kind: 'every' | 'cron' | 'after';
  /** As it is shown: the pattern of `cron`, the duration of the others in ISO 8601. */
  readonly expression: string;
  /** What to do with a time that comes while the run of the time before has not ended: `parallel` for `every`, `skip` for `cron` unless given. */
  readonly overlap: (typeof OVERLAPS)[number];
  /** Which of the times that passed while no process ran are made up for. */
  readonly missed: (typeof MISSED)[number];
  /** IANA name; `cron` is read in it. `UTC` unless given. */
  readonly timezone: string;
  /**
   * The first due time after this business time, milliseconds; undefined when there is none (`0 0 30 2 *`). For `after` the time given is that
   * at which the last run ended.
   */
  readonly nextMs: (afterMs: number) => number | undefined;
}

/** What a schedule by time is called with that it cannot be read: a path into the definition, what is wrong, what is expected. */
export type ScheduleFault = (path: string, message: string, expected: string) => void;

/**
 * Reads `schedule.every`, `.cron` or `.after` of a definition; undefined when it has none of them or one of them is at fault.
 *
 * `every` falls on multiples of the duration since 1970-01-01T00:00Z, as the intervals of Temporal's schedules do: every process and every
 * version of the flow comes to the same times without asking for one to count from, so that a time names one run for ever.
 * `cron` has five fields. Where clocks go forward, a time that does not exist is due at the first moment that does; where they go back, a time
 * of day that exists twice is due once, the first time, and a pattern of every hour in each hour.
 *
 * @example readSchedule({ cron: '30 2 * * *' }, { timezone: 'Europe/Berlin' }, fault)?.nextMs(Date.now())
 */
export function readSchedule(
  schedule: JsonObject,
  given: Json | undefined,
  fault: ScheduleFault,
): Schedule | undefined {
  const options = isObject(given) ? given : {};
  const kinds = (['every', 'cron', 'after'] as const).filter((kind) => schedule[kind] !== undefined);
  const [kind, second] = kinds;
  if (!kind) {
    if (given !== undefined)
      fault(OPTIONS, 'the flow has no schedule by time', 'schedule: { every }, { cron } or { after }');
    return undefined;
  }
  let faults = 0;
  const refuse: ScheduleFault = (path, message, expected) => {
    faults++;
    fault(path, message, expected);
  };
  if (second) refuse(`/schedule/${second}`, `a schedule has either ${kind} or ${second}`, 'one of them');
  checkOptions(given, refuse);
  const timezone = timezoneOf(options.timezone ?? 'UTC', refuse);
  // The specification lets "every" run "regardless of whether the previous run is still in progress" (dsl-reference.md, "Schedule").
  const byDefault = kind === 'every' ? 'parallel' : 'skip';
  const overlap = oneOf(OVERLAPS, options.overlap ?? byDefault, 'overlap', refuse);
  const missed = oneOf(MISSED, options.missed ?? 'skip', 'missed', refuse);
  const value = schedule[kind] as string | DurationParts;
  const nextMs =
    kind === 'cron' ? cronTimes(String(value), timezone, refuse) : intervalTimes(kind, value, refuse);
  const expression = typeof value === 'string' ? value : durationText(value);
  return faults > 0 ? undefined : { kind, expression, overlap, missed, timezone, nextMs };
}

/** What the due times follow from: as long as it stays, a new version of the flow goes on with the times of the version before. */
export function timesOf({ kind, expression, timezone }: Schedule): string {
  return `${kind} ${expression} ${timezone}`;
}

/**
 * The idempotency key of the run of a due time. Whichever process fires the time, and however often, it is this run: a process that dies between
 * firing and moving on starts nothing twice, and a back-fill does not repeat what has run.
 *
 * @example scheduledRunKey(Date.UTC(2026, 0, 1)) === 'schedule/2026-01-01T00:00:00.000Z'
 */
export function scheduledRunKey(dueMs: number): string {
  return `schedule/${new Date(dueMs).toISOString()}`;
}

function intervalTimes(kind: 'every' | 'after', value: string | DurationParts, refuse: ScheduleFault) {
  const leastMs = LIMITS.scheduleIntervalMs.value;
  const expected = `a duration of ${leastMs} ms or more: { hours: 1 }, PT1H`;
  let durationMs = 0;
  try {
    durationMs = parseDuration(value);
    if (durationMs < leastMs) refuse(`/schedule/${kind}`, 'the duration is too short', expected);
  } catch (error) {
    if (!(error instanceof AiosError)) throw error;
    refuse(`/schedule/${kind}`, error.message, expected);
  }
  return (afterMs: number): number =>
    kind === 'after' ? afterMs + durationMs : (Math.floor(afterMs / durationMs) + 1) * durationMs;
}

function cronTimes(pattern: string, timezone: string, refuse: ScheduleFault) {
  try {
    const isHourly = EVERY_HOUR.test(pattern);
    const cron = new Cron(pattern, {
      timezone: isHourly ? timezone : 'UTC',
      mode: '5-part',
      paused: true,
    });
    const next = (afterMs: number): number | undefined => cron.nextRun(new Date(afterMs))?.getTime();
    return isHourly ? next : wallTimes(next, timezone);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    refuse('/schedule/cron', reason, 'minute, hour, day of the month, month, day of the week: 30 2 * * 1-5');
    return () => undefined;
  }
}

/**
 * The due times of a pattern that names hours: what the pattern comes to on a clock that is never changed, each at the instant at which the clock of the place shows it. croner leaves times out where
 * clocks go forward and has them twice where they go back as soon as the pattern names several: `0 2,14 * * *`.
 */
function wallTimes(next: (afterMs: number) => number | undefined, timezone: string) {
  if (timezone === 'UTC') return next;
  let zone: TimeZone | undefined;
  return (afterMs: number): number | undefined => {
    zone ??= new TimeZone(timezone);
    const { day, timeMs } = zone.localOf(afterMs);
    for (let shown = next(day * DAY_MS + timeMs); shown !== undefined; shown = next(shown)) {
      const shownDay = Math.floor(shown / DAY_MS);
      const atMs = zone.instantOf(shownDay, shown - shownDay * DAY_MS);
      if (atMs > afterMs) return atMs;
    }
    return undefined;
  };
}

function durationText({
  days = 0,
  hours = 0,
  minutes = 0,
  seconds = 0,
  milliseconds = 0,
}: DurationParts): string {
  const part = (value: number, unit: string) => (value === 0 ? '' : `${value}${unit}`);
  const time = part(hours, 'H') + part(minutes, 'M') + part(seconds + milliseconds / 1000, 'S');
  return `P${part(days, 'D')}${time === '' ? '' : `T${time}`}`;
}

function checkOptions(given: Json | undefined, refuse: ScheduleFault): void {
  const known = ['timezone', 'overlap', 'missed'];
  if (given !== undefined && !isObject(given)) refuse(OPTIONS, 'the options are no object', known.join(', '));
  for (const name of isObject(given) ? Object.keys(given) : [])
    if (!known.includes(name))
      refuse(`${OPTIONS}/${escapePointer(name)}`, `“${name}” is not known`, known.join(', '));
}

function timezoneOf(value: unknown, refuse: ScheduleFault): string {
  try {
    new Intl.DateTimeFormat('en', { timeZone: String(value) });
    return String(value);
  } catch {
    refuse(`${OPTIONS}/timezone`, `“${value}” is not a time zone`, 'an IANA name: Europe/Berlin');
    return 'UTC';
  }
}

function oneOf<T extends string>(
  allowed: readonly T[],
  value: unknown,
  name: string,
  refuse: ScheduleFault,
): T {
  const found = allowed.find((item) => item === value);
  if (!found) refuse(`${OPTIONS}/${name}`, `“${value}” is not known`, allowed.join(', '));
  return found ?? allowed[0]!;
}
