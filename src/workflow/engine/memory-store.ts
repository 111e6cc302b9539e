import { AiosError } from '../../kernel/errors.ts';
import type { Queryable } from '../../store/database.ts';
import type { Committer } from '../../store/group-commit.ts';
import { type Lane, Refused, type Write, write } from '../../store/lane.ts';
import type { BulkStore } from './bulk-store.ts';
import { memoryBulks } from './memory-bulk.ts';
import { memoryOperations } from './memory-operations.ts';
import { MemoryQueues } from './memory-queues.ts';
import { askedMeanwhile, entriesOf, listed, type Row, stored, withBarrier } from './memory-rows.ts';
import { MemorySchedules } from './memory-schedules.ts';
import { searchRows } from './memory-search.ts';
import type { OperationStore } from './operation-store.ts';
import type { RunStore } from './run-store.ts';
import {
  type ClaimedRun,
  ENDED,
  type Entry,
  type ListedRun,
  type RunChange,
  type RunFilters,
  type Signal,
  type StoredRun,
  type Subscription,
} from './stored-run.ts';

const NO_TRANSACTION: Queryable = {
  query: () => Promise.reject(new AiosError('store.unavailable', { detail: 'The memory store has no SQL.' })),
};

/**
 * Runs in the memory of this process: for tests and for embedding. What it promises over an engine's crash is what the Postgres store
 * promises, as long as the process lives; the same suite holds both. Values are copied in and out, as a database would.
 */
export class MemoryRunStore implements RunStore {
  readonly #rows = new Map<string, Row>();
  readonly #signals = new Map<string, Signal>();
  /** Signals that were offered to their run. */
  readonly #seen = new Set<string>();
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #leases = new Map<string, number>();
  readonly schedules = new MemorySchedules({
    find: (id) => this.find(id),
    findByKey: (workflow, key) => this.findByKey(workflow, key),
    insert: (runs) => this.insert(NO_TRANSACTION, runs),
    remove: (ids) => {
      for (const id of ids) this.#rows.delete(id);
    },
    write: (writes) => this.write(NO_TRANSACTION, writes),
  });
  readonly queues = new MemoryQueues({
    status: (id) => this.#rows.get(id)?.status,
    claim: (worker, ids) =>
      this.#claim(
        worker,
        ids.flatMap((id) => this.#rows.get(id) ?? []),
      ),
  });

