import { describe, expect, it } from 'vitest';
import { readSchedule } from '../language/schedule.ts';
import { lookAt } from './schedule-state.ts';
import type { QueuedTime, ScheduleState } from './schedule-store.ts';
import type { RunStatus } from './stored-run.ts';

const MINUTE = 60_000;
const NOW = Date.UTC(2026, 0, 1);
const LIMITS = { scheduleGraceMs: MINUTE, scheduleFiredMax: 3, scheduleQueuedMax: 4 };
const state: ScheduleState = {
  paused: false,
  dueMs: NOW,
  run: { id: 'run_1', dueMs: NOW - 5 * MINUTE, madeUp: false },
  queued: [],
  skipped: 0,
  awaited: false,
  lookMs: NOW,
};

/** Minutes from now. */
const minutes = (times: readonly { dueMs: number }[]) => times.map(({ dueMs }) => (dueMs - NOW) / MINUTE);
const made = (...at: number[]): QueuedTime[] =>
  at.map((minute) => ({ dueMs: NOW + minute * MINUTE, madeUp: true }));
const onTime = (...at: number[]): QueuedTime[] =>
  at.map((minute) => ({ dueMs: NOW + minute * MINUTE, madeUp: false }));

function look(
  options: { overlap?: string; missed?: string; after?: true },
  given: Partial<ScheduleState> = {},
  status: RunStatus | 'unknown' = 'running',
) {
  const { after, ...rest } = options;
  const schedule = readSchedule(after ? { after: 'PT5M' } : { every: 'PT5M' }, rest, () => expect.fail())!;
  const lastRun = status === 'unknown' ? undefined : { status, updatedAtMs: NOW - MINUTE };
  const found = lookAt(schedule, { ...state, ...given }, lastRun, NOW, LIMITS);
  const { start, cancel, state: next } = found;
  return {
    start: minutes(start),
    cancel,
    queued: minutes(next.queued),
    skipped: next.skipped,
    due: next.dueMs === null ? null : (next.dueMs - NOW) / MINUTE,
    look: next.lookMs === null ? null : (next.lookMs - NOW) / MINUTE,
    awaited: next.awaited,
  };
}

const QUIET = { start: [], cancel: false, queued: [], skipped: 0, due: 5, look: 5, awaited: false };

describe('a due time that comes while the run before it goes on', () => {
  it('is started all the same: parallel', () => {
    expect(look({ overlap: 'parallel' })).toEqual({ ...QUIET, start: [0] });
  });

  it('is skipped, and counted: skip', () => {
    expect(look({ overlap: 'skip' })).toEqual({ ...QUIET, skipped: 1 });
  });

  it('waits, and the end of the run is awaited: queue', () => {
    expect(look({ overlap: 'queue' })).toEqual({ ...QUIET, queued: [0], awaited: true });
  });

  it('has the run canceled, asks again if that does not end, and waits for its end: cancel', () => {
    const asked = { ...QUIET, cancel: true, queued: [0], look: 5 / 60, awaited: true };
    expect(look({ overlap: 'cancel' })).toEqual(asked);
    expect(look({ overlap: 'cancel' }, { dueMs: NOW + 5 * MINUTE, queued: onTime(0) })).toEqual(asked);
  });

  it('takes the place of the one that waits already: cancel', () => {
    expect(look({ overlap: 'cancel' }, { queued: onTime(-5) })).toMatchObject({ queued: [0], skipped: 1 });
  });

  it.each(['paused', 'waiting'] as const)('a run that is %s goes on, too', (status) => {
    expect(look({ overlap: 'skip' }, {}, status).skipped).toBe(1);
  });

  it.each(['completed', 'failed', 'canceled', 'unknown'] as const)(
    'is started when that run is %s',
    (status) => {
      expect(look({ overlap: 'skip' }, {}, status)).toEqual({ ...QUIET, start: [0] });
    },
  );

  it('is lost and counted when the queue is full', () => {
    const queued = onTime(-20, -15, -10, -5);
    expect(look({ overlap: 'queue' }, { queued })).toMatchObject({
      queued: [-20, -15, -10, -5],
      skipped: 1,
    });
  });
});

describe('times that are made up for', () => {
  it.each(['skip', 'queue', 'cancel'])('wait for one another, whatever else holds: %s', (overlap) => {
    const dueMs = NOW - 10 * MINUTE;
    expect(look({ overlap, missed: 'all' }, { dueMs }, 'completed')).toMatchObject({
      start: [-10],
      queued: [-5, 0],
      cancel: false,
      skipped: 0,
    });
  });

  it.each(['skip', 'cancel'])('take a time that comes on time in: %s', (overlap) => {
    expect(look({ overlap }, { queued: made(-900) })).toMatchObject({ queued: [-900, 0], cancel: false });
    const run = { id: 'run_1', dueMs: NOW - 900 * MINUTE, madeUp: true };
    expect(look({ overlap }, { run })).toMatchObject({ queued: [0], cancel: false, skipped: 0 });
  });

  it('stay due when the queue has no room for them, and come when the run has ended', () => {
    const full = { dueMs: NOW - 30 * MINUTE, queued: made(-50, -45, -40, -35) };
    expect(look({ overlap: 'skip', missed: 'all' }, full)).toEqual({
      ...QUIET,
      queued: [-50, -45, -40, -35],
      due: -30,
      look: null,
      awaited: true,
    });
  });

  it('start all at once where runs may overlap', () => {
    expect(look({ overlap: 'parallel' }, { queued: made(-900, -895) }).start).toEqual([-900, -895, 0]);
  });
});

describe('after', () => {
  it('comes when the run has ended, by its end', () => {
    const none = { dueMs: null, lookMs: NOW };
    expect(look({ after: true }, none)).toEqual({ ...QUIET, due: null, look: null, awaited: true });
    expect(look({ after: true }, none, 'failed')).toEqual({ ...QUIET, due: 4, look: 4, awaited: true });
  });

  it('begins one duration after the flow was applied', () => {
    expect(look({ after: true }, { dueMs: null, run: null }, 'unknown').due).toBe(5);
  });

  it('is started however late', () => {
    expect(look({ after: true }, { dueMs: NOW - 900 * MINUTE }, 'completed').start).toEqual([-900]);
  });
});

it('a schedule that is paused starts nothing and is not looked at', () => {
  expect(look({ overlap: 'queue' }, { paused: true, queued: onTime(-5) }, 'completed')).toEqual({
    ...QUIET,
    queued: [-5],
    due: 0,
    look: null,
  });
});
