import { AiosError } from '../../kernel/errors.ts';
import type { Json } from '../../kernel/json.ts';
import type { Write } from '../../store/lane.ts';
import type { RunAttribute } from './attributes.ts';
import type { QueuePlace } from './stored-run.ts';
import {
  ENDED,
  type Entry,
  type Origin,
  type PayloadRef,
  type RunResult,
  type RunStatus,
  type StoredRun,
} from './stored-run.ts';

/** What people ask of a run that has not ended. */
export type RequestKind = 'cancel' | 'pause' | 'resume';

export interface RunRequest {
  readonly runId: string;
  readonly what: RequestKind;
  /** The same request again, under the same id, is success: the answer to a commit may be lost. */
  readonly requestId: string;
  /** Business time, milliseconds. */
  readonly atMs: number;
}

/** A run that has ended goes back to what its journal keeps, under its next attempt. */
export interface RunRewind {
  readonly runId: string;
  /** The run as it was read: another one that went back meanwhile refuses this one. */
  readonly epoch: number;
  /** The same request again, under the same id, is success. */
  readonly requestId: string;
  readonly atMs: number;
  /** The entries that it begins with. */
  readonly entries: readonly Entry[];
  /** Another input of the whole run; undefined leaves it. */
  readonly input: Json | undefined;
  /** Its place in the queue of its flow: it waits there as one that came now. */
  readonly queue: QueuePlace | undefined;
  /** Keys of signals for steps that are done anew: what is left of them counts no more. */
  readonly signals: readonly string[];
  /** The key of the step that it goes back to; empty when it goes on from all that it has. */
  readonly step: string;
  readonly by: string;
}

/** An attempt of a run that was followed by another one. */
export interface RunAttempt {
  readonly attempt: number;
  readonly status: RunStatus;
  readonly result: RunResult | null;
  readonly input: Json;
  readonly endedAtMs: number;
  /** Where the next attempt began, who asked for it, and when. */
  readonly nextStep: string;
  readonly nextBy: string;
  readonly nextAtMs: number;
}

/** Runs that have not ended, of one version, in one status, waiting for one thing. Times are business time, milliseconds. */
export interface OpenRuns {
  readonly version: number;
  readonly status: RunStatus;
  readonly waitingFor: string | null;
  readonly runs: number;
  readonly oldestStartedAtMs: number;
  readonly oldestRunId: string;
}

/** How long runs are kept, and which of them are looked at now. Times are business time, milliseconds. */
export interface RetentionPass {
  /** Flows of a retention of their own: runs that ended before this time are over it. */
  readonly endedBeforeMs: ReadonlyMap<string, number>;
  /** Of all other flows. */
  readonly othersEndedBeforeMs: number;
  readonly afterId: string;
  readonly rowsMax: number;
}

/** Attributes of a run that have another value, and names of those that have none any more. */
export interface AttributeChanges {
  readonly set: readonly RunAttribute[];
  readonly unset: readonly string[];
}

/** A new run that begins with the journal of another one. */
export interface RunFork {
  readonly id: string;
  readonly from: StoredRun;
  readonly entries: readonly Entry[];
  readonly input: Json | undefined;
  readonly queue: QueuePlace | undefined;
  readonly step: string;
  readonly idempotencyKey: string | null;
  readonly atMs: number;
}

/**
 * What operators do to runs, as writes for a commit, so that their audit entries stand or fall with them. Requests are gates: they refuse with
 * `workflow.run_not_found`, `workflow.ended` or `workflow.not_paused`.
 */
export interface OperationStore {
  /**
   * A paused run is asked by being made due: whichever worker takes it up carries the request out. Answers with the status after it; `running` says
   * that its worker has to be told.
   */
  request(request: RunRequest): Write<RunStatus>;
  /** A gate: refuses with `workflow.not_ended` or `store.conflict`. The run is due at once. */
  rewind(rewind: RunRewind): Write;
  /** A gate: refuses with `workflow.exists` when the idempotency key is taken. The run is due at once. */
  fork(fork: RunFork): Write;
  /** The journal of a run as it is stored, of the present attempt or of an earlier one. */
  journal(runId: string, attempt?: number): Promise<Entry[]>;
  /** Runs of a flow that have not ended, by version, status and what they wait for. */
  openRuns(workflow: string): Promise<OpenRuns[]>;
  /** Keys of the signals that wait for a run. */
  signalKeys(runId: string): Promise<string[]>;
  /** The attempts before the present one, in order. */
  attempts(runId: string): Promise<RunAttempt[]>;
  /** After the run's row: what it is found by from now on. */
  attributes(runId: string, changes: AttributeChanges): Write;
  attributesOf(runIds: readonly string[]): Promise<ReadonlyMap<string, RunAttribute[]>>;
  /** Ids of the runs that were forked from this one, the newest first, as many as `limit`. */
  forksOf(runId: string, limit: number): Promise<string[]>;
  /**
   * A gate: deletes an ended run with its journal; refuses with `workflow.not_ended`, also while the run that waits for it has not ended. One that is
   * there no more is success.
   */
  remove(runId: string): Write;
  /** Deletes what is over its retention among the next runs after an id; answers undefined while another process does so. */
  expire(pass: RetentionPass): Promise<{ deleted: number; lastId: string | undefined } | undefined>;
  /** Asks for a run to be canceled if it has not ended: what a run does about one that it started and no longer waits for. */
  cancelChild(runId: string, atMs: number): Write;
  /** A cancel has been taken up and its clean-up begins: it is not asked for any more. */
  acknowledge(runId: string): Write;
}

/** Why a run takes no such request. */
export function refusedRequest(
  runId: string,
  what: RunRequest['what'],
  status: RunStatus | undefined,
): AiosError {
  if (!status) return new AiosError('workflow.run_not_found', { detail: runId });
  if (what === 'resume') {
    return new AiosError('workflow.not_paused', { detail: `${runId} is ${status}.` });
  }
  if (ENDED.has(status)) return new AiosError('workflow.ended', { detail: `${runId} is ${status}.` });
  return new AiosError('store.conflict', { detail: runId });
}

/** Why a run does not go back to an earlier step. */
export function refusedRewind({ runId }: RunRewind, status: RunStatus | undefined): AiosError {
  if (!status) return new AiosError('workflow.run_not_found', { detail: runId });
  if (!ENDED.has(status)) return notEnded(runId, status);
  return new AiosError('store.conflict', { detail: `${runId} has ended again meanwhile.` });
}

export function notEnded(runId: string, status: RunStatus): AiosError {
  return new AiosError('workflow.not_ended', { detail: `${runId} is ${status}.` });
}

/** The origin of a run that goes back, or of a fork, as its row has it: with the input and the place in a queue that it gets. */
export function originAgain(
  of: Origin & { inputRef?: PayloadRef },
  { input, queue }: Pick<RunRewind, 'input' | 'queue'>,
): Origin {
  const origin = queue ? { ...of, queue } : of;
  if (input === undefined) return origin;
  const { inputRef: _, ...edited } = origin;
  return { ...edited, input, edited: true };
}

/** Where a fork comes from, as its row has it. */
export function forkOrigin(fork: RunFork, of: Origin & { inputRef?: PayloadRef }): Origin {
  const { parent: _, ...origin } = originAgain(of, fork);
  const { from, step } = fork;
  return { ...origin, fork: { runId: from.id, attempt: from.attempt, step } };
}
