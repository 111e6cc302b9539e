import { type Lane, Refused, write } from '../../store/group-commit.ts';
import type { Row } from './memory-store.ts';
import { type OperationStore, type RunRequest, refusedRequest } from './operation-store.ts';
import { ENDED, type RunStatus } from './run-store.ts';

/** The rows of a memory store. */
interface MemoryTables {
  readonly runs: Map<string, Row>;
}

/** What operators do to runs that are kept in memory. */
export function memoryOperations({ runs }: MemoryTables): OperationStore {
  const requests: Lane<RunRequest, RunStatus> = {
    name: 'workflow.requests',
    gate: true,
    order: 12,
    write: async (_tx, items) => items.map((item) => ask(runs, item)),
  };
  const actions: Lane<() => void> = {
    name: 'workflow.operations',
    order: 25,
    write: async (_tx, items) => {
      for (const action of items) action();
      return undefined;
    },
  };
  return {
    request: (request) => write(requests, request),
    cancelChild: (runId, atMs) =>
      write(actions, () => void ask(runs, { runId, what: 'cancel', requestId: '', atMs })),
    acknowledge: (runId) =>
      write(actions, () => {
        const row = runs.get(runId);
        if (row) runs.set(runId, { ...row, requested: null });
      }),
  };
}

function ask(runs: Map<string, Row>, { runId, what, requestId, atMs }: RunRequest): RunStatus | Refused {
  const row = runs.get(runId);
  if (row && requestId !== '' && row.request === requestId) return row.status;
  if (
    !row ||
    ENDED.has(row.status) ||
    (what === 'resume' && row.status !== 'paused') ||
    (what === 'pause' && row.requested === 'cancel')
  )
    return new Refused(refusedRequest(runId, what, row?.status));
  const { status: before } = row;
  const running = before === 'running';
  const status = running ? 'running' : what === 'pause' ? 'paused' : 'waiting';
  const requested = what === 'resume' || (what === 'pause' && !running) ? null : what;
  const wakeAtMs = running || what === 'pause' ? row.wakeAtMs : atMs;
  runs.set(runId, { ...row, request: requestId, status, requested, wakeAtMs });
  return status;
}
