import { firstId } from '../../kernel/ids.ts';
import type { Database, Queryable } from '../../store/database.ts';
import { type Lane, Refused, write } from '../../store/lane.ts';
import { timestamp } from '../../store/rows.ts';
import { notEnded, type OperationStore, type RetentionPass } from './operation-store.ts';
import type { RunStatus } from './stored-run.ts';

/** One process at a time goes through the runs. */
const RETENTION_LOCK = 4_250_818;
const ENDED = "('completed', 'failed', 'canceled')";

/** Ended runs, but not those that a run which has not ended waits for. What refers to a run in its own table goes by a cascade. */
const DELETE = `with gone as (
     delete from workflow_runs r where r.id = any($1) and r.status in ${ENDED}
       and not exists (select from workflow_runs p where p.id = r.origin->'parent'->>'runId' and p.status not in ${ENDED})
     returning r.id),
   journal as (delete from workflow_journal j using gone where j.run_id = gone.id),
   signals as (delete from workflow_signals s using gone where s.run_id = gone.id),
   subscriptions as (delete from workflow_subscriptions s using gone where s.run_id = gone.id)
   select id from gone`;

async function deleteRuns(tx: Queryable, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  await tx.query('select from workflow_runs where id = any($1) order by id for update', [ids]);
  const rows = await tx.query<{ id: string }>(DELETE, [ids]);
  return new Set(rows.map(({ id }) => id));
}

const removeLane: Lane<string> = {
  name: 'workflow.deletes',
  gate: true,
  order: 16,
  async write(tx, ids) {
    const gone = await deleteRuns(tx, ids);
    const rows = await tx.query<{ id: string; status: RunStatus }>(
      'select id, status from workflow_runs where id = any($1)',
      [ids.filter((id) => !gone.has(id))],
    );
    if (rows.length === 0) return undefined;
    const left = new Map(rows.map(({ id, status }) => [id, status]));
    return ids.map((id) => {
      const status = left.get(id);
      return status && new Refused(notEnded(id, status));
    }) as Refused[];
  },
};

async function expire(
  tx: Queryable,
  { endedBeforeMs, othersEndedBeforeMs, afterId, rowsMax }: RetentionPass,
): Promise<{ deleted: number; lastId: string | undefined } | undefined> {
  const [lock] = await tx.query<{ mine: boolean }>('select pg_try_advisory_xact_lock($1) as mine', [
    RETENTION_LOCK,
  ]);
  if (!lock?.mine) return undefined;
  // No run has ended before it began: what is younger than the shortest retention is not looked at.
  const youngest = firstId('run', Math.max(0, othersEndedBeforeMs, ...endedBeforeMs.values()));
  const rows = await tx.query<{ id: string; over: boolean }>(
    `select r.id, r.status in ${ENDED} and r.updated_at < coalesce(k.before, $4) as over
     from (select id, workflow, status, updated_at from workflow_runs where id > $1 and id < $2 order by id limit $3) r
     left join unnest($5::text[], $6::timestamptz[]) as k(workflow, before) on k.workflow = r.workflow
     order by r.id`,
    [
      afterId,
      youngest,
      rowsMax,
      timestamp(othersEndedBeforeMs),
      [...endedBeforeMs.keys()],
      [...endedBeforeMs.values()].map(timestamp),
    ],
  );
  const gone = await deleteRuns(
    tx,
    rows.filter(({ over }) => over).map(({ id }) => id),
  );
  return { deleted: gone.size, lastId: rows.length < rowsMax ? undefined : rows.at(-1)?.id };
}

/** Ended runs that are deleted, by hand or at the end of their retention. */
export function postgresDeletes(db: Database): Pick<OperationStore, 'remove' | 'expire'> {
  return {
    remove: (runId) => write(removeLane, runId),
    expire: (pass) => db.transaction((tx) => expire(tx, pass)),
  };
}
