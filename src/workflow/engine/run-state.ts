import type { RunChange, RunResult, RunStatus, StoredRun } from './stored-run.ts';

/** What a run has come to: what its callers and those who look on are told. Times are business time, milliseconds. */
export interface RunState {
  readonly runId: string;
  readonly workflow: string;
  readonly version: number;
  readonly status: RunStatus;
  /** The primitive that a waiting run waits in. */
  readonly waitingFor: string | null;
  readonly subject: string | null;
  readonly outcome: string | null;
  readonly startedAtMs: number;
  readonly updatedAtMs: number;
  readonly result: RunResult | null;
}

export function stateOf(run: StoredRun | RunChange): RunState {
  const { id: runId, workflow, version, status, waitingFor, subject, outcome } = run;
  const { startedAtMs, updatedAtMs, result } = run;
  return {
    runId,
    workflow,
    version,
    status,
    waitingFor,
    subject,
    outcome,
    startedAtMs,
    updatedAtMs,
    result,
  };
}
