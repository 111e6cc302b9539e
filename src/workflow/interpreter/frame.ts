import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Flow, RunStart, StepNode, Then } from '../language/flow.ts';
import type { Scope } from '../language/templates.ts';
import type { Branch } from './branch.ts';

/**
 * Where a list of steps runs: its keys' prefix, its variables, its branch. `state.context` is shared by the lists of one branch; parallel
 * branches get a copy each, so that a replay, which may finish them in another order, sees the same.
 */
export interface Frame {
  readonly prefix: string;
  readonly vars: Scope;
  readonly branch: Branch;
  readonly state: { context: Json };
  /** In an extension: the step that is extended, which `task` means there. */
  readonly extended?: JsonObject | undefined;
  /** Set by the last step when the list was left by `end`. */
  ended: boolean;
  /** Where the step that ran last says to go. */
  next: Then;
}

/** What decides about the output and the context when something is left. */
export type Leaving = Pick<StepNode, 'outputAs' | 'outputSchema' | 'exportAs' | 'exportSchema'>;

/** A time as expressions see it (dsl.md, "DateTime Descriptor"). */
export function timeDescriptor(ms: number): JsonObject {
  return {
    iso8601: new Date(ms).toISOString(),
    epoch: { seconds: Math.floor(ms / 1000), milliseconds: ms },
  };
}

/** What the expressions of a run see from its begin (dsl.md, "Runtime Expression Arguments"). */
export function scopeOfRun(flow: Flow, start: RunStart, event: Json): Scope {
  return {
    workflow: {
      id: start.runId,
      name: flow.name,
      namespace: flow.namespace,
      version: flow.semver,
      definition: flow.definition,
      input: start.input,
      startedAt: timeDescriptor(start.startedAtMs),
    },
    runtime: { name: 'aios', version: '0.1.0', metadata: {} },
    event,
  };
}
