import type { Queryable } from '../../store/database.ts';
import { type Lane, Refused } from '../../store/lane.ts';
import { columns, timestamp } from '../../store/rows.ts';
import { type RunRequest, refusedRequest } from './operation-store.ts';
import type { RunStatus } from './stored-run.ts';

const LOCK = 'select from workflow_runs where id = any($1) order by id for no key update';
const ASK = `update workflow_runs r
     set request = a.request,
         requested = case when r.status = 'running' and a.what <> 'resume' or a.what = 'cancel' then a.what end,
         status = case when r.status = 'running' then 'running' when a.what = 'pause' then 'paused' else 'waiting' end,
         wake_at = case when r.status = 'running' or a.what = 'pause' then r.wake_at else a.at end
     from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) as a(id, what, request, at)
     where r.id = any($1) and r.id = a.id and r.request is distinct from a.request
       and (r.status = 'paused' or a.what <> 'resume' and r.status in ('pending', 'running', 'waiting'))
       and (a.what <> 'pause' or r.requested is distinct from 'cancel')`;

interface Asked {
  id: string;
  status: RunStatus;
  request: string | null;
}

async function ask(tx: Queryable, requests: readonly RunRequest[]): Promise<Map<string, Asked>> {
  const ids = requests.map(({ runId }) => runId);
  await tx.query(LOCK, [ids]);
  await tx.query(
    ASK,
    columns(requests, ({ runId, what, requestId, atMs }) => [runId, what, requestId, timestamp(atMs)]),
  );
  const rows = await tx.query<Asked>('select id, status, request from workflow_runs where id = any($1)', [
    ids,
  ]);
  return new Map(rows.map((row) => [row.id, row]));
}

/** Requests of people. After the runs' own lane: a run that leaves memory in the same flush is asked where it then is. */
export const requestLane: Lane<RunRequest, RunStatus> = {
  name: 'workflow.requests',
  gate: true,
  order: 12,
  async write(tx, requests) {
    const results: (RunStatus | Refused)[] = [];
    // Two requests for one run in one flush are two updates: one statement changes a row once.
    for (const round of rounds(requests)) {
      const asked = await ask(
        tx,
        round.map((index) => requests[index]!),
      );
      for (const index of round) results[index] = outcomeOf(requests[index]!, asked);
    }
    return results;
  },
};

function rounds(requests: readonly RunRequest[]): number[][] {
  const seen = new Map<string, number>();
  const all: number[][] = [];
  for (const [index, { runId }] of requests.entries()) {
    const round = seen.get(runId) ?? 0;
    seen.set(runId, round + 1);
    all[round] = [...(all[round] ?? []), index];
  }
  return all;
}

function outcomeOf({ runId, requestId, what }: RunRequest, asked: Map<string, Asked>): RunStatus | Refused {
  const row = asked.get(runId);
  if (row?.request === requestId) return row.status;
  return new Refused(refusedRequest(runId, what, row?.status));
}

/** Nobody waits for an answer here, and a child that has ended needs none. */
export const childCancelLane: Lane<{ runId: string; atMs: number }> = {
  name: 'workflow.child_cancels',
  order: 25,
  async write(tx, items) {
    await tx.query(LOCK, [items.map(({ runId }) => runId)]);
    await tx.query(
      `update workflow_runs r
       set requested = 'cancel', status = case when r.status = 'running' then 'running' else 'waiting' end,
           wake_at = case when r.status = 'running' then r.wake_at else a.at end
       from unnest($1::text[], $2::timestamptz[]) as a(id, at)
       where r.id = any($1) and r.id = a.id and r.status in ('pending', 'running', 'waiting', 'paused')`,
      columns(items, ({ runId, atMs }) => [runId, timestamp(atMs)]),
    );
    return undefined;
  },
};

export const acknowledgeLane: Lane<string> = {
  name: 'workflow.acknowledged',
  order: 26,
  async write(tx, runIds) {
    await tx.query('update workflow_runs set requested = null where id = any($1)', [runIds]);
    return undefined;
  },
};
