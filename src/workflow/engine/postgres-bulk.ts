import { AiosError } from '../../kernel/errors.ts';
import type { Database, Queryable } from '../../store/database.ts';
import { type Lane, Refused, write } from '../../store/lane.ts';
import { timestamp } from '../../store/rows.ts';
import type { BulkOperation, BulkOutcome, BulkProgress, BulkStore } from './bulk-store.ts';
import { searchRuns } from './postgres-search.ts';

interface Row {
  id: string;
  operation: BulkOperation;
  status: BulkOperation['status'];
  started_at: number | null;
  ended_at: number | null;
}

const READ = 'id, operation, status, started_at, ended_at';

const startLane: Lane<{ id: string; atMs: number }> = {
  name: 'workflow.bulk_starts',
  gate: true,
  order: 17,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const { id, atMs } of items) {
      const at = timestamp(atMs);
      const rows = await tx.query(
        `update workflow_bulks set status = 'running', started_at = $2
         where id = $1 and (status = 'prepared' or started_at = $2) returning id`,
        [id, at],
      );
      results.push(
        rows.length > 0 ? undefined : new Refused(new AiosError('workflow.bulk_stale', { detail: id })),
      );
    }
    return results as Refused[];
  },
};

const recordLane: Lane<BulkOutcome> = {
  name: 'workflow.bulk_outcomes',
  gate: true,
  order: 18,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const { bulkId, runId, outcome, mark } of items) {
      const rows = await tx.query(
        `update workflow_bulk_runs set outcome = $3, mark = $4
         where bulk_id = $1 and run_id = $2 and (outcome is null or mark = $4) returning run_id`,
        [bulkId, runId, outcome, mark],
      );
      results.push(
        rows.length > 0 ? undefined : new Refused(new AiosError('store.conflict', { detail: runId })),
      );
    }
    return results as Refused[];
  },
};

/** Bulk operations by when they ended, with what became of each run; those that were only prepared go sooner. */
export const bulkRecords = { table: 'workflow_bulks', over: "status = 'completed' and ended_at < $1" };

/** Bulk operations in Postgres: whichever process holds the lease of one goes through its runs. */
export function postgresBulks(db: Database): BulkStore {
  const progress = async (rows: readonly Row[]): Promise<BulkProgress[]> => {
    const counts = await db.query<{ bulk_id: string; outcome: string; runs: number }>(
      `select bulk_id, outcome, count(*)::int as runs from workflow_bulk_runs
       where bulk_id = any($1) and outcome is not null group by 1, 2 order by 1, 2`,
      [rows.map(({ id }) => id)],
    );
    return rows.map((row) => {
      const own = counts.filter(({ bulk_id }) => bulk_id === row.id);
      const skipped = own.filter(({ outcome }) => outcome !== 'done');
      return {
        ...operationOf(row),
        done: own.find(({ outcome }) => outcome === 'done')?.runs ?? 0,
        skipped: Object.fromEntries(skipped.map(({ outcome, runs }) => [outcome, runs])),
      };
    });
  };
  return {
    async idsOf(filters, limit) {
      const { text, values } = searchRuns(filters, undefined, limit, 'r.id');
      const rows = await db.queryDynamic<{ id: string }>(text, values);
      return rows.map(({ id }) => id).reverse();
    },
    prepare: (operation, runIds) => db.transaction((tx) => prepare(tx, operation, runIds)),
    start: (id, atMs) => write(startLane, { id, atMs }),
    record: (outcome) => write(recordLane, outcome),
    take: (worker, limit) => db.transaction((tx) => take(tx, worker, limit)),
    async complete(id, atMs) {
      await db.query(
        "update workflow_bulks set status = 'completed', ended_at = $2 where id = $1 and status = 'running'",
        [id, timestamp(atMs)],
      );
    },
    async find(id) {
      const rows = await db.query<Row>(`select ${READ} from workflow_bulks where id = $1`, [id]);
      return (await progress(rows))[0];
    },
    async list(limit) {
      return progress(
        await db.query<Row>(`select ${READ} from workflow_bulks order by id desc limit $1`, [limit]),
      );
    },
  };
}

async function prepare(tx: Queryable, operation: BulkOperation, runIds: readonly string[]): Promise<void> {
  await tx.query(
    "delete from workflow_bulks where status = 'prepared' and created_at < now() - interval '1 hour'",
  );
  await tx.query("insert into workflow_bulks (id, operation, status) values ($1, $2, 'prepared')", [
    operation.id,
    JSON.stringify(operation),
  ]);
  await tx.query(
    'insert into workflow_bulk_runs (bulk_id, run_id) select $1, id from unnest($2::text[]) as id',
    [operation.id, runIds],
  );
}

async function take(tx: Queryable, worker: string, limit: number) {
  const [row] = await tx.query<Row>(
    `update workflow_bulks set worker = $1
     where id = (
       select b.id from workflow_bulks b where b.status = 'running' and (b.worker is null or b.worker = $1
         or not exists (select from workflow_workers w where w.id = b.worker and w.lease_until > now()))
       order by b.id limit 1 for update skip locked)
     returning ${READ}`,
    [worker],
  );
  if (!row) return undefined;
  const runs = await tx.query<{ run_id: string }>(
    'select run_id from workflow_bulk_runs where bulk_id = $1 and outcome is null order by run_id limit $2',
    [row.id, limit],
  );
  return { operation: operationOf(row), runIds: runs.map(({ run_id }) => run_id) };
}

function operationOf({ operation, status, started_at, ended_at }: Row): BulkOperation {
  return { ...operation, status, startedAtMs: started_at, endedAtMs: ended_at };
}
