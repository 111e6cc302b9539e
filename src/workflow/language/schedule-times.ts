import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Schedule } from './schedule.ts';

/** What is fired now, and when to look again. Business time, milliseconds. */
export interface Firing {
  /** Due times whose runs are to be started, in order. */
  readonly fireMs: readonly number[];
  /** The next due time; undefined when there is none, or when the end of a run sets it (`after`). */
  readonly nextMs: number | undefined;
}

/**
 * What to do when a schedule's next due time has come, or passed while no process ran. A time counts as missed when it is more than `graceMs` ago (the
 * same notion as the catch-up window of Temporal's schedules): `skip` starts none of the missed ones, `last` the latest of all that passed, `all`
 * each of them, at most `max` at once, the others at the next look. Times that are not missed are always fired.
 *
 * `after` has one due time at a time, and it is fired however late: skipping it would end the schedule, because only the end of a run sets the next.
 *
 * @example planFiring(schedule, dueMs, { nowMs: clock.now(), graceMs: 60_000, max: 100 })
 */
export function planFiring(
  schedule: Schedule,
  dueMs: number,
  { nowMs, graceMs, max }: { nowMs: number; graceMs: number; max: number },
): Firing {
  if (dueMs > nowMs) return { fireMs: [], nextMs: dueMs };
  if (schedule.kind === 'after') return { fireMs: [dueMs], nextMs: undefined };
  if (schedule.missed === 'all') {
    const { found, nextMs } = walk(schedule, dueMs, nowMs, max);
    return { fireMs: found, nextMs };
  }
  // A process that was away for a year steps over the missed times without visiting each.
  const onTimeMs = firstFrom(schedule, Math.max(dueMs, nowMs - graceMs));
  const { found, nextMs } = walk(schedule, onTimeMs, nowMs, max);
  if (schedule.missed === 'skip' || found.length > 0) return { fireMs: found, nextMs };
  return { fireMs: [latest(schedule, dueMs, nowMs)], nextMs };
}

/**
 * The due times of a past range, `fromMs` included and `untilMs` not, in order: what a back-fill starts. `after` has none, because its times follow
 * from runs.
 *
 * @throws AiosError `request.invalid` when the range holds more than `max` times, or none can be told
 * @example backfillTimes(schedule, Date.parse('2026-01-01'), Date.parse('2026-02-01'), 1000)
 */
export function backfillTimes(schedule: Schedule, fromMs: number, untilMs: number, max: number): number[] {
  if (schedule.kind === 'after') {
    throw new AiosError('request.invalid', {
      detail: 'A schedule “after” has no past times: they follow from its runs.',
    });
  }
  const { found, nextMs } = walk(schedule, firstFrom(schedule, fromMs), untilMs - 1, max);
  if (nextMs === undefined || nextMs >= untilMs) return found;
  throw new AiosError('request.invalid', {
    detail: `The range holds more than ${max} times; the first ${max} of them end before ${new Date(nextMs).toISOString()}.`,
  });
}

/**
 * The input of a scheduled run. The specification leaves it open; AIOS gives the half-open interval that the run answers for, as Airflow's data
 * interval does: what happened from `previousAt` to `scheduledAt`. Both are due times in ISO 8601, UTC, never the time at which the run began, so that a
 * late, repeated or back-filled run gets the same input. `previousAt` is null for `after`, and for a pattern that was not due in the 400 days before.
 */
export function scheduledInput(schedule: Schedule, dueMs: number): JsonObject {
  const previousMs = schedule.kind === 'after' ? undefined : previous(schedule, dueMs);
  return {
    scheduledAt: new Date(dueMs).toISOString(),
    previousAt: previousMs === undefined ? null : new Date(previousMs).toISOString(),
  };
}

function walk(schedule: Schedule, firstMs: number | undefined, lastMs: number, max: number) {
  const found: number[] = [];
  let nextMs = firstMs;
  while (nextMs !== undefined && nextMs <= lastMs && found.length < max) {
    found.push(nextMs);
    nextMs = schedule.nextMs(nextMs);
  }
  return { found, nextMs };
}

/** The first due time at or after a time: times are whole milliseconds, and `nextMs` excludes the one given. */
function firstFrom(schedule: Schedule, ms: number): number | undefined {
  return schedule.nextMs(ms - 1);
}

/** Steps back in growing strides to 400 days (a yearly time falls within 366), then halves: some 40 questions instead of a visit to each time. */
function previous(schedule: Schedule, beforeMs: number): number | undefined {
  for (let strideMs = 1000; strideMs <= 400 * 86_400_000 * 2; strideMs *= 2) {
    const fromMs = Math.max(beforeMs - strideMs, beforeMs - 400 * 86_400_000);
    const foundMs = firstFrom(schedule, fromMs);
    if (foundMs !== undefined && foundMs < beforeMs) return latest(schedule, foundMs, beforeMs - 1);
  }
  return undefined;
}

/** The latest due time up to `lastMs`, given one that is not later. */
function latest(schedule: Schedule, dueMs: number, lastMs: number): number {
  let lowMs = dueMs;
  let highMs = lastMs;
  while (lowMs < highMs) {
    const middleMs = Math.ceil((lowMs + highMs) / 2);
    const foundMs = firstFrom(schedule, middleMs);
    if (foundMs !== undefined && foundMs <= lastMs) lowMs = foundMs;
    else highMs = middleMs - 1;
  }
  return lowMs;
}
