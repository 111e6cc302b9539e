import type { LoggedEvent } from '../kernel/cloudevent.ts';
import type { AiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Changes } from '../store/changes.ts';
import type { Database, Queryable } from '../store/database.ts';
import type { Definitions } from '../store/definitions.ts';
import type { EventLog } from './log.ts';

/** What came of handing events over. */
export interface Delivery {
  /** Events that are to come again: of each partition the last ones. */
  readonly undone: readonly LoggedEvent[];
  /** Writes that are committed with the group's new place. `passed` are the events that it moves over: not those of a partition that was lost meanwhile, whose next owner hands them over again. */
  write(tx: Queryable, passed: readonly LoggedEvent[]): Promise<unknown>;
}

/** Takes what is to be undone in memory when a batch is not committed. */
export type OnRollback = (undo: () => void) => void;

/** Who reads the log, and what it does with a batch. */
export interface ConsumerDefinition {
  /** Each group sees every event once; its offsets are kept under this name. */
  readonly group: string;
  /** The event types wanted; all when left out. The offset moves over the others. */
  readonly types?: readonly string[] | (() => readonly string[] | undefined);
  /** The event types that it is woken for at once, where it takes others too; the others wait for its next look. */
  readonly wakesOn?: () => readonly string[] | undefined;
  /** What decides which events it wants: a batch that was worked on under older definitions than its events were sent under is worked on again. */
  readonly definitions?: Pick<Definitions, 'revision' | 'reload'>;
  /** Its handler may be given the same events again, and does right by them: it may be replayed into. */
  readonly isRepeatable?: boolean;
  /** The offset of each partition where the group ends; it has none when left out. */
  readonly until?: readonly number[];
  /** Where a group that is new begins. */
  readonly from?: 'earliest' | 'latest';
  /** Milliseconds from one batch to the next while nobody waits; `consumerPauseMs` when left out. */
  readonly pauseMs?: () => number;
  /** False where this process leaves the group's events to others: it holds none of its partitions. */
  readonly takesPart?: boolean;
  /** Events of one batch at most; `consumerBatchMax` when left out. */
  readonly batchMax?: number;
  /** How many events may be taken now; asked before each batch. At 0 the group waits until it is woken. */
  readonly room?: () => number;
  /**
   * Makes the group a sink: events are handed over outside any transaction, before its place in the log moves, and may come again after a crash in
   * between; `handle` is not called then.
   */
  deliver?(events: LoggedEvent[]): Promise<Delivery>;
  /**
   * Works on events in the order of their partitions, writing through `tx`: its writes and the group's offsets are committed together.
   * A function that it returns runs after that commit; those that it gives to `onRollback` run where there is none, whether the handler or the commit
   * failed, before the events come again. A commit whose answer was lost counts as none.
   */
  handle(events: LoggedEvent[], tx: Queryable, onRollback: OnRollback): Promise<(() => void) | undefined>;
}

export interface ConsumerDependencies {
  db: Database;
  log: EventLog;
  changes?: Changes | undefined;
  limits: Pick<
    Limits,
    | 'consumerBatchMax'
    | 'consumerPauseMs'
    | 'consumerPollMs'
    | 'consumerAttemptsMax'
    | 'consumerLeaseMs'
    | 'pageBytesMax'
  >;
  onError?: (group: string, error: AiosError) => void;
}
