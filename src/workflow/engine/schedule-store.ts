import type { Write } from '../../store/lane.ts';
import type { RunChange, RunStatus } from './stored-run.ts';

/** A due time that waits for the runs before it. */
export interface QueuedTime {
  readonly dueMs: number;
  /** It was missed, or asked for by a back-fill: it is not skipped and cancels nothing, but waits its turn. */
  readonly madeUp: boolean;
}

/** Where the schedule of a flow has come to. Business time, milliseconds. */
export interface ScheduleState {
  readonly paused: boolean;
  /** The next due time; null when there is none, when it is yet to be told, or when the end of a run sets it. */
  readonly dueMs: number | null;
  /** The last run that was started, and its due time. */
  readonly run: (QueuedTime & { readonly id: string }) | null;
  readonly queued: readonly QueuedTime[];
  /** Due times that were passed over because the run of an earlier one had not ended. */
  readonly skipped: number;
  /** The end of that run is waited for. */
  readonly awaited: boolean;
  /** When a process has to look at it; null when nothing is to come by itself. */
  readonly lookMs: number | null;
}

/** One row for a flow that has a schedule by time. */
export interface ScheduleRow extends ScheduleState {
  readonly workflow: string;
  /** The version of the flow whose schedule it is. */
  readonly version: number;
}

/** What a version of a flow says; `times` is null when it has no schedule by time. */
export interface ScheduleDefinition {
  readonly workflow: string;
  readonly version: number;
  /** A change of it begins the times anew. */
  readonly times: string | null;
}

/** The run that a row names, as it is now. */
export interface LastRun {
  readonly status: RunStatus;
  readonly updatedAtMs: number;
}

/** A schedule under its lock, in a transaction. */
export interface LockedSchedule {
  readonly row: ScheduleRow;
  /** Undefined when there was none, or when it is kept no more. */
  readonly lastRun: LastRun | undefined;
  /** Those of the idempotency keys that there are runs of this flow with. */
  started(keys: readonly string[]): Promise<ReadonlySet<string>>;
  /** Inserts runs; answers with the ids of those whose key was new. */
  insert(runs: readonly RunChange[]): Promise<ReadonlySet<string>>;
}

/** What becomes of a schedule, and what other modules write with it. */
export interface ScheduleChange {
  readonly state: ScheduleState;
  readonly writes?: readonly Write[];
}

/** Where schedules are kept; part of the store of runs, because a run and the moving on of its schedule are one transaction. */
export interface ScheduleStore {
  /** Takes what newer versions of flows say. Rows of flows without a schedule stay, so that an older process does not bring them back. */
  put(definitions: readonly ScheduleDefinition[], nowMs: number): Promise<void>;
  /** Those in force, by name. */
  list(): Promise<ScheduleRow[]>;
  /** Flows to be looked at at this business time, the earliest first. */
  due(nowMs: number, limit: number): Promise<string[]>;
  /**
   * Changes one schedule in one transaction; answers with what to do after the commit, or undefined when the flow has no row, or another process
   * holds it and `waits` is false. `change` gives undefined to leave all as it is.
   */
  change(
    workflow: string,
    waits: boolean,
    change: (schedule: LockedSchedule) => Promise<ScheduleChange | undefined>,
  ): Promise<(() => void) | undefined>;
  /** The writes by which the end of a scheduled run is told to its schedule; none for other changes. */
  ended(change: RunChange): Write[];
}
