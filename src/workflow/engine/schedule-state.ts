import type { Schedule } from '../language/schedule.ts';
import { planFiring } from '../language/schedule-times.ts';
import type { LastRun, QueuedTime, ScheduleState } from './schedule-store.ts';
import { ENDED } from './stored-run.ts';

/** When a run that was asked to end, and has not, is asked again: the process that asked may have died. */
const CANCEL_AGAIN_MS = 5_000;

/** What bounds a look at a schedule. */
export interface LookLimits {
  readonly scheduleGraceMs: number;
  readonly scheduleFiredMax: number;
  readonly scheduleQueuedMax: number;
}

/** What a look at a schedule comes to. */
export interface Look {
  /** Due times whose runs are started now. */
  readonly start: readonly QueuedTime[];
  /** The run under way is to be canceled. */
  readonly cancel: boolean;
  /** Without the runs that are started: `run` is the last one before them. */
  readonly state: ScheduleState;
}

/**
 * What to do about a schedule at a business time: pure, so that whichever process looks comes to the same.
 *
 * Times that were missed or are back-filled wait for one another whatever the overlap policy, unless that is `parallel`: they were asked for, each of
 * them. A time that comes on time while such runs go on joins them, so that a back-fill neither skips it nor is canceled by it.
 *
 * @example lookAt(flow.schedule, row, lastRun, clock.now(), limits).start
 */
export function lookAt(
  schedule: Schedule,
  state: ScheduleState,
  lastRun: LastRun | undefined,
  nowMs: number,
  limits: LookLimits,
): Look {
  if (state.paused) return { start: [], cancel: false, state: { ...state, awaited: false, lookMs: null } };
  const underWay = lastRun !== undefined && !ENDED.has(lastRun.status);
  const { coming, dueMs } = come(schedule, state, { underWay, lastRun, nowMs }, limits);
  const { start, queued, skipped, cancel } = overlap(schedule, state, coming, underWay, limits);
  const isFull = dueMs !== null && dueMs <= nowMs && coming.length === 0;
  const looks = [isFull ? null : dueMs, cancel ? nowMs + CANCEL_AGAIN_MS : null];
  const known = looks.filter((ms) => ms !== null);
  return {
    start,
    cancel,
    state: {
      ...state,
      dueMs,
      queued,
      skipped,
      awaited: schedule.kind === 'after' || queued.length > 0,
      lookMs: known.length > 0 ? Math.min(...known) : null,
    },
  };
}

function come(
  schedule: Schedule,
  state: ScheduleState,
  { underWay, lastRun, nowMs }: { underWay: boolean; lastRun: LastRun | undefined; nowMs: number },
  { scheduleGraceMs: graceMs, scheduleFiredMax, scheduleQueuedMax }: LookLimits,
): { coming: QueuedTime[]; dueMs: number | null } {
  let dueMs = state.dueMs;
  if (schedule.kind === 'after') {
    if (underWay) return { coming: [], dueMs: null };
    dueMs ??= schedule.nextMs(lastRun?.updatedAtMs ?? nowMs) ?? null;
  } else dueMs ??= schedule.nextMs(nowMs) ?? null;
  if (dueMs === null) return { coming: [], dueMs };
  // What is made up for waits in the queue: no more of it is taken than there is room for, the rest stays due.
  const room = schedule.missed === 'all' ? scheduleQueuedMax - state.queued.length : scheduleFiredMax;
  const max = Math.min(scheduleFiredMax, room);
  const { fireMs, nextMs } = planFiring(schedule, dueMs, { nowMs, graceMs, max });
  const isMissed = (ms: number) => schedule.kind !== 'after' && ms < nowMs - graceMs;
  return { coming: fireMs.map((ms) => ({ dueMs: ms, madeUp: isMissed(ms) })), dueMs: nextMs ?? null };
}

function overlap(
  schedule: Schedule,
  state: ScheduleState,
  coming: readonly QueuedTime[],
  underWay: boolean,
  { scheduleQueuedMax }: LookLimits,
): { start: QueuedTime[]; queued: QueuedTime[]; skipped: number; cancel: boolean } {
  if (schedule.overlap === 'parallel')
    return { start: [...state.queued, ...coming], queued: [], skipped: state.skipped, cancel: false };
  let { skipped } = state;
  let queued = [...state.queued];
  const isMakingUp = () => (underWay && state.run?.madeUp === true) || queued.some(({ madeUp }) => madeUp);
  for (const time of coming) {
    const busy = underWay || queued.length > 0;
    if (!busy || time.madeUp || isMakingUp() || schedule.overlap === 'queue') {
      if (queued.length < scheduleQueuedMax) queued.push(time);
      else skipped++;
    } else if (schedule.overlap === 'skip') skipped++;
    else {
      // The newest takes the place of those that were to follow the run which is canceled.
      skipped += queued.length;
      queued = [time];
    }
  }
  const cancel = schedule.overlap === 'cancel' && underWay && queued.length > 0 && !isMakingUp();
  const start = underWay ? [] : queued.splice(0, 1);
  return { start, queued, skipped, cancel };
}
