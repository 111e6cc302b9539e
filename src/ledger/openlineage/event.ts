import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { compileSchema } from '../../kernel/schema.ts';

/** The version of the specification that is spoken and understood. */
export const SPEC = 'https://openlineage.io/spec/2-0-2/OpenLineage.json';

/** Facets by their keys; each has `_producer` and `_schemaURL`. */
export type Facets = Readonly<Record<string, JsonObject>>;

export interface OpenLineageDataset {
  readonly namespace: string;
  readonly name: string;
  readonly facets?: Facets;
  readonly inputFacets?: Facets;
  readonly outputFacets?: Facets;
}

interface OpenLineageJob {
  readonly namespace: string;
  readonly name: string;
  readonly facets?: Facets;
}

export type RunState = 'START' | 'RUNNING' | 'COMPLETE' | 'ABORT' | 'FAIL' | 'OTHER';

/** One of the three events of the specification: of a run, of a job as it is written, of a dataset as it is. */
export interface OpenLineageEvent {
  readonly eventTime: string;
  readonly producer: string;
  readonly schemaURL: string;
  readonly eventType?: RunState;
  readonly run?: { readonly runId: string; readonly facets?: Facets };
  readonly job?: OpenLineageJob;
  readonly dataset?: OpenLineageDataset;
  readonly inputs?: readonly OpenLineageDataset[];
  readonly outputs?: readonly OpenLineageDataset[];
}

const text = { type: 'string', minLength: 1 };
const facets = { type: 'object', additionalProperties: { type: 'object' } };
const dataset = {
  type: 'object',
  required: ['namespace', 'name'],
  properties: { namespace: text, name: text, facets, inputFacets: facets, outputFacets: facets },
};
const job = {
  type: 'object',
  required: ['namespace', 'name'],
  properties: { namespace: text, name: text, facets },
};
const datasets = { type: 'array', items: dataset };
/** After the specification's OpenLineage.json. `schemaURL` and facets' own members are not asked for: clients in use leave them out. */
const EVENT: JsonObject = {
  type: 'object',
  required: ['eventTime', 'producer'],
  properties: {
    eventTime: { type: 'string', format: 'date-time' },
    producer: { type: 'string' },
    schemaURL: { type: 'string' },
    eventType: { enum: ['START', 'RUNNING', 'COMPLETE', 'ABORT', 'FAIL', 'OTHER'] },
    run: {
      type: 'object',
      required: ['runId'],
      properties: { runId: { type: 'string', format: 'uuid' }, facets },
    },
    job,
    dataset,
    inputs: datasets,
    outputs: datasets,
  },
};
const validate = compileSchema(EVENT);

/**
 * An event of another system, held to the specification. A member that is null is one that is not there.
 *
 * @throws AiosError `lineage.invalid_event` with a path for each fault
 * @example readEvent({ eventType: 'COMPLETE', eventTime, producer, run: { runId }, job: { namespace: 'airflow', name: 'daily' } }).job?.name // 'daily'
 */
export function readEvent(body: Json): OpenLineageEvent {
  const event = withoutNulls(body);
  const issues = validate(event);
  if (issues.length > 0) throw new AiosError('lineage.invalid_event', { issues });
  const { run, job, dataset } = event as JsonObject;
  const issue = (path: string, message: string) =>
    new AiosError('lineage.invalid_event', { issues: [{ path, message }] });
  if (!job && !dataset) throw issue('/job', 'an event is of a job, its run or a dataset: there is neither');
  if (run && !job) throw issue('/job', 'an event of a run names its job');
  if (dataset && (job || run)) throw issue('/dataset', 'an event is of a dataset, or of a job and its run');
  return event as unknown as OpenLineageEvent;
}

function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  const members = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(members.map(([name, member]) => [name, withoutNulls(member)]));
}
