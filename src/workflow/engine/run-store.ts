import type { Json } from '../../kernel/json.ts';
import type { Queryable } from '../../store/database.ts';
import type { Committer } from '../../store/group-commit.ts';
import type { Write } from '../../store/lane.ts';
import type { BulkStore } from './bulk-store.ts';
import type { OperationStore } from './operation-store.ts';
import type { RunQueueStore } from './queue-store.ts';
import type { ScheduleStore } from './schedule-store.ts';
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

/**
 * Where runs are kept. `save`, `signal`, `subscribe`, … are writes for a commit; `save` is a gate: it refuses with
 * `workflow.fenced` when the run's epoch is no longer the one given, with `workflow.exists` when a new run is not the first.
 */
export interface RunStore {
  readonly commit: Committer;
  readonly operations: OperationStore;
  readonly schedules: ScheduleStore;
  readonly bulks: BulkStore;
  readonly queues: RunQueueStore;
  save(change: RunChange): Write[];
  signal(signal: Signal): Write;
  consume(runId: string, keys: readonly string[]): Write[];
  subscribe(subscription: Subscription): Write;
  unsubscribe(runId: string, keys: readonly string[]): Write[];
  /** Those of the ids that there are runs of, as a transaction of others sees them. */
  existing(tx: Queryable, ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** Inserts new runs inside a transaction of others; answers with the ids of those that did not exist. */
  insert(tx: Queryable, changes: readonly RunChange[]): Promise<ReadonlySet<string>>;
  /** Writes of other modules inside the same transaction, in the order of their lanes; call what it answers with after the commit. */
  write(tx: Queryable, writes: readonly Write[]): Promise<() => void>;
  /** Called with the runs that got a signal from this process, after the commit. */
  onSignal(listener: (runIds: readonly string[]) => void): void;

  find(id: string): Promise<StoredRun | undefined>;
  findByKey(workflow: string, idempotencyKey: string): Promise<StoredRun | undefined>;
  /** In order; large values are references. */
  entries(id: string): Promise<Entry[]>;
  /** A large value that this run refers to. */
  payload(runId: string, digest: string): Promise<Json | undefined>;
  /** Deletes large values that no run refers to any more; answers with how many. */
  sweepPayloads(): Promise<number>;
  list(filters: RunFilters, before: string | undefined, limit: number): Promise<ListedRun[]>;
  count(): Promise<{ [status: string]: number }>;

  /** Takes those of the runs that are waiting; their epoch grows. */
  claim(worker: string, ids: readonly string[]): Promise<ClaimedRun[]>;
  /** Takes runs again that are this worker's own and that it let go, under a new epoch. */
  takeAgain(worker: string, ids: readonly string[]): Promise<ClaimedRun[]>;
  /** Ids of the runs that are a worker's by their rows. */
  heldBy(worker: string): Promise<string[]>;
  /** Takes runs of workers whose lease has run out. */
  takeOver(worker: string, limit: number): Promise<ClaimedRun[]>;
  /** Renews the lease of all runs of a worker; false when it had run out, or there was none: one that died long ago is forgotten. */
  renew(worker: string, leaseMs: number): Promise<boolean>;
  /** Ends the lease at once: what the worker still holds can be taken over. */
  leave(worker: string): Promise<void>;
  /** Ids of waiting runs that are due at this business time, the earliest first. */
  due(nowMs: number, limit: number): Promise<string[]>;
  /** The earliest time at which a waiting run is due or a schedule is to be looked at. */
  nextDueMs(): Promise<number | undefined>;
  /** Ids of runs that have a signal which no worker has seen: of those that wait, and of those that this worker holds. */
  signaled(worker: string, limit: number): Promise<string[]>;
  /** The signals of a run. Until they are `offered` they wake it again: it may leave memory before it gets them. */
  signalsOf(runId: string): Promise<Signal[]>;
  /** The run has these in memory, for a step to come: they count as seen, if this worker still holds it. */
  offered(worker: string, runId: string, keys: readonly string[]): Promise<void>;
  /** Runs of this worker of which something was asked. */
  requested(worker: string): Promise<{ id: string; requested: 'cancel' | 'pause' }[]>;
  /** Subscriptions to these types; none can come into being between this and the end of the transaction. */
  subscriptions(tx: Queryable, types: readonly string[]): Promise<Subscription[]>;
  subscribedTypes(): Promise<string[]>;
}
