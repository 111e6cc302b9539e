import type { LoggedEvent } from '../../kernel/cloudevent.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { FlowErrorBody } from '../catalog/flow-errors.ts';
import type { Pin } from '../catalog/primitive.ts';
import type { AttributeFilter } from './attributes.ts';

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

/** A run's place in a queue. It stays with the run until its end: after a wait the run comes back to it. */
export interface QueuePlace {
  readonly name: string;
  /** Runs of one line go in the order of their ranks; the lines take turns. `''` where keys take none. */
  readonly line: string;
  /**
   * Milliseconds: the business time at which it began to wait, less its head start by priority. Who waits longer gains on who came with a higher
   * priority by the clock alone, so the order never changes and nothing starves.
   */
  readonly rank: number;
  /** It keeps its slot while it waits or is paused. */
  readonly holds?: true;
}
