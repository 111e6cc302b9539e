import type { Json } from '../../kernel/json.ts';
import type { Database, Queryable } from '../../store/database.ts';
import type { Committer } from '../../store/group-commit.ts';
import { type Lane, type Write, write } from '../../store/lane.ts';
import { timestamp } from '../../store/rows.ts';
import { writeInTransaction } from '../../store/write-in-transaction.ts';
import type { BulkStore } from './bulk-store.ts';
import type { OperationStore } from './operation-store.ts';
import {
  type PackedSignal,
  pack,
  packSignal,
  payloadLane,
  payloadStatements,
  readPayloads,
  signalRef,
  sweepPayloads,
} from './payloads.ts';
import { postgresBulks } from './postgres-bulk.ts';
import {
  consumedLane,
  insertRuns,
  journalLane,
  runLane,
  SUBSCRIPTION_LOCK,
  signalLane,
  subscriptionLane,
  unsubscribedLane,
} from './postgres-lanes.ts';
import { postgresOperations } from './postgres-operations.ts';
import { PostgresQueues } from './postgres-queues.ts';
import { type ListedRow, listedRun, READ, type RunRow, wholeRuns } from './postgres-rows.ts';
import { PostgresSchedules } from './postgres-schedules.ts';
import { searchRuns } from './postgres-search.ts';
import type { RunStore } from './run-store.ts';
import type {
  ClaimedRun,
  Entry,
  ListedRun,
  RunChange,
  RunFilters,
  Signal,
  StoredRun,
  Subscription,
} from './stored-run.ts';

const ADMIT = `update workflow_runs r set worker = $1, epoch = epoch + 1, status = 'running' where id = any($2) returning ${READ}, r.entries`;

/** Runs in Postgres, written through group commit: any number of processes over one database. */
export class PostgresRunStore implements RunStore {
  readonly commit: Committer;
  readonly queues: PostgresQueues;
  readonly operations: OperationStore;
  readonly schedules: PostgresSchedules;
  readonly bulks: BulkStore;
  readonly #db: Database;

  readonly #listeners: ((runIds: readonly string[]) => void)[] = [];
  readonly #inlineMax: number;
  readonly #signalLane: Lane<PackedSignal> = {
    ...signalLane,
    committed: (signals) => {
      const runIds = signals.map(({ runId }) => runId);
      for (const listener of this.#listeners) listener(runIds);
    },
  };

  /** `payloadInlineBytesMax` is the limit of that name. */
  constructor(db: Database, commit: Committer, payloadInlineBytesMax: number) {
    this.#db = db;
    this.commit = commit;
    this.#inlineMax = payloadInlineBytesMax;
    this.schedules = new PostgresSchedules(db, (tx, runs) => this.insert(tx, runs));
    this.operations = postgresOperations(db);
    this.bulks = postgresBulks(db);
    this.queues = new PostgresQueues(db, async (tx, worker, ids) => {
      const rows = ids.length > 0 ? await tx.query<RunRow>(ADMIT, [worker, ids]) : [];
      return () => this.#complete(rows);
    });
  }

  onSignal(listener: (runIds: readonly string[]) => void): void {
    this.#listeners.push(listener);
  }

