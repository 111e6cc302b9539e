import { AiosError } from '../../kernel/errors.ts';
import type { Queryable } from '../../store/database.ts';
import { type Lane, plannedLane, Refused } from '../../store/lane.ts';
import { columns } from '../../store/rows.ts';
import { type PackedChange, type PackedSignal, payloadStatements } from './payloads.ts';
import type { Subscription } from './stored-run.ts';

const COLUMNS =
  'id, workflow, version, epoch, status, worker, wake_at, waiting_for, origin, idempotency_key, started_at, updated_at, result, subject, outcome, entries';
const ARRAYS =
  '$1::text[], $2::text[], $3::int[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[], $8::text[], $9::json[], $10::text[], $11::timestamptz[], $12::timestamptz[], $13::json[], $14::text[], $15::text[], $16::json[]';

function rowOf({ change, origin, result, entries }: PackedChange): unknown[] {
  return [
    change.id,
    change.workflow,
    change.version,
    change.epoch,
    change.status,
    change.worker,
    change.wakeAtMs,
    change.waitingFor,
    origin,
    change.idempotencyKey,
    change.startedAtMs,
    change.updatedAtMs,
    result,
    change.subject,
    change.outcome,
    entries,
  ];
}

const INSERT = `insert into workflow_runs (${COLUMNS}) select * from unnest(${ARRAYS}) on conflict do nothing returning id`;

function insertedColumns(changes: readonly PackedChange[]): unknown[][] {
  const sorted =
    changes.length > 1 ? [...changes].sort((a, b) => (a.change.id < b.change.id ? -1 : 1)) : changes;
  return columns(sorted, rowOf);
}

/** Inserts new runs; answers with the ids of those that were not there. In the order of ids, so that two writers cannot deadlock. */
export async function insertRuns(tx: Queryable, changes: readonly PackedChange[]): Promise<Set<string>> {
  const rows = await tx.query<{ id: string }>(INSERT, insertedColumns(changes));
  return new Set(rows.map((row) => row.id));
}

/**
 * Locks runs in the order of their ids before anything is written: a takeover waits for it, or has been first and has changed the epoch.
 * A run that goes on (`running`, with a row) is written no further: its row says so already, and a new version of it at each step was
 * a third of the work of Postgres.
 */
const LOCK = 'select id, epoch from workflow_runs where id = any($1::text[]) order by id for no key update';
const LOCK_ALL = `with held as (${LOCK})
     select 1 / (case when count(*) = $3::int then 1 else 0 end)
     from held join unnest($1::text[], $2::bigint[]) as c(id, epoch) using (id, epoch)`;
// What was asked while the run was on its way out of memory is not lost: it is then paused, or due at once to be canceled.
const UPDATE = `update workflow_runs r
     set status = case when c.status not in ('waiting', 'pending') then c.status
           when r.requested = 'pause' then 'paused' when r.requested = 'cancel' then 'waiting' else c.status end, worker = c.worker,
         wake_at = case when c.status in ('waiting', 'pending') and r.requested = 'cancel' then c.updated_at else c.wake_at end,
         waiting_for = c.waiting_for, updated_at = c.updated_at,
         result = c.result, subject = coalesce(c.subject, r.subject), outcome = coalesce(c.outcome, r.outcome),
         requested = case when c.worker is null and (c.status not in ('waiting', 'pending') or r.requested = 'pause') then null else r.requested end
     from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::timestamptz[], $8::json[], $9::text[], $10::text[])
       as c(id, epoch, status, worker, wake_at, waiting_for, updated_at, result, subject, outcome)
     where r.id = any($1) and r.id = c.id and r.epoch = c.epoch`;

/** Fails the transaction unless so many rows were inserted. */
const INSERT_ALL = `with touched as (${INSERT}) select 1 / (case when count(*) = $17::int then 1 else 0 end) from touched`;

function updatedColumns(changes: readonly PackedChange[]): unknown[][] {
  return columns(changes, ({ change, result }) => [
    change.id,
    change.epoch,
    change.status,
    change.worker,
    change.wakeAtMs,
    change.waitingFor,
    change.updatedAtMs,
    result,
    change.subject,
    change.outcome,
  ]);
}

const changesRow = ({ change }: PackedChange) => change.status !== 'running';

/** Locks the runs whose epoch still matches and writes those that change; answers with `id/epoch` of all that matched. */
async function updateRuns(tx: Queryable, changes: readonly PackedChange[]): Promise<Set<string>> {
  const rows = await tx.query<{ id: string; epoch: number }>(LOCK, [changes.map(({ change }) => change.id)]);
  const locked = new Set(rows.map(keyOf));
  const matched = changes.filter(({ change }) => locked.has(keyOf(change)));
  const changed = matched.filter(changesRow);
  if (changed.length > 0) await tx.query(UPDATE, updatedColumns(changed));
  return new Set(matched.map(({ change }) => keyOf(change)));
}

const keyOf = ({ id, epoch }: { id: string; epoch: number }) => `${id}/${epoch}`;

