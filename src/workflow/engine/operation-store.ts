import { AiosError } from '../../kernel/errors.ts';
import type { Write } from '../../store/group-commit.ts';
import { ENDED, type RunStatus } from './run-store.ts';

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
