import type { CloudEvent } from '../../kernel/cloudevent.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Flow } from '../language/flow.ts';

/** What an event tells of a run, as the type says it: `io.serverlessworkflow.workflow.<change>.v1`. */
type RunChangeTold =
  | 'started'
  | 'suspended'
  | 'resumed'
  | 'correlation-started'
  | 'correlation-completed'
  | 'cancelled'
  | 'faulted'
  | 'completed';

/** The key under which the journal of a run that tells its phases says which was told last. */
export const PHASE = '^phase';

export interface Told {
  readonly runId: string;
  /** A run that goes back and on again is told of anew. */
  readonly attempt: number;
  readonly flow: Flow;
}

/**
 * The event that tells a change of a run (dsl-reference.md, "Workflow Lifecycle Events"). `key` names the change within its run, so that one that is
 * written again is the same event. The run's qualified name is `<flow>-<run id>.<namespace>`; its id is the event's subject as well.
 *
 * @example lifecycleEvent({ runId, attempt: 1, flow }, 'suspended', 'req_1', nowMs, { suspendedAt })
 */
export function lifecycleEvent(
  told: Told,
  change: RunChangeTold,
  key: string,
  atMs: number,
  data: JsonObject,
): CloudEvent {
  return eventOf(told, `workflow.${change}`, change, key, atMs, { name: nameOf(told), ...data });
}

/** What an event tells of a step: `io.serverlessworkflow.task.<change>.v1`. */
export type StepChangeTold =
  | 'created'
  | 'started'
  | 'suspended'
  | 'resumed'
  | 'retried'
  | 'cancelled'
  | 'faulted'
  | 'completed';

/** The event that tells a change of a step; `task` is its place in the definition, a JSON pointer. */
export function stepEvent(
  told: Told,
  change: StepChangeTold,
  key: string,
  task: string,
  atMs: number,
  data: JsonObject,
): CloudEvent {
  const at = { [`${change}At`]: isoTime(atMs) };
  return eventOf(told, `task.${change}`, change, key, atMs, { workflow: nameOf(told), task, ...at, ...data });
}

/**
 * The event that tells the status of a run, or of a step when `task` says which (dsl.md, "Status Phases"): `pending`, `running`, `waiting`, `suspended`, `cancelled`, `faulted`,
 * `completed`. `key` and status together name the change.
 */
export function statusEvent(
  told: Told,
  status: string,
  key: string,
  atMs: number,
  task?: string,
): CloudEvent {
  const of: JsonObject = task === undefined ? { name: nameOf(told) } : { workflow: nameOf(told), task };
  const type = task === undefined ? 'workflow.status-changed' : 'task.status-changed';
  return eventOf(told, type, `status-changed/${status}`, key, atMs, {
    ...of,
    updatedAt: isoTime(atMs),
    status,
  });
}

function nameOf({ runId, flow }: Told): string {
  return `${flow.name}-${runId}.${flow.namespace}`;
}

function eventOf(
  { runId, attempt, flow }: Told,
  type: string,
  change: string,
  key: string,
  atMs: number,
  data: JsonObject,
): CloudEvent {
  return {
    specversion: '1.0',
    id: [runId, ...(attempt > 1 ? [attempt] : []), `^${change}`, ...(key === '' ? [] : [key])].join('/'),
    source: `urn:aios:workflow:${flow.name}`,
    type: `io.serverlessworkflow.${type}.v1`,
    subject: runId,
    time: isoTime(atMs),
    data,
  };
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** The specification has the output as a map, and optional: other values and large ones are left to whoever reads the run. */
export function outputOf(output: Json | undefined, bytesMax: number): JsonObject {
  if (typeof output !== 'object' || output === null || Array.isArray(output)) return {};
  return Buffer.byteLength(JSON.stringify(output)) <= bytesMax ? { output } : {};
}
