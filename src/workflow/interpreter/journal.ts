import type { Json, JsonObject } from '../../kernel/json.ts';
import type { FlowError } from '../catalog/flow-errors.ts';
import type { Primitive } from '../catalog/primitive.ts';
import type { EventFilter, FlowReference } from '../language/flow.ts';
import type { Branch } from './branch.ts';
import type { StepListener } from './telling.ts';

/** One filter of a `listen` step, with the values that its expressions had when it began. */
export interface ListenFilter {
  readonly filter: EventFilter;
  /** Attribute values expected, in the order of `filter.attributes`. */
  readonly attributes: readonly Json[];
  /** Correlation values expected, in the order of those of `filter.correlate` that expect one. */
  readonly correlate: readonly Json[];
}

/** An event that a `listen` step has taken. */
export interface TakenEvent {
  /** Which filter it fits: an event comes once for each. */
  readonly filter: number;
  /** Where it stands in the log; the same for the same event. */
  readonly place: string;
  readonly event: JsonObject;
}

/** Messages of a subscription, one by one. */
export interface MessageStream {
  /** The n-th message, from 0; undefined when the subscription has ended by itself. Rejects with the FlowError that ended it. */
  next(n: number): Promise<Json | undefined>;
  /** No more are wanted. */
  close(): void;
  /** Records what they came to. */
  consumed(outputs: Json[]): void;
}

/**
 * What the interpreter does with the world: everything that happens has a key, its result is recorded under it, and a replay
 * gets the recorded result. Keys are step ids with loop indexes; the interpreter gives each key once per run.
 */
export interface Journal {
  /** The whole run. */
  readonly root: Branch;
  /** Of a flow that tells of its steps. */
  readonly listener: StepListener | undefined;
  /** Calls a primitive. Rejects with the step's FlowError, recorded too. */
  step(key: string, primitive: Primitive, input: JsonObject, branch: Branch): Promise<Json>;
  /** Appends an event to the log, together with what else is committed; answers with the event. */
  emit(key: string, event: JsonObject, branch: Branch): Json | Promise<Json>;
  /** Resolves when business time has passed `dueMs`; `long` ones let the run leave memory. */
  timer(key: string, dueMs: number, branch: Branch): Promise<void>;
  /** From now on events that fit are kept for this step; answers with how to read what the step came to, when that is recorded. */
  subscribe(key: string, filters: readonly ListenFilter[], branch: Branch): (() => Promise<Json>) | undefined;
  /** The n-th event for the step, from 0, in the order of the log. */
  nextEvent(key: string, n: number, branch: Branch): Promise<TakenEvent>;
  /** The step wants no more events: records what it came to. `keys` are the correlations that its events had in common. */
  listened(key: string, output: Json, keys: () => JsonObject): void;
  /** A subscription that a call holds open, so that its messages are iterated while they come. */
  messages(key: string, primitive: Primitive, input: JsonObject, branch: Branch): MessageStream;
  child(key: string, workflow: FlowReference, input: Json, wait: boolean, branch: Branch): Promise<Json>;
  /** Runs the branches until one resolves or rejects; which one is recorded. The others are abandoned. */
  race(
    key: string,
    parent: Branch,
    branches: readonly ((branch: Branch) => Promise<Json>)[],
  ): Promise<{ winner: number; value: Json }>;
  /** Runs all branches; the first that rejects abandons the others, and is recorded. */
  all(key: string, parent: Branch, branches: readonly ((branch: Branch) => Promise<Json>)[]): Promise<Json[]>;
  /** Business time at the first asking. */
  now(key: string): number;
  /** At least 0, less than 1; drawn at the first asking. */
  random(key: string): number;
  /** What the flow has exported so far. */
  exported(context: Json): void;
  /** The input that an operator gave the step when the run went back to it. */
  edited(key: string): Json | undefined;
  /** The branch in which a canceled run cleans up; undefined when the run is not canceled, or not yet. */
  cleanUp(): Branch | undefined;
  /** A handler of cancellation failed. */
  cleanUpFailed(error: FlowError): void;
  /** Notes that a step without a result of its own was passed, for those who look at the run. Throws Abandoned in a branch that was given up. */
  trace(key: string, branch: Branch, choice?: string): void;
}