/** New rows that were already there are ours when their epoch is: the answer to an earlier commit was lost. */
async function ownRows(tx: Queryable, changes: readonly PackedChange[]): Promise<Set<string>> {
  const rows = await tx.query<{ id: string; epoch: number }>(
    'select id, epoch from workflow_runs where id = any($1)',
    [changes.map(({ change }) => change.id)],
  );
  const epochs = new Map(rows.map((row) => [row.id, row.epoch]));
  const own = changes.filter(({ change }) => epochs.get(change.id) === change.epoch);
  return new Set(own.map(({ change }) => change.id));
}

export const runLane: Lane<PackedChange> = {
  name: 'workflow.runs',
  gate: true,
  order: 10,
  plan(changes) {
    const { inserts, updates } = lastOf(changes);
    const statements: { text: string; values: unknown[] }[] = [];
    if (inserts.size > 0)
      statements.push({
        text: INSERT_ALL,
        values: [...insertedColumns([...inserts.values()]), inserts.size],
      });
    if (updates.size > 0) {
      const all = [...updates.values()];
      const changed = all.filter(changesRow);
      const held = columns(all, ({ change }) => [change.id, change.epoch]);
      statements.push({ text: LOCK_ALL, values: [...held, updates.size] });
      if (changed.length > 0) statements.push({ text: UPDATE, values: updatedColumns(changed) });
    }
    return { statements };
  },
  async write(tx, changes) {
    const { inserts, updates } = lastOf(changes);
    const inserted = inserts.size > 0 ? await insertRuns(tx, [...inserts.values()]) : new Set<string>();
    const missing = [...inserts.values()].filter(({ change }) => !inserted.has(change.id));
    for (const id of missing.length > 0 ? await ownRows(tx, missing) : []) inserted.add(id);
    const updated = updates.size > 0 ? await updateRuns(tx, [...updates.values()]) : new Set<string>();
    if (inserted.size === inserts.size && updated.size === updates.size) return undefined;
    return changes.map(({ change }) => {
      if (change.insert ? inserted.has(change.id) : updated.has(keyOf(change))) return undefined;
      return new Refused(
        new AiosError(change.insert ? 'workflow.exists' : 'workflow.fenced', {
          detail: change.id,
          extensions: { runId: change.id },
        }),
      );
    });
  },
};

/** One commit may hold several changes of one run (begun, then ended): only the last state is written, all of them stand or fall. */
function lastOf(changes: readonly PackedChange[]) {
  const inserts = new Map<string, PackedChange>();
  const updates = new Map<string, PackedChange>();
  for (const packed of changes) {
    const { change } = packed;
    if (change.insert) inserts.set(change.id, packed);
    else updates.set(keyOf(change), packed);
  }
  return { inserts, updates };
}

export const journalLane = plannedLane<PackedChange>({
  name: 'workflow.journal',
  order: 20,
  plan: (changes) => ({
    statements: [
      {
        text: 'insert into workflow_journal select * from unnest($1::text[], $2::int[], $3::bigint[], $4::json[]) on conflict do nothing',
        values: columns(changes, ({ change: { id, seq, epoch }, entries }) => [id, seq, epoch, entries]),
      },
    ],
  }),
});

/** The first signal under a key stands; a run that has ended takes none. */
export const signalLane = plannedLane<PackedSignal>({
  name: 'workflow.signals',
  order: 21,
  plan: (signals) => ({
    statements: [
      {
        text: `insert into workflow_signals
       select s.run_id, s.key, s.payload from unnest($1::text[], $2::text[], $3::json[]) as s(run_id, key, payload)
       where exists (select from workflow_runs r where r.id = s.run_id and r.status in ('pending', 'running', 'waiting', 'paused'))
       on conflict do nothing`,
        values: columns(signals, ({ runId, key, text }) => [runId, key, text]),
      },
      ...payloadStatements(signals.flatMap(({ payload }) => payload ?? [])),
    ],
  }),
});

export const consumedLane: Lane<{ runId: string; key: string }> = {
  name: 'workflow.signals_consumed',
  order: 22,
  async write(tx, items) {
    await tx.query(
      `delete from workflow_signals s using unnest($1::text[], $2::text[]) as c(run_id, key)
       where s.run_id = any($1) and s.run_id = c.run_id and s.key = c.key`,
      columns(items, ({ runId, key }) => [runId, key]),
    );
    return undefined;
  },
};

/** Held shared while subscribing and exclusively while events are given out: no event falls between the two. */
export const SUBSCRIPTION_LOCK = 4_250_817;

export const subscriptionLane: Lane<Subscription> = {
  name: 'workflow.subscriptions',
  order: 23,
  async write(tx, items) {
    await tx.query('select pg_advisory_xact_lock_shared($1)', [SUBSCRIPTION_LOCK]);
    await tx.query(
      `insert into workflow_subscriptions select * from unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::json[])
       on conflict do nothing`,
      columns(items, (item) => [item.runId, item.key, item.filterIndex, item.type, JSON.stringify(item)]),
    );
    return undefined;
  },
};

export const unsubscribedLane: Lane<{ runId: string; key: string }> = {
  name: 'workflow.unsubscribed',
  order: 24,
  async write(tx, items) {
    await tx.query(
      `delete from workflow_subscriptions s using unnest($1::text[], $2::text[]) as c(run_id, key)
       where s.run_id = any($1) and s.run_id = c.run_id and s.key = c.key`,
      columns(items, ({ runId, key }) => [runId, key]),
    );
    return undefined;
  },
};
