import type { Database } from '../../store/database.ts';
import { write } from '../../store/group-commit.ts';
import type { OperationStore } from './operation-store.ts';
import { postgresAttributes } from './postgres-attributes.ts';
import { postgresDeletes } from './postgres-deletes.ts';
import { acknowledgeLane, childCancelLane, requestLane } from './postgres-requests.ts';
import { postgresRewinds } from './postgres-rewinds.ts';

/** What operators do to runs that are kept in Postgres. */
export function postgresOperations(db: Database): OperationStore {
  return {
    ...postgresRewinds(db),
    ...postgresAttributes(db),
    ...postgresDeletes(db),
    request: (request) => write(requestLane, request),
    cancelChild: (runId, atMs) => write(childCancelLane, { runId, atMs }),
    acknowledge: (runId) => write(acknowledgeLane, runId),
  };
}
