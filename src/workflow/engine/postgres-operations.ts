import type { Database } from '../../store/database.ts';
import { write } from '../../store/lane.ts';
import type { OpenRuns, OperationStore } from './operation-store.ts';
import { postgresAttributes } from './postgres-attributes.ts';
import { postgresDeletes } from './postgres-deletes.ts';
import { acknowledgeLane, childCancelLane, requestLane } from './postgres-requests.ts';
import { postgresRewinds } from './postgres-rewinds.ts';

/** What operators do to runs that are kept in Postgres. */
export function postgresOperations(db: Database): OperationStore {
  return {
    ...postgresRewinds(db),
    openRuns: (workflow) => openRuns(db, workflow),
    ...postgresAttributes(db),
    ...postgresDeletes(db),
    request: (request) => write(requestLane, request),
    cancelChild: (runId, atMs) => write(childCancelLane, { runId, atMs }),
    acknowledge: (runId) => write(acknowledgeLane, runId),
  };
}

/** Along the index of those that have not completed: as many rows as there are open runs. */
async function openRuns(db: Database, workflow: string): Promise<OpenRuns[]> {
  return db.query<OpenRuns & object>(
    `select version, status, waiting_for as "waitingFor", count(*)::int as runs, min(started_at) as "oldestStartedAtMs", min(id) as "oldestRunId"
     from workflow_runs
     where workflow = $1 and status <> 'completed' and status in ('pending', 'running', 'waiting', 'paused')
     group by version, status, waiting_for order by version desc, status, waiting_for`,
    [workflow],
  );
}
