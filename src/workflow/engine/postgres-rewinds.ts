import { AiosError } from '../../kernel/errors.ts';
import type { Database, Queryable } from '../../store/database.ts';
import { type Lane, Refused, write } from '../../store/lane.ts';
import { timestamp } from '../../store/rows.ts';
import {
  forkOrigin,
  type OperationStore,
  originAgain,
  type RunAttempt,
  type RunFork,
  type RunRewind,
  refusedRewind,
} from './operation-store.ts';
import { readPayloads } from './payloads.ts';
import { refsOf, type StoredOrigin, type StoredResult, wholeValues } from './postgres-rows.ts';
import type { Entry, RunStatus } from './stored-run.ts';

/** The journal as it is stored, of both places: values that lie elsewhere stay there. */
const JOURNAL = `select coalesce((select entries from workflow_runs where id = $1), '[]') as first,
     (select coalesce(json_agg(entries order by seq), '[]') from workflow_journal where run_id = $1) as later`;

async function journalOf(db: Queryable, runId: string): Promise<Entry[]> {
  const [row] = await db.query<{ first: Entry[]; later: Entry[][] }>(JOURNAL, [runId]);
  return [...(row?.first ?? []), ...(row?.later ?? []).flat()];
}

interface Target {
  status: RunStatus;
  epoch: number;
  request: string | null;
  origin: StoredOrigin;
}

async function rewindOne(tx: Queryable, item: RunRewind): Promise<Refused | undefined> {
  const { runId, epoch, requestId, atMs, entries, signals, step, by } = item;
  const [run] = await tx.query<Target>(
    'select status, epoch, request, origin from workflow_runs where id = $1 for no key update',
    [runId],
  );
  if (run?.request === requestId) return undefined;
  if (!run || run.epoch !== epoch || !['completed', 'failed', 'canceled'].includes(run.status))
    return new Refused(refusedRewind(item, run?.status));
  const at = timestamp(atMs);
  const before = await journalOf(tx, runId);
  await tx.query(
    `insert into workflow_attempts
     select id, attempt, status, result, origin, $2::json, updated_at, $3, $4, $5, outcome from workflow_runs where id = $1`,
    [runId, JSON.stringify(before), step, by, at],
  );
  await tx.query(
    `update workflow_runs
     set status = 'waiting', attempt = attempt + 1, epoch = epoch + 1, request = $2, requested = null, wake_at = $3, waiting_for = null,
         updated_at = $3, result = null, outcome = null, entries = $4, origin = $5
     where id = $1`,
    [runId, requestId, at, JSON.stringify(entries), JSON.stringify(originAgain(run.origin, item))],
  );
  await tx.query('delete from workflow_journal where run_id = $1', [runId]);
  await tx.query('delete from workflow_subscriptions where run_id = $1', [runId]);
  await tx.query('delete from workflow_signals where run_id = $1 and key = any($2)', [runId, signals]);
  return undefined;
}

const rewindLane: Lane<RunRewind> = {
  name: 'workflow.rewinds',
  gate: true,
  order: 13,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    const sorted = [...items.entries()].sort(([, a], [, b]) => (a.runId < b.runId ? -1 : 1));
    for (const [index, item] of sorted) results[index] = await rewindOne(tx, item);
    return results.some((result) => result) ? (results as Refused[]) : undefined;
  },
};

async function forkOne(tx: Queryable, fork: RunFork): Promise<Refused | undefined> {
  const { id, from, entries, idempotencyKey, atMs } = fork;
  const [stored] = await tx.query<{ origin: StoredOrigin }>(
    'select origin from workflow_runs where id = $1',
    [from.id],
  );
  if (!stored) return new Refused(new AiosError('workflow.run_not_found', { detail: from.id }));
  const rows = await tx.query<{ id: string }>(
    `insert into workflow_runs (id, workflow, version, epoch, status, wake_at, origin, idempotency_key, started_at, updated_at, subject, entries, forked_from)
     values ($1, $2, $3, 1, 'waiting', $4, $5, $6, $4, $4, $7, $8, $9)
     on conflict do nothing returning id`,
    [
      id,
      from.workflow,
      from.version,
      timestamp(atMs),
      JSON.stringify(forkOrigin(fork, stored.origin)),
      idempotencyKey,
      from.subject,
      JSON.stringify(entries),
      from.id,
    ],
  );
  if (rows.length > 0) {
    await tx.query(
      'insert into workflow_payload_refs select $1, digest from workflow_payload_refs where run_id = $2 on conflict do nothing',
      [id, from.id],
    );
    return undefined;
  }
  const [own] = await tx.query<{ id: string }>('select id from workflow_runs where id = $1', [id]);
  return own ? undefined : new Refused(new AiosError('workflow.exists', { detail: idempotencyKey ?? id }));
}

const forkLane: Lane<RunFork> = {
  name: 'workflow.forks',
  gate: true,
  order: 14,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const item of items) results.push(await forkOne(tx, item));
    return results.some((result) => result) ? (results as Refused[]) : undefined;
  },
};

interface AttemptRow {
  attempt: number;
  status: RunStatus;
  result: StoredResult | null;
  origin: StoredOrigin;
  ended_at: number;
  next_step: string;
  next_by: string;
  next_at: number;
}

/** Runs that go back to an earlier step, and runs that begin with the journal of another. */
export function postgresRewinds(
  db: Database,
): Pick<OperationStore, 'rewind' | 'fork' | 'journal' | 'signalKeys' | 'attempts' | 'forksOf'> {
  return {
    rewind: (rewind) => write(rewindLane, rewind),
    fork: (fork) => write(forkLane, fork),
    async journal(runId, attempt) {
      if (attempt === undefined) return journalOf(db, runId);
      const [row] = await db.query<{ entries: Entry[] }>(
        'select entries from workflow_attempts where run_id = $1 and attempt = $2',
        [runId, attempt],
      );
      return row?.entries ?? [];
    },
    async signalKeys(runId) {
      const rows = await db.query<{ key: string }>('select key from workflow_signals where run_id = $1', [
        runId,
      ]);
      return rows.map(({ key }) => key);
    },
    async attempts(runId) {
      const rows = await db.query<AttemptRow>(
        'select attempt, status, result, origin, ended_at, next_step, next_by, next_at from workflow_attempts where run_id = $1 order by attempt',
        [runId],
      );
      const bodies = await readPayloads(db, rows.flatMap(refsOf));
      return rows.map((row) => attemptOf(row, bodies));
    },
    async forksOf(runId, limit) {
      const rows = await db.query<{ id: string }>(
        'select id from workflow_runs where forked_from = $1 order by id desc limit $2',
        [runId, limit],
      );
      return rows.map(({ id }) => id);
    },
  };
}

function attemptOf(row: AttemptRow, bodies: ReadonlyMap<string, unknown>): RunAttempt {
  const { attempt, status, ended_at, next_step, next_by, next_at } = row;
  const { origin, result } = wholeValues(row, bodies);
  return {
    attempt,
    status,
    result,
    input: origin.input,
    endedAtMs: ended_at,
    nextStep: next_step,
    nextBy: next_by,
    nextAtMs: next_at,
  };
}
