import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Validator } from '../../kernel/schema.ts';
import type { Primitive } from '../catalog/primitive.ts';
import type { Schedule } from './schedule.ts';
import type { Scope, Template } from './templates.ts';

/**
 * A flow compiled from its definition: a tree of steps with compiled expressions, made once per version. Nothing in it belongs
 * to a run. The steps are the tasks of the Open Workflow Specification (dsl-reference.md, "Task").
 */
export interface Flow {
  readonly name: string;
  readonly namespace: string;
  /** `document.version` as the author wrote it; AIOS's own version is a number given by the store. */
  readonly semver: string;
  /** As it was applied: `$workflow.definition`. */
  readonly definition: JsonObject;
  readonly steps: readonly StepNode[];
  readonly inputSchema: Validator | undefined;
  readonly inputFrom: Template | undefined;
  readonly outputAs: Template | undefined;
  readonly outputSchema: Validator | undefined;
  readonly timeoutMs: TimeSpan | undefined;
  /** `schedule.on`: the events that start a run, one run an event. */
  readonly startsOn: readonly EventFilter[];
  /** `schedule.every`, `.cron` or `.after`. */
  readonly schedule: Schedule | undefined;
  /** Types named by the `listen` steps. */
  readonly listensFor: readonly string[];
  /** `document.metadata.aios.lifecycle`: what is told by the specification's lifecycle events; undefined for nothing. */
  readonly lifecycle: Lifecycle | undefined;
  /** An expression asks for `$task.startedAt`: only then are the times at which steps begin taken down. */
  readonly timesSteps: boolean;
  /** `document.metadata.aios`: what the lists of runs show. */
  readonly subject: Template | undefined;
  readonly outcome: Template | undefined;
  /** `document.metadata.aios.attributes`: what its runs are found by. */
  readonly attributes: readonly FlowAttribute[];
  /** `document.metadata.aios.retention`: how long an ended run is kept, milliseconds; undefined takes the limit `runRetentionMs`. */
  readonly retentionMs: number | undefined;
  /** `document.metadata.aios.queue`: where its runs wait before they begin. */
  readonly queue: FlowQueue | undefined;
}

/** Which lifecycle events a flow publishes: those of its runs, and of their steps; `status-changed` beside them, which the specification leaves optional. */
export interface Lifecycle {
  readonly steps: boolean;
  readonly statusChanged: boolean;
}

export type AttributeType = 'text' | 'number' | 'boolean' | 'time';

/** An attribute of runs; without a type it has that of its value. */
export interface FlowAttribute {
  readonly name: string;
  readonly type: AttributeType | undefined;
  readonly value: Template;
}

/** The queue of a flow's runs; key and priority are of the run's input (and event). */
export interface FlowQueue {
  readonly name: string;
  /** `''` when there is none. */
  key(scope: Scope): string;
  /** A whole number from 0 to 100. */
  priority(scope: Scope): number;
}

/** A duration in milliseconds, or the expression that gives it (dsl-reference.md, "Duration"). */
export type TimeSpan = number | ((scope: Scope) => number);

/** Where a flow goes after a step: the spec's flow directive, with the name resolved to a place in the list. */
export type Then = 'continue' | 'exit' | 'end' | { readonly index: number };

interface StepBase {
  readonly name: string;
  /** The step's path in the definition, names joined by `/`: a run's key without its loop indexes. */
  readonly id: string;
  /** Where it stands in the definition, a JSON Pointer: `$task.reference`, and the `instance` of errors (dsl-reference.md, "Error"). */
  readonly pointer: string;
  /** As it was applied: `$task.definition`. */
  readonly definition: JsonObject;
  readonly when: ((scope: Scope) => boolean) | undefined;
  readonly inputSchema: Validator | undefined;
  readonly inputFrom: Template | undefined;
  readonly outputAs: Template | undefined;
  readonly outputSchema: Validator | undefined;
  readonly exportAs: Template | undefined;
  readonly timeoutMs: TimeSpan | undefined;
  readonly next: Then;
  readonly exportSchema: Validator | undefined;
  /** Those of `use.extensions` that extend steps of this kind; none where there are none, and in extensions themselves. */
  readonly extensions: readonly ExtensionNode[] | undefined;
}

export interface ExtensionNode {
  readonly name: string;
  readonly when: ((scope: Scope) => boolean) | undefined;
  readonly before: readonly StepNode[];
  readonly after: readonly StepNode[];
}

/** A flow that another one runs, as its `run.workflow` names it. */
export interface FlowReference {
  readonly name: string;
  readonly namespace?: string;
  /** Of the document; the newest definition when absent or `latest`. */
  readonly version?: string;
}

export type StepNode = StepBase &
  (
    | {
        readonly type: 'call';
        readonly primitive: Primitive;
        readonly with: Template;
        readonly validate: Validator | undefined;
        /** Nobody waits for it: the output is the input of the step (dsl-reference.md, "Run", `await`). */
        readonly passes?: boolean;
        /** Members that stay the flow's own when an operator gives other arguments: those of secrets, and where they are sent. */
        readonly pinned?: readonly string[] | undefined;
        /** Of a subscription: its messages are iterated while they come; `isOver` is asked after each, with the outputs so far. */
        readonly foreach?: (ForEachItem & { isOver(scope: Scope): boolean }) | undefined;
      }
    | { readonly type: 'set'; readonly value: Template }
    | {
        readonly type: 'do';
        readonly steps: readonly StepNode[];
        /** Of a function that is called: its input. */
        readonly with: Template | undefined;
      }
    | { readonly type: 'emit'; readonly event: Template }
    | ForNode
    | { readonly type: 'fork'; readonly branches: readonly StepNode[]; readonly compete: boolean }
    | ListenNode
    | { readonly type: 'raise'; readonly error: Template }
    | {
        readonly type: 'run';
        readonly workflow: FlowReference;
        readonly input: Template;
        readonly wait: boolean;
      }
    | { readonly type: 'switch'; readonly cases: readonly SwitchCase[] }
    | TryNode
    | { readonly type: 'wait'; readonly durationMs: TimeSpan }
  );

