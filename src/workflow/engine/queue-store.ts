import type { Write } from '../../store/lane.ts';
import type { RunQueue } from '../language/run-queue.ts';
import type { ClaimedRun, QueuePlace } from './stored-run.ts';

export interface QueuedRun extends QueuePlace {
  readonly runId: string;
  readonly enqueuedAtMs: number;
}

/** What a worker asks for: so many runs of a queue, under the queue's bounds. */
export interface AdmissionRequest {
  readonly worker: string;
  readonly queue: RunQueue;
  /** How many this worker can take. */
  readonly room: number;
  /** Business time. */
  readonly nowMs: number;
}

export interface Admission {
  readonly runs: readonly ClaimedRun[];
  /** There may be more to admit at once. */
  readonly more: boolean;
  /** When the rate admits the next one; undefined when it is not the rate that holds runs back. */
  readonly againAtMs: number | undefined;
}

/** What a queue is doing. */
export interface QueueFigures {
  readonly name: string;
  readonly paused: boolean;
  readonly pending: number;
  /** Runs that hold a slot. */
  readonly admitted: number;
  /** Business time since which the one that waits longest has waited. */
  readonly oldestAtMs: number | undefined;
}

/**
 * Where places in queues are kept. A run in a queue is `pending`, in the hands of no worker; admission makes it `running` in the hands of one, and from then on
 * its slot is as alive as the run: a dead worker's runs are taken over with their slots, and a run that ended, or is gone, holds none.
 */
export interface RunQueueStore {
  /** Puts a pending run into its place; once it is there, again is nothing. */
  enqueue(run: QueuedRun): Write;
  /** Gives up the slot, or place, of a run; one that is pending keeps its place. */
  leave(runId: string, queue: string): Write;
  /** Those of the runs that hold a slot. */
  holders(runIds: readonly string[]): Promise<ReadonlySet<string>>;
  /** Lets runs begin; one admission of a queue at a time, whichever process makes it. */
  admit(request: AdmissionRequest): Promise<Admission>;
  /** Names of queues with runs that wait. */
  waiting(): Promise<string[]>;
  /** Queues that have runs, or are paused. */
  figures(): Promise<QueueFigures[]>;
  /** How many runs are before this one, as it looks now; undefined when it does not wait. */
  ahead(runId: string, queue: RunQueue): Promise<number | undefined>;
  /** A paused queue admits nothing. */
  setPaused(queue: string, paused: boolean): Write;
  /** Called with the queues in which this process has changed something, after the commit. */
  onChange(listener: (queues: readonly string[]) => void): void;
}
