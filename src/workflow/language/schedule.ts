import { Cron } from 'croner';
import { type DurationParts, parseDuration } from '../../kernel/duration.ts';
import { AiosError } from '../../kernel/errors.ts';
import { sortedId } from '../../kernel/ids.ts';
import type { JsonObject } from '../../kernel/json.ts';

const OVERLAPS = ['skip', 'queue', 'parallel', 'cancel'] as const;
const MISSED = ['skip', 'last', 'all'] as const;

/** When a flow starts by time (dsl.md, "Schedule"), with what the specification has no place for: `document.metadata.aios.schedule`. */
export interface Schedule {
  readonly kind: 'every' | 'cron' | 'after';
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
  options: JsonObject,
  fault: ScheduleFault,
): Schedule | undefined {
  const kinds = (['every', 'cron', 'after'] as const).filter((kind) => schedule[kind] !== undefined);
  const [kind, second] = kinds;
  if (!kind) return undefined;
  let faults = 0;
  const refuse: ScheduleFault = (path, message, expected) => {
    faults++;
    fault(path, message, expected);
  };
  if (second) refuse(`/schedule/${second}`, `a schedule has either ${kind} or ${second}`, 'one of them');
  const timezone = timezoneOf(options.timezone ?? 'UTC', refuse);
  // The specification lets "every" run "regardless of whether the previous run is still in progress" (dsl-reference.md, "Schedule").
  const byDefault = kind === 'every' ? 'parallel' : 'skip';
  const overlap = oneOf(OVERLAPS, options.overlap ?? byDefault, 'overlap', refuse);
  const missed = oneOf(MISSED, options.missed ?? 'skip', 'missed', refuse);
  const nextMs =
    kind === 'cron'
      ? cronTimes(String(schedule.cron), timezone, refuse)
      : intervalTimes(kind, schedule[kind] as string | DurationParts, refuse);
  return faults > 0 ? undefined : { kind, overlap, missed, timezone, nextMs };
}

/**
 * The id of the run of a due time. Whichever process fires the time, and however often, it is this run: a process that dies between firing and
 * moving on starts nothing twice, and a back-fill does not repeat what has run.
 */
export function scheduledRunId(workflow: string, dueMs: number): string {
  return sortedId('run', dueMs, workflow, 'schedule', new Date(dueMs).toISOString());
}

function intervalTimes(kind: 'every' | 'after', value: string | DurationParts, refuse: ScheduleFault) {
  const expected = 'a duration of a second or more: { hours: 1 }, PT1H';
  let durationMs = 0;
  try {
    durationMs = parseDuration(value);
    if (durationMs < 1000) refuse(`/schedule/${kind}`, 'the duration is under a second', expected);
  } catch (error) {
    if (!(error instanceof AiosError)) throw error;
    refuse(`/schedule/${kind}`, error.message, expected);
  }
  return (afterMs: number): number =>
    kind === 'after' ? afterMs + durationMs : (Math.floor(afterMs / durationMs) + 1) * durationMs;
}

function cronTimes(pattern: string, timezone: string, refuse: ScheduleFault) {
  try {
    const cron = new Cron(pattern, { timezone, mode: '5-part', paused: true });
    return (afterMs: number): number | undefined => cron.nextRun(new Date(afterMs))?.getTime();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    refuse('/schedule/cron', reason, 'minute, hour, day of the month, month, day of the week: 30 2 * * 1-5');
    return () => undefined;
  }
}

function timezoneOf(value: unknown, refuse: ScheduleFault): string {
  try {
    new Intl.DateTimeFormat('en', { timeZone: String(value) });
    return String(value);
  } catch {
    refuse(
      '/document/metadata/aios/schedule/timezone',
      `“${value}” is not a time zone`,
      'an IANA name: Europe/Berlin',
    );
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
  if (!found)
    refuse(`/document/metadata/aios/schedule/${name}`, `“${value}” is not known`, allowed.join(', '));
  return found ?? allowed[0]!;
}
