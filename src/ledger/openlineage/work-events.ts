import type { JsonObject } from '../../kernel/json.ts';
import { jobType } from './definition-events.ts';
import { type OpenLineageDataset, type OpenLineageEvent, type RunState, SPEC } from './event.ts';
import { facet, ownRunFacet, PRODUCER, runUuid } from './facets.ts';
import { type Naming, nameOf } from './naming.ts';

/** A node with its version, that a piece of work read or wrote. */
interface WorkData {
  readonly node: string;
  readonly version?: string;
  /** Rows that were written, or read. */
  readonly rows?: number;
}

/** Work: a run of a flow, a pass over a table, a back-fill, a join of a file, the build of a dataset, a training. */
export interface Work {
  /** Here; it becomes a UUID. */
  readonly id: string;
  /** The node of the job, `workflow:returns`; or a name of its own, `materialize:stock`. */
  readonly job: string;
  /** `WORKFLOW`, `MATERIALIZATION`, `BACKFILL`, `JOIN`, `DATASET`, `TRAINING`. */
  readonly type: string;
  /** `RUNNING` while it is under way. */
  readonly state: 'RUNNING' | 'COMPLETE' | 'FAIL' | 'ABORT';
  /** Milliseconds. */
  readonly startedAt: number;
  /** When that was so: its end, or the look at what is under way. */
  readonly at: number;
  readonly error?: string;
  /** Rows so far, and all there are where they were counted. */
  readonly progress?: { readonly rows: number; readonly total: number | null };
  readonly inputs: readonly WorkData[];
  readonly outputs: readonly WorkData[];
  /** When it was due, milliseconds. */
  readonly scheduledAt?: number;
  /** What waits for it. */
  readonly parent?: ParentWork;
}

interface ParentWork {
  readonly id: string;
  readonly job: string;
  /** The outermost that waits; the parent itself when left out. */
  readonly root?: { readonly id: string; readonly job: string };
}

/**
 * The events of work: that it began, and how it stands or ended.
 *
 * @param isStarted that it began was told before
 * @param version of AIOS, for the engine facet
 * @example workEvents(run, naming, '0.1.0').map(({ eventType }) => eventType) // ['START', 'COMPLETE']
 */
export function workEvents(
  work: Work,
  naming: Naming,
  version: string,
  isStarted = false,
): OpenLineageEvent[] {
  const { id, job, type, state, startedAt, at: stateAt, error, progress, scheduledAt, parent } = work;
  const facets: Record<string, JsonObject> = {
    processing_engine: facet('processingEngine', { version, name: 'AIOS' }),
    aios_run: ownRunFacet({ id }),
  };
  if (scheduledAt !== undefined)
    facets.nominalTime = facet('nominalTime', { nominalStartTime: new Date(scheduledAt).toISOString() });
  if (parent)
    facets.parent = facet('parent', { ...named(parent, naming), root: named(parent.root ?? parent, naming) });
  const eventOf = (eventType: RunState, at: number, more: Record<string, JsonObject>): OpenLineageEvent => ({
    ...{
      eventType,
      eventTime: new Date(at).toISOString(),
      producer: PRODUCER,
      schemaURL: `${SPEC}#/$defs/RunEvent`,
    },
    run: { runId: runUuid(id), facets: { ...facets, ...more } },
    job: {
      ...nameOf(job, naming),
      facets: { jobType: jobType(type) },
    },
    inputs: work.inputs.map((data) => inputOf(data, naming)),
    outputs: work.outputs.map((data) => outputOf(data, naming, eventType === 'COMPLETE')),
  });
  const told: Record<string, JsonObject> =
    error === undefined
      ? {}
      : { errorMessage: facet('errorMessage', { message: error, programmingLanguage: 'TypeScript' }) };
  if (progress) told.aios_run = ownRunFacet({ id, ...progress });
  const now = eventOf(state, stateAt, told);
  return isStarted ? [now] : [eventOf('START', startedAt, {}), now];
}

function named({ id, job }: Omit<ParentWork, 'root'>, naming: Naming): JsonObject {
  return { run: { runId: runUuid(id) }, job: { ...nameOf(job, naming) } };
}

function inputOf({ node, version, rows }: WorkData, naming: Naming): OpenLineageDataset {
  return {
    ...datasetOf(node, version, naming),
    ...(rows !== undefined && {
      inputFacets: { dataQualityMetrics: facet('dataQualityMetrics', { rowCount: rows, columnMetrics: {} }) },
    }),
  };
}

function outputOf({ node, version, rows }: WorkData, naming: Naming, isWritten: boolean): OpenLineageDataset {
  return {
    ...datasetOf(node, version, naming),
    ...(rows !== undefined &&
      isWritten && { outputFacets: { outputStatistics: facet('outputStatistics', { rowCount: rows }) } }),
  };
}

function datasetOf(node: string, version: string | undefined, naming: Naming): OpenLineageDataset {
  return {
    ...nameOf(node, naming),
    ...(version !== undefined && {
      facets: { version: facet('datasetVersion', { datasetVersion: version }) },
    }),
  };
}

/** A run of a flow as it is told, to be made into work when it is sent. */
export interface ToldRun {
  readonly id: string;
  readonly workflow: string;
  readonly status: 'running' | 'completed' | 'failed' | 'canceled';
  readonly startedAt: number;
  /** When that was so: its end, or the look at what is under way. */
  readonly at: number;
  readonly error?: string;
  readonly event?: string;
  readonly pins: readonly { readonly kind: string; readonly name: string; readonly version: string }[];
  readonly scheduledAt?: number;
  readonly parentRunId?: string;
}

const STATES: Readonly<Record<ToldRun['status'], Work['state']>> = {
  running: 'RUNNING',
  completed: 'COMPLETE',
  failed: 'FAIL',
  canceled: 'ABORT',
};

/**
 * @param emits types of events that its flow emits, as nodes
 * @param parentJob the flow of the run that waits for it
 */
export function workOfRun(run: ToldRun, emits: readonly string[], parentJob: string | undefined): Work {
  const { id, workflow, status, startedAt, at, error, event, pins, scheduledAt, parentRunId } = run;
  const pinned = pins.filter(({ kind }) => kind !== 'workflow' && kind !== 'contract');
  const contract = pins.find(({ kind }) => kind === 'contract');
  return {
    ...{
      id,
      job: `workflow:${workflow}`,
      type: 'WORKFLOW',
      state: STATES[status],
      startedAt,
      at,
    },
    ...(error !== undefined && { error }),
    ...(scheduledAt !== undefined && { scheduledAt }),
    ...(parentRunId !== undefined &&
      parentJob !== undefined && { parent: { id: parentRunId, job: parentJob } }),
    inputs: [
      ...(event === undefined
        ? []
        : [{ node: `event-type:${event}`, ...(contract && { version: contract.version }) }]),
      ...pinned.map(({ kind, name, version }) => ({ node: `${kind}:${name}`, version })),
    ],
    outputs: emits.map((node) => ({ node })),
  };
}

/** What waits to be sent: events that are ready, work or a run to make them of. */
export type Told =
  | { readonly events: readonly OpenLineageEvent[] }
  | { readonly work: Work; readonly isStarted?: boolean }
  | { readonly run: ToldRun };
