import type { AiosError } from '../../kernel/errors.ts';
import { toFlowError } from '../catalog/flow-errors.ts';
import type { ClaimedRun, RunChange } from './stored-run.ts';

/** When a run that could not be taken up is tried again. */
const GIVE_BACK_MS = 1_000;

/** What becomes of a run that its worker could not take up: it waits a little where that may help, and fails where it does not. */
export function givenBack(claimed: ClaimedRun, error: AiosError, updatedAtMs: number): RunChange {
  const later = { status: 'waiting', result: null, wakeAtMs: updatedAtMs + GIVE_BACK_MS } as const;
  const failed = {
    status: 'failed',
    result: { error: toFlowError(error, '').body },
    wakeAtMs: null,
  } as const;
  const state = error.retryable ? later : failed;
  return { ...claimed, ...state, insert: false, worker: null, updatedAtMs, entries: [], seq: 0 };
}