export interface ForNode {
  readonly type: 'for';
  readonly each: string;
  readonly at: string;
  readonly in: Template;
  readonly while: ((scope: Scope) => boolean) | undefined;
  readonly steps: readonly StepNode[];
}

export interface SwitchCase {
  readonly name: string;
  readonly when: ((scope: Scope) => boolean) | undefined;
  readonly next: Then;
}

export interface ListenNode {
  readonly type: 'listen';
  readonly mode: ConsumptionMode;
  readonly filters: readonly EventFilter[];
  readonly read: 'data' | 'envelope' | 'raw';
  /** When `any` stops to listen; without it, the first event is the last. */
  readonly until: Until | undefined;
  readonly foreach: ForEachItem | undefined;
}

export type ConsumptionMode = 'one' | 'any' | 'all';

/** A condition on the events taken so far, or further events, which count for nothing else. */
export interface Until {
  readonly condition: ((scope: Scope) => boolean) | undefined;
  readonly mode: ConsumptionMode;
  readonly filters: readonly EventFilter[];
}

export interface ForEachItem {
  readonly item: string;
  readonly at: string;
  readonly steps: readonly StepNode[];
  readonly outputAs: Template | undefined;
  readonly outputSchema: Validator | undefined;
  readonly exportAs: Template | undefined;
  readonly exportSchema: Validator | undefined;
}

/** The type of a filter that names none. */
export const ANY_TYPE = '*';

/** Which events are meant: attributes compare as values; `correlate` compares what `from` takes out of the event. */
export interface EventFilter {
  readonly type: string;
  /** `with.data`, about the event's own data. */
  readonly data: Template | undefined;
  /** Other attributes of `with`, each a template evaluated in the scope of the step. */
  readonly attributes: readonly {
    readonly name: string;
    readonly value: Template;
    /** A regular expression, which the whole attribute has to fit. */
    readonly pattern: RegExp | undefined;
  }[];
  /** Without `expect` the first event of the step decides what the others have to have under the same name. */
  readonly correlate: readonly {
    readonly name: string;
    readonly from: Template;
    readonly expect: Template | undefined;
  }[];
}

export interface TryNode {
  readonly type: 'try';
  readonly steps: readonly StepNode[];
  readonly filter: JsonObject | undefined;
  readonly as: string;
  readonly catchWhen: ((scope: Scope) => boolean) | undefined;
  readonly catchExceptWhen: ((scope: Scope) => boolean) | undefined;
  readonly retry: RetryPolicy | undefined;
  readonly catchSteps: readonly StepNode[];
  readonly catchNext: Then | undefined;
}

export interface RetryPolicy {
  readonly when: ((scope: Scope) => boolean) | undefined;
  readonly exceptWhen: ((scope: Scope) => boolean) | undefined;
  readonly delayMs: number;
  readonly backoff: 'constant' | 'linear' | 'exponential';
  /** What a linear back-off adds and an exponential one multiplies by. */
  readonly incrementMs: number;
  readonly multiplier: number;
  readonly attemptsMax: number;
  readonly attemptMs: number | undefined;
  readonly durationMs: number | undefined;
  readonly jitterMs: readonly [from: number, to: number] | undefined;
}

/** Every step of a flow, nested ones included, by its id. */
export function stepsById(flow: Flow): Map<string, StepNode> {
  const byId = new Map<string, StepNode>();
  const visit = (steps: readonly StepNode[]): void => {
    for (const step of steps) {
      byId.set(step.id, step);
      for (const list of nestedSteps(step)) visit(list);
      for (const { before, after } of step.extensions ?? []) visit([...before, ...after]);
    }
  };
  visit(flow.steps);
  return byId;
}

export function nestedSteps(step: StepNode): readonly (readonly StepNode[])[] {
  if (step.type === 'do' || step.type === 'for') return [step.steps];
  if (step.type === 'fork') return [step.branches];
  if ((step.type === 'listen' || step.type === 'call') && step.foreach) return [step.foreach.steps];
  if (step.type === 'try') return [step.steps, step.catchSteps];
  return [];
}

/** A key of a run without loop indexes (`[2]`), visits (`#2`) and attempts (`^1`): the id of the step in the definition. */
export function stepIdOf(key: string): string {
  return key.replace(/\[\d+\]|#\d+|\^\d+/g, '');
}

/** A key of a run without the attempts of the `try` steps around it: `guarded^2/refund` is `guarded/refund` at each of them. */
export function withoutAttempts(key: string): string {
  return key.replace(/\^\d+/g, '');
}

/** What starts a run: kept as long as the run, so that it can be replayed. */
export interface RunStart {
  readonly runId: string;
  readonly startedAtMs: number;
  readonly input: Json;
}
