import { write } from '../../store/group-commit.ts';
import type { OperationStore } from './operation-store.ts';
import { acknowledgeLane, childCancelLane, requestLane } from './postgres-requests.ts';

/** What operators do to runs that are kept in Postgres. */
export function postgresOperations(): OperationStore {
  return {
    request: (request) => write(requestLane, request),
    cancelChild: (runId, atMs) => write(childCancelLane, { runId, atMs }),
    acknowledge: (runId) => write(acknowledgeLane, runId),
  };
}