  save(change: RunChange): Write[] {
    const packed = pack(change, this.#inlineMax);
    const writes: Write[] = [write(runLane, packed)];
    for (const payload of packed.payloads) writes.push(write(payloadLane, payload));
    if (!change.insert && change.entries.length > 0) writes.push(write(journalLane, packed));
    writes.push(...this.schedules.ended(change));
    return writes;
  }

  signal(signal: Signal): Write {
    return write(this.#signalLane, packSignal(signal, this.#inlineMax));
  }

  consume(runId: string, keys: readonly string[]): Write[] {
    return keys.map((key) => write(consumedLane, { runId, key }));
  }

  subscribe(subscription: Subscription): Write {
    return write(subscriptionLane, subscription);
  }

  unsubscribe(runId: string, keys: readonly string[]): Write[] {
    return keys.map((key) => write(unsubscribedLane, { runId, key }));
  }

  async existing(tx: Queryable, ids: readonly string[]): Promise<ReadonlySet<string>> {
    if (ids.length === 0) return new Set();
    const rows = await tx.query<{ id: string }>('select id from workflow_runs where id = any($1)', [ids]);
    return new Set(rows.map((row) => row.id));
  }

  async insert(tx: Queryable, changes: readonly RunChange[]): Promise<ReadonlySet<string>> {
    const packed = changes.map((change) => pack(change, this.#inlineMax));
    const inserted = await insertRuns(tx, packed);
    const payloads = packed.flatMap(({ change, payloads }) => (inserted.has(change.id) ? payloads : []));
    await Promise.all(payloadStatements(payloads).map(({ text, values }) => tx.query(text, values)));
    return inserted;
  }

  write(tx: Queryable, writes: readonly Write[]): Promise<() => void> {
    return writeInTransaction(tx, writes);
  }

  async find(id: string): Promise<StoredRun | undefined> {
    const [row] = await this.#db.query<RunRow>(`select ${READ} from workflow_runs r where id = $1`, [id]);
    return row && (await wholeRuns(this.#db, [row]))[0];
  }

  async findByKey(workflow: string, idempotencyKey: string): Promise<StoredRun | undefined> {
    const [row] = await this.#db.query<RunRow>(
      `select ${READ} from workflow_runs r where workflow = $1 and idempotency_key = $2`,
      [workflow, idempotencyKey],
    );
    return row && (await wholeRuns(this.#db, [row]))[0];
  }

  async entries(id: string): Promise<Entry[]> {
    const [row] = await this.#db.query<{ entries: Entry[] }>(
      'select entries from workflow_runs where id = $1',
      [id],
    );
    const later = await this.#journal([id]);
    return [...(row?.entries ?? []), ...later.flatMap(({ entries }) => entries)];
  }

  async list(filters: RunFilters, before: string | undefined, limit: number): Promise<ListedRun[]> {
    const { text, values } = searchRuns(filters, before, limit);
    return (await this.#db.queryDynamic<ListedRow>(text, values)).map(listedRun);
  }

  async count(): Promise<{ [status: string]: number }> {
    const rows = await this.#db.query<{ status: string; count: number }>(
      'select status, count(*) as count from workflow_runs group by status',
    );
    return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
  }

  claim(worker: string, ids: readonly string[]): Promise<ClaimedRun[]> {
    return this.#claim(
      `update workflow_runs r set worker = $1, epoch = epoch + 1, status = 'running', wake_at = null
       where id in (select id from workflow_runs where id = any($2) and status = 'waiting' order by id for update skip locked)
       returning ${READ}, r.entries`,
      [worker, ids],
    );
  }

  takeAgain(worker: string, ids: readonly string[]): Promise<ClaimedRun[]> {
    return this.#claim(
      `update workflow_runs r set epoch = epoch + 1
       where id in (select id from workflow_runs where id = any($2) and worker = $1 order by id for update skip locked)
       returning ${READ}, r.entries`,
      [worker, ids],
    );
  }

  async heldBy(worker: string): Promise<string[]> {
    const rows = await this.#db.query<{ id: string }>('select id from workflow_runs where worker = $1', [
      worker,
    ]);
    return rows.map(({ id }) => id);
  }

  /**
   * The dead are looked up first: a row that another worker took meanwhile is checked again by its own columns only, and `not exists` over
   * another table would then pass a second time (Postgres, "Read Committed Isolation Level": the join is not made again). Workers are found
   * by stepping through the index from one to the next: `distinct` read every run there ever was (3.2 ms each second at 10,000).
   */
  async takeOver(worker: string, limit: number): Promise<ClaimedRun[]> {
    const dead = await this.#db.query<{ worker: string }>(
      `with recursive holder(id) as (
         (select worker from workflow_runs where worker is not null order by worker limit 1)
         union all
         select (select o.worker from workflow_runs o where o.worker > h.id order by o.worker limit 1) from holder h where h.id is not null)
       select h.id as worker from holder h
       where h.id is not null
         and not exists (select from workflow_workers w where w.id = h.id and w.lease_until > now())`,
    );
    if (dead.length === 0) return [];
    return this.#claim(
      `update workflow_runs r set worker = $1, epoch = epoch + 1
       where id in (
         select o.id from workflow_runs o where o.worker = any($3) order by o.id limit $2 for update skip locked)
       returning ${READ}, r.entries`,
      [worker, limit, dead.map((row) => row.worker)],
    );
  }

