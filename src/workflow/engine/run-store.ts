import type { LoggedEvent } from '../../kernel/cloudevent.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Queryable } from '../../store/database.ts';
import type { Committer, Write } from '../../store/group-commit.ts';
import type { FlowErrorBody } from '../catalog/flow-errors.ts';
import type { Pin } from '../catalog/primitive.ts';
import type { AttributeFilter } from './attributes.ts';
import type { BulkStore } from './bulk-store.ts';
import type { OperationStore } from './operation-store.ts';
import type { QueuePlace, RunQueueStore } from './queue-store.ts';
import type { ScheduleStore } from './schedule-store.ts';

/** `pending` runs wait in a queue; they, `paused` and `waiting` ones are in no memory; `completed`, `failed` and `canceled` ones have ended. */
export type RunStatus = 'pending' | 'running' | 'waiting' | 'paused' | 'completed' | 'failed' | 'canceled';

export const ENDED: ReadonlySet<RunStatus> = new Set(['completed', 'failed', 'canceled']);

/** One thing that happened in a run, under its key. Short names: there is one for each step of each run. */
export interface Entry {
  /** The key: the step's id with its loop indexes. */
  k: string;
  /** Business time at its start, milliseconds. */
  s?: number;
  /** How long it took, milliseconds: measured for steps, of business time for waits. */
  d?: number;
  /** Its output, or the state of what a waiting step opened. */
  o?: Json;
  /** The error it ended with instead. */
  e?: FlowErrorBody;
  /** The input of a step that acted on the world or failed. */
  i?: Json;
  /** A number: a time asked for, a random draw, the winner of a race, a deadline. */
  n?: number;
  /** A passed step without a result of its own; of a `switch`, the case taken. */
  c?: string;
  /** What the result was made with. */
  p?: readonly Pin[];
  /** Instead of `o` and `i`: values that are too large to stand here. */
  or?: PayloadRef;
  ir?: PayloadRef;
}

/** A value that lies apart (`payloadInlineBytesMax`), by the SHA-256 of its JSON text in hex. */
export interface PayloadRef {
  readonly digest: string;
  readonly bytes: number;
}

/** Where a run came from: kept until its end, so that it can be replayed. */
export interface Origin {
  input: Json;
  event?: LoggedEvent;
  /** The key of the person who started it, or the run that it is a child of; nothing for one that an event or a schedule started. */
  startedBy?: string;
  /** The due time of the schedule that started it, business time. */
  scheduledMs?: number;
  /** The run and step that wait for this one. */
  parent?: { runId: string; stepKey: string };
  /** The input is not the one that the run was started with, nor its event: an operator gave it. */
  edited?: true;
  /** The run whose journal this one began with, up to a step. */
  fork?: { runId: string; attempt: number; step: string };
  /** Its place in a queue; it keeps it until its end. */
  queue?: QueuePlace;
}

/** The input of a run that an event started: the events, as the specification has it (dsl.md, "Schedule"). */
export function eventInput({ event }: LoggedEvent): Json {
  return [event as unknown as JsonObject];
}

export interface RunResult {
  output?: Json;
  error?: FlowErrorBody;
}

/** A row of runs as it is written: whole when it is new, otherwise what changes. */
export interface RunChange {
  readonly insert: boolean;
  readonly id: string;
  readonly workflow: string;
  readonly version: number;
  readonly epoch: number;
  readonly status: RunStatus;
  /** Who holds the run; null when it is in no memory. */
  readonly worker: string | null;
  /** Business time at which a waiting run is to be looked at. */
  readonly wakeAtMs: number | null;
  /** The name of the primitive that a waiting run waits in. */
  readonly waitingFor: string | null;
  readonly origin: Origin;
  readonly idempotencyKey: string | null;
  readonly startedAtMs: number;
  readonly updatedAtMs: number;
  readonly result: RunResult | null;
  readonly subject: string | null;
  readonly outcome: string | null;
  /** Entries of this barrier; a new row holds its first ones itself. */
  readonly entries: readonly Entry[];
  /** The barrier's number: 0 is in the row, later ones in the journal. */
  readonly seq: number;
}

export interface Signal {
  runId: string;
  key: string;
  payload: Json;
}

/** A `listen` step that waits: which events go to it, under which signal key. */
export interface Subscription {
  runId: string;
  key: string;
  type: string;
  /** The step in the flow, so that the filter's expressions are found. */
  workflow: string;
  version: number;
  stepId: string;
  filterIndex: number;
  attributes: readonly Json[];
  correlate: readonly Json[];
}

/** A run as a list shows it: without what may be large. */
export interface ListedRun {
  readonly id: string;
  readonly workflow: string;
  readonly version: number;
  readonly epoch: number;
  readonly status: RunStatus;
  readonly requested: 'cancel' | 'pause' | null;
  /** 1, and one more each time the run went back to an earlier step. */
  readonly attempt: number;
  /** The id of the last request of an operator. */
  readonly request: string | null;
  readonly waitingFor: string | null;
  readonly wakeAtMs: number | null;
  readonly idempotencyKey: string | null;
  readonly startedAtMs: number;
  readonly updatedAtMs: number;
  readonly subject: string | null;
  readonly outcome: string | null;
}

export interface StoredRun extends ListedRun {
  readonly origin: Origin;
  readonly result: RunResult | null;
}

/** A run to go on with: its entries in order, the number of the next barrier, and the signals that wait for it. */
export interface ClaimedRun extends StoredRun {
  readonly entries: readonly Entry[];
  readonly nextSeq: number;
  readonly signals: readonly Signal[];
}

export interface RunFilters {
  workflow?: string;
  version?: number;
  status?: RunStatus;
  /** One of them. */
  statuses?: readonly RunStatus[];
  ids?: readonly string[];
  /** All of them hold. */
  attributes?: readonly AttributeFilter[];
  /** Business time of the start, milliseconds. */
  sinceMs?: number;
  untilMs?: number;
  /** Part of the id, subject or outcome. */
  text?: string;
}

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
