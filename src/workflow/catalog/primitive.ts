import type { LoggedEvent } from '../../kernel/cloudevent.ts';
import type { ErrorCode } from '../../kernel/error-codes.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Write } from '../../store/lane.ts';

/** What a step's result was made with: goes to the lineage of the run. */
export interface Pin {
  kind:
    | 'contract'
    | 'feature-view'
    | 'feature-service'
    | 'model'
    | 'decision'
    | 'workflow'
    | 'connector'
    | 'queue';
  name: string;
  version: string;
  digest?: string;
}

/** Why an answer is not that of the version which was asked for, and what it is instead. */
export interface Degraded {
  readonly model: string;
  readonly version: number;
  readonly reason: ErrorCode;
  readonly by: 'version' | 'model' | 'default';
}

/** The inference that a flow answers in memory: the models that it asks in turn are asked on its behalf. */
export interface Behalf {
  readonly caller: { readonly kind: string; readonly id: string } | undefined;
  /** What a call of a step has of the inference: its time, its priority, its key. */
  call(stepKey: string): {
    readonly deadlineMs: number;
    readonly depth: number;
    readonly caller: Behalf['caller'];
    readonly priority: number | undefined;
    readonly stickyKey: string | undefined;
    readonly isCopy: boolean | undefined;
    readonly step: { runId: string; stepKey: string } | undefined;
  };
  /** What a model answered counts for the answer of the whole. */
  answered(answer: {
    computeUs: number;
    costMicroUsd: number;
    degraded?: Degraded | undefined;
    parameters?: Readonly<Record<string, string | boolean>> | undefined;
  }): void;
}

/** What a primitive may know of the run that calls it. */
export interface StepContext {
  readonly runId: string;
  readonly stepKey: string;
  /** `runId/stepKey` without attempts: the same when this step is redone after a crash, and when a `try` around it tries again. */
  readonly idempotencyKey: string;
  readonly workflow: string;
  /** 1, and one more each time the run went back to an earlier step: what a step opens is another thing then. */
  readonly attempt: number;
  /** What the run was made with so far: features and models of the steps before, and its flow, each with its version and digest. */
  readonly madeWith: readonly Pin[];
  /** Business time in milliseconds: that of the event in a replay. */
  readonly nowMs: number;
  /** The person who started the run, by their key; nothing where an event, a schedule or an inference did. */
  readonly startedBy?: string | undefined;
  /** The event that started the run. */
  readonly event: LoggedEvent | undefined;
  /** Aborted on cancel, timeout, or when the run's lease is lost. */
  readonly signal: AbortSignal;
  /** Set where there is no run: the flow answers an inference in memory. */
  readonly behalf?: Behalf | undefined;
}

/** A step's result; its writes are committed together with the journal entry that records it. */
interface StepResult {
  output: Json;
  writes?: readonly Write[] | undefined;
  pins?: readonly Pin[] | undefined;
}

interface PrimitiveBase {
  readonly name: string;
  readonly version: number;
  /** JSON Schema (draft 2020-12) of `with`. */
  readonly inputSchema: JsonObject;
}

/**
 * A function of the specification's `default` catalog, called as `call: name:version@default`. `pure` changes nothing outside and is
 * cheap to redo; `costly` changes nothing outside but is dear; `effect` changes the world: everything its input came from is
 * committed first, and it may run again after a crash, under the same idempotency key.
 */
export interface CallPrimitive extends PrimitiveBase {
  readonly kind: 'pure' | 'costly' | 'effect';
  run(input: JsonObject, context: StepContext): Promise<StepResult> | StepResult;
}

/** What a waiting step waits for: the signal sent to its run and key, or the deadline. */
interface Opened {
  deadlineMs?: number | undefined;
  /** Kept in the journal and handed to `complete` and `cancel`. */
  state: Json;
  writes?: readonly Write[] | undefined;
  pins?: readonly Pin[] | undefined;
}

export type WaitOutcome = { kind: 'signal'; payload: Json } | { kind: 'deadline' };

/** A primitive that opens something (a person's task) and waits, without memory or slot, until it is answered. */
export interface WaitPrimitive extends PrimitiveBase {
  readonly kind: 'wait';
  /** Where its answer is given, when that is nowhere but there: no operator's signal to the run answers it, who tries is told this. */
  readonly answeredBy?: string;
  /** What is waited for; or the result, when there is nothing to wait for after all. */
  open(input: JsonObject, context: StepContext): Promise<Opened | StepResult> | Opened | StepResult;
  complete(
    outcome: WaitOutcome,
    state: Json,
    input: JsonObject,
    context: StepContext,
  ): Promise<StepResult> | StepResult;
  /** Writes that close what was opened when the run is cancelled. */
  cancel(state: Json): readonly Write[];
}

export type Primitive = CallPrimitive | WaitPrimitive;

/** The primitives that flows may call, by `name:version`. */
export type Catalog = ReadonlyMap<string, Primitive>;

/** @example catalogOf([featuresPrimitive(features), inferPrimitive(serving)]) */
export function catalogOf(primitives: readonly Primitive[]): Catalog {
  return new Map(primitives.map((primitive) => [`${primitive.name}:${primitive.version}`, primitive]));
}
