import type { Write } from '../../store/lane.ts';
import type { RunFilters } from './stored-run.ts';

/** What can be done to many runs at once. */
export type BulkAction = 'cancel' | 'pause' | 'resume' | 'retry' | 'delete';

/** `prepared` has counted and kept its runs, and waits for the one who asked to say yes. */
type BulkStatus = 'prepared' | 'running' | 'completed';

/** One action on the runs that a filter named when it was prepared. Times are business time, milliseconds. */
export interface BulkOperation {
  readonly id: string;
  readonly action: BulkAction;
  readonly filters: RunFilters;
  /** For `retry`: the step that each goes back to, or its start; without either where it failed. */
  readonly step: string | null;
  readonly fromStart: boolean;
  readonly by: { readonly kind: string; readonly id: string };
  readonly status: BulkStatus;
  readonly count: number;
  /** SHA-256 over the ids, each followed by a line feed, in their order. */
  readonly idsDigest: string;
  /** Whoever starts it names this: it stands for the action, the filter, the count and the ids. */
  readonly token: string;
  readonly createdAtMs: number;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
}

/** How far it has come: `skipped` are runs that did not take it, by the code of the error that they answered with. */
export interface BulkProgress extends BulkOperation {
  readonly done: number;
  readonly skipped: { readonly [code: string]: number };
}

/** The result of one run: `done`, or the code of an error. */
export interface BulkOutcome {
  readonly bulkId: string;
  readonly runId: string;
  readonly outcome: string;
  /** Of this try: the same one again is success, another one is refused once there is an outcome. */
  readonly mark: string;
}

/** Where bulk operations are kept. */
export interface BulkStore {
  /** Ids of the runs that a filter names, in their order, at most so many. */
  idsOf(filters: RunFilters, limit: number): Promise<string[]>;
  /** Keeps it with its runs; forgets those that were prepared over an hour ago and never started. */
  prepare(operation: BulkOperation, runIds: readonly string[]): Promise<void>;
  /** A gate: refuses with `workflow.bulk_stale` when it is not prepared any more. */
  start(id: string, atMs: number): Write;
  /** A gate: refuses with `store.conflict` when the run has an outcome from somebody else. */
  record(outcome: BulkOutcome): Write;
  /** The next runs of an operation under way that no other living worker goes through. */
  take(worker: string, limit: number): Promise<{ operation: BulkOperation; runIds: string[] } | undefined>;
  complete(id: string, atMs: number): Promise<void>;
  find(id: string): Promise<BulkProgress | undefined>;
  /** The newest first. */
  list(limit: number): Promise<BulkProgress[]>;
}