  async #claim(text: string, values: readonly unknown[]): Promise<ClaimedRun[]> {
    return this.#complete(await this.#db.query<RunRow>(text, values));
  }

  /** The rest of what it takes to go on with runs. */
  async #complete(rows: readonly RunRow[]): Promise<ClaimedRun[]> {
    if (rows.length === 0) return [];
    const ids = rows.map((row) => row.id);
    const [runs, journal, signals] = await Promise.all([
      wholeRuns(this.#db, rows),
      this.#journal(ids),
      this.#offeredSignals(ids),
    ]);
    const laterOf = Map.groupBy(journal, ({ run_id }) => run_id);
    const signalsOf = Map.groupBy(signals, ({ runId }) => runId);
    return rows.map((row, index): ClaimedRun => {
      const later = laterOf.get(row.id) ?? [];
      return {
        ...runs[index]!,
        entries: [...row.entries, ...later.flatMap(({ entries }) => entries)],
        nextSeq: (later.at(-1)?.seq ?? 0) + 1,
        signals: signalsOf.get(row.id) ?? [],
      };
    });
  }

  #journal(ids: readonly string[]) {
    return this.#db.query<{ run_id: string; seq: number; entries: Entry[] }>(
      'select run_id, seq, entries from workflow_journal where run_id = any($1) order by run_id, seq',
      [ids],
    );
  }

  /** The signals of runs that have just been claimed: nobody else puts them away before they have them. */
  async #offeredSignals(ids: readonly string[]): Promise<Signal[]> {
    return this.#whole(
      await this.#db.query<Signal & object>(
        'update workflow_signals set seen = true where run_id = any($1) returning run_id as "runId", key, payload',
        [ids],
      ),
    );
  }

  async #whole(signals: Signal[]): Promise<Signal[]> {
    const bodies = await readPayloads(
      this.#db,
      signals.flatMap(({ payload }) => signalRef(payload) ?? []),
    );
    if (bodies.size === 0) return signals;
    return signals.map((signal) => {
      const ref = signalRef(signal.payload);
      return ref ? { ...signal, payload: bodies.get(ref.digest) as Json } : signal;
    });
  }

  async payload(runId: string, digest: string): Promise<Json | undefined> {
    const [row] = await this.#db.query<{ body: Json }>(
      `select p.body from workflow_payload_refs f join workflow_payloads p using (digest)
       where f.run_id = $1 and f.digest = $2`,
      [runId, digest],
    );
    return row?.body;
  }

  sweepPayloads(): Promise<number> {
    return sweepPayloads(this.#db);
  }

  async signalsOf(runId: string): Promise<Signal[]> {
    return this.#whole(
      await this.#db.query<Signal & object>(
        'select run_id as "runId", key, payload from workflow_signals where run_id = $1',
        [runId],
      ),
    );
  }

  /** Under the run's lock: a barrier that puts the run away at the same time comes before it, and then nothing was offered, or after it. */
  async offered(worker: string, runId: string, keys: readonly string[]): Promise<void> {
    await this.#db.query(
      `with held as materialized (select id from workflow_runs where id = $1 and worker = $2 for share)
       update workflow_signals s set seen = true from held where s.run_id = held.id and s.key = any($3)`,
      [runId, worker, keys],
    );
  }

  async renew(worker: string, leaseMs: number): Promise<boolean> {
    const rows = await this.#db.query<{ alive: boolean }>(
      `with before as (select lease_until > now() as alive from workflow_workers where id = $1),
       renewed as (
         insert into workflow_workers values ($1, now() + $2 * interval '1 millisecond')
         on conflict (id) do update set lease_until = excluded.lease_until)
       select alive from before`,
      [worker, leaseMs],
    );
    return rows[0]?.alive ?? false;
  }

  async leave(worker: string): Promise<void> {
    // And those that died long ago.
    await this.#db.query(
      "delete from workflow_workers where id = $1 or lease_until < now() - interval '1 day'",
      [worker],
    );
  }

  async due(nowMs: number, limit: number): Promise<string[]> {
    const rows = await this.#db.query<{ id: string }>(
      `select id from workflow_runs where wake_at is not null and wake_at <= $1 and status = 'waiting' order by wake_at limit $2`,
      [timestamp(nowMs), limit],
    );
    return rows.map((row) => row.id);
  }

  async nextDueMs(): Promise<number | undefined> {
    const [row] = await this.#db.query<{ due_at: number | null }>(
      `select least(
         (select wake_at from workflow_runs where wake_at is not null and status = 'waiting' order by wake_at limit 1),
         (select min(look_at) from workflow_schedules where times is not null)) as due_at`,
    );
    return row?.due_at ?? undefined;
  }

  async signaled(worker: string, limit: number): Promise<string[]> {
    const rows = await this.#db.query<{ id: string }>(
      `select distinct r.id from workflow_signals s join workflow_runs r on r.id = s.run_id where (r.status = 'waiting' or r.worker = $1) and not s.seen limit $2`,
      [worker, limit],
    );
    return rows.map((row) => row.id);
  }

  async requested(worker: string): Promise<{ id: string; requested: 'cancel' | 'pause' }[]> {
    return this.#db.query<{ id: string; requested: 'cancel' | 'pause' }>(
      'select id, requested from workflow_runs where worker = $1 and requested is not null',
      [worker],
    );
  }

  async subscriptions(tx: Queryable, types: readonly string[]): Promise<Subscription[]> {
    await tx.query('select pg_advisory_xact_lock($1)', [SUBSCRIPTION_LOCK]);
    const rows = await tx.query<{ subscription: Subscription }>(
      'select subscription from workflow_subscriptions where type = any($1) order by run_id, key, filter',
      [types],
    );
    return rows.map((row) => row.subscription);
  }

  async subscribedTypes(): Promise<string[]> {
    const rows = await this.#db.query<{ type: string }>('select distinct type from workflow_subscriptions');
    return rows.map((row) => row.type);
  }
}