  readonly #runLane: Lane<RunChange> = {
    name: 'workflow.runs',
    gate: true,
    order: 10,
    write: async (_tx, changes) => {
      const refused = changes.map((change) => this.#refusal(change));
      for (const [index, change] of changes.entries()) if (!refused[index]) this.#apply(change);
      return refused;
    },
  };
  readonly #actionLane: Lane<() => void> = {
    name: 'workflow.actions',
    order: 20,
    write: async (_tx, actions) => {
      for (const action of actions) action();
      return undefined;
    },
  };

  /** One commit: gates first, then the other lanes; a refusal leaves all of it out. */
  readonly commit: Committer = {
    commit: async (writes) => {
      const sorted = [...writes].sort((a, b) => a.lane.order - b.lane.order);
      const results = new Map<Write, unknown>();
      for (const each of sorted) {
        const [result] = (await each.lane.write(NO_TRANSACTION, [each.item])) ?? [];
        if (result instanceof Refused) throw result.error;
        results.set(each, result);
      }
      for (const { lane, item } of sorted) lane.committed?.([item], []);
      return writes.map((each) => results.get(each));
    },
  };

  readonly operations: OperationStore = memoryOperations({
    runs: this.#rows,
    signals: this.#signals,
    subscriptions: this.#subscriptions,
  });
  readonly bulks: BulkStore = memoryBulks(
    (...search) => this.list(...search),
    (worker) => (this.#leases.get(worker) ?? 0) > performance.now(),
  );
  readonly #listeners: ((runIds: readonly string[]) => void)[] = [];
  readonly #signalLane: Lane<Signal> = {
    name: 'workflow.signals',
    order: 21,
    write: async (_tx, signals) => {
      for (const signal of signals) {
        const key = `${signal.runId}/${signal.key}`;
        const row = this.#rows.get(signal.runId);
        if (row && !ENDED.has(row.status) && !this.#signals.has(key)) {
          this.#signals.set(key, structuredClone(signal));
        }
      }
      return undefined;
    },
    committed: (signals) => {
      for (const listener of this.#listeners) listener(signals.map(({ runId }) => runId));
    },
  };

  onSignal(listener: (runIds: readonly string[]) => void): void {
    this.#listeners.push(listener);
  }

  /** For event starts: what `work` does to the runs stands when it resolves, and is taken back when it throws. */
  async transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    const tables = [this.#rows, this.#signals, this.#subscriptions] as Map<string, unknown>[];
    const before = tables.map((table) => [...table]);
    try {
      return await work(NO_TRANSACTION);
    } catch (error) {
      for (const [index, table] of tables.entries()) {
        table.clear();
        for (const [key, value] of before[index]!) table.set(key, value);
      }
      throw error;
    }
  }

  #refusal(change: RunChange): Refused | undefined {
    const row = this.#rows.get(change.id);
    if (!change.insert) {
      if (row?.epoch === change.epoch) return undefined;
      return new Refused(new AiosError('workflow.fenced', { detail: change.id }));
    }
    if (row?.epoch === change.epoch || (!row && !this.#byKey(change.workflow, change.idempotencyKey)))
      return undefined;
    return new Refused(new AiosError('workflow.exists', { detail: change.id }));
  }

  #byKey(workflow: string, key: string | null): Row | undefined {
    if (key === null) return undefined;
    return [...this.#rows.values()].find((row) => row.workflow === workflow && row.idempotencyKey === key);
  }

  #apply(change: RunChange): void {
    const { entries, seq, insert: _, ...values } = structuredClone(change);
    const before = this.#rows.get(change.id);
    const barriers = withBarrier(before?.barriers, seq, entries);
    if (before && values.status === 'running') {
      this.#rows.set(change.id, { ...before, barriers });
      return;
    }
    this.#rows.set(change.id, {
      attempt: 1,
      request: null,
      ...before,
      ...values,
      ...askedMeanwhile(before?.requested ?? null, values),
      subject: values.subject ?? before?.subject ?? null,
      outcome: values.outcome ?? before?.outcome ?? null,
      barriers,
    });
  }

  #forget(key: string): void {
    this.#signals.delete(key);
    this.#seen.delete(key);
  }

  #action(action: () => void): Write {
    return write(this.#actionLane, action);
  }

  save(change: RunChange): Write[] {
    return [write(this.#runLane, change), ...this.schedules.ended(change)];
  }

  signal(signal: Signal): Write {
    return write(this.#signalLane, signal);
  }

  consume(runId: string, keys: readonly string[]): Write[] {
    return keys.map((key) => this.#action(() => void this.#forget(`${runId}/${key}`)));
  }

  subscribe(subscription: Subscription): Write {
    const { runId, key, filterIndex } = subscription;
    return this.#action(
      () => void this.#subscriptions.set(`${runId}/${key}/${filterIndex}`, structuredClone(subscription)),
    );
  }

  unsubscribe(runId: string, keys: readonly string[]): Write[] {
    return [
      this.#action(() => {
        for (const [id, { runId: of, key }] of this.#subscriptions) {
          if (of === runId && keys.includes(key)) this.#subscriptions.delete(id);
        }
      }),
    ];
  }

  async existing(_tx: Queryable, ids: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set(ids.filter((id) => this.#rows.has(id)));
  }

  async insert(_tx: Queryable, changes: readonly RunChange[]): Promise<ReadonlySet<string>> {
    const inserted = new Set<string>();
    for (const change of changes) {
      if (this.#rows.has(change.id) || this.#byKey(change.workflow, change.idempotencyKey)) continue;
      this.#apply(change);
      inserted.add(change.id);
    }
    return inserted;
  }

  async write(tx: Queryable, writes: readonly Write[]): Promise<() => void> {
    const sorted = [...writes].sort((a, b) => a.lane.order - b.lane.order);
    for (const { lane, item } of sorted) await lane.write(tx, [item]);
    return () => {
      for (const { lane, item } of sorted) lane.committed?.([item], []);
    };
  }

  async find(id: string): Promise<StoredRun | undefined> {
    const row = this.#rows.get(id);
    return row && stored(row);
  }

  async findByKey(workflow: string, idempotencyKey: string): Promise<StoredRun | undefined> {
    const row = this.#byKey(workflow, idempotencyKey);
    return row && stored(row);
  }

  async entries(id: string): Promise<Entry[]> {
    return entriesOf(this.#rows.get(id));
  }

  /** In memory every value stands where it is. */
  async payload(): Promise<undefined> {
    return undefined;
  }

  async sweepPayloads(): Promise<number> {
    return 0;
  }

  async list(filters: RunFilters, before: string | undefined, limit: number): Promise<ListedRun[]> {
    return searchRows([...this.#rows.values()], filters, before)
      .slice(0, limit)
      .map(listed);
  }

  async count(): Promise<{ [status: string]: number }> {
    const counts: { [status: string]: number } = {};
    for (const { status } of this.#rows.values()) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  }

  async claim(worker: string, ids: readonly string[]): Promise<ClaimedRun[]> {
    return this.#claim(
      worker,
      ids.flatMap((id) => this.#rows.get(id) ?? []).filter((row) => row.status === 'waiting'),
    );
  }

  async takeAgain(worker: string, ids: readonly string[]): Promise<ClaimedRun[]> {
    return this.#claim(
      worker,
      ids.flatMap((id) => this.#rows.get(id) ?? []).filter((row) => row.worker === worker),
    );
  }

  async heldBy(worker: string): Promise<string[]> {
    return [...this.#rows.values()].filter((row) => row.worker === worker).map(({ id }) => id);
  }

  async takeOver(worker: string, limit: number): Promise<ClaimedRun[]> {
    const now = performance.now();
    const dead = [...this.#rows.values()].filter(
      (row) => row.worker !== null && (this.#leases.get(row.worker) ?? 0) <= now,
    );
    return this.#claim(worker, dead.slice(0, limit));
  }

  #claim(worker: string, rows: readonly Row[]): ClaimedRun[] {
    return rows.map((row): ClaimedRun => {
      const claimed: Row = { ...row, worker, epoch: row.epoch + 1, status: 'running', wakeAtMs: null };
      this.#rows.set(row.id, claimed);
      return {
        ...stored(claimed),
        entries: entriesOf(claimed),
        nextSeq: claimed.barriers.seq + 1,
        signals: this.#offeredSignals(row.id),
      };
    });
  }

  #offeredSignals(runId: string): Signal[] {
    for (const [key, signal] of this.#signals) if (signal.runId === runId) this.#seen.add(key);
    return this.#signalsOf(runId);
  }

  #signalsOf(runId: string): Signal[] {
    return [...this.#signals.values()]
      .filter((signal) => signal.runId === runId)
      .map((signal) => structuredClone(signal));
  }

  async signalsOf(runId: string): Promise<Signal[]> {
    return this.#signalsOf(runId);
  }

  async offered(worker: string, runId: string, keys: readonly string[]): Promise<void> {
    if (this.#rows.get(runId)?.worker !== worker) return;
    for (const [id, signal] of this.#signals)
      if (signal.runId === runId && keys.includes(signal.key)) this.#seen.add(id);
  }

  async renew(worker: string, leaseMs: number): Promise<boolean> {
    const alive = (this.#leases.get(worker) ?? 0) > performance.now();
    this.#leases.set(worker, performance.now() + leaseMs);
    return alive;
  }

  async leave(worker: string): Promise<void> {
    this.#leases.delete(worker);
  }

  async due(nowMs: number, limit: number): Promise<string[]> {
    return this.#waitingByDue()
      .filter(({ wakeAtMs }) => wakeAtMs! <= nowMs)
      .slice(0, limit)
      .map(({ id }) => id);
  }

  async nextDueMs(): Promise<number | undefined> {
    const times = [this.#waitingByDue()[0]?.wakeAtMs, this.schedules.nextLookMs].filter((ms) => ms != null);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  #waitingByDue(): Row[] {
    return [...this.#rows.values()]
      .filter((row) => row.status === 'waiting' && row.wakeAtMs !== null)
      .sort((a, b) => a.wakeAtMs! - b.wakeAtMs!);
  }

  async signaled(worker: string, limit: number): Promise<string[]> {
    const fresh = [...this.#signals].filter(([key]) => !this.#seen.has(key));
    const ids = new Set(fresh.map(([, { runId }]) => runId));
    const wakes = (row: Row | undefined) => row?.status === 'waiting' || row?.worker === worker;
    return [...ids].filter((id) => wakes(this.#rows.get(id))).slice(0, limit);
  }

  async requested(worker: string): Promise<{ id: string; requested: 'cancel' | 'pause' }[]> {
    return [...this.#rows.values()].flatMap((row) =>
      row.worker === worker && row.requested ? [{ id: row.id, requested: row.requested }] : [],
    );
  }

  async subscriptions(_tx: Queryable, types: readonly string[]): Promise<Subscription[]> {
    return [...this.#subscriptions.values()].filter(({ type }) => types.includes(type));
  }

  async subscribedTypes(): Promise<string[]> {
    return [...new Set([...this.#subscriptions.values()].map(({ type }) => type))];
  }
}
