import type { JsonObject } from '../../src/kernel/json.ts';

/*
 * What OpenLineage 2-0-2 asks of events and of the facets that AIOS tells, written after https://openlineage.io/spec/2-0-2/OpenLineage.json and the files of
 * `https://openlineage.io/spec/facets/`. The specification lets everybody add members; here those that it does not name are faults, which finds the misspelt.
 * Members and which of them are required are held to the classes of the official Python client (test/openlineage.test.ts).
 */
const SPEC = 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/';
const FACETS = 'https://openlineage.io/spec/facets/';

const text = { type: 'string' };
const count = { type: 'integer' };
const number = { type: 'number' };
const uri = { type: 'string', format: 'uri' };
const time = { type: 'string', format: 'date-time' };
const uuid = { type: 'string', format: 'uuid' };
const list = (items: JsonObject) => ({ type: 'array', items });
const mapOf = (values: JsonObject) => ({ type: 'object', additionalProperties: values });

/** Members whose names end in `?` may be left out. */
function object(members: Readonly<Record<string, JsonObject>>): JsonObject {
  const names = Object.keys(members);
  return {
    type: 'object',
    additionalProperties: false,
    required: names.filter((name) => !name.endsWith('?')),
    properties: Object.fromEntries(names.map((name) => [name.replace(/\?$/, ''), members[name]!])),
  };
}

const base = { _producer: uri, _schemaURL: uri };
const anyFacet = { type: 'object', required: Object.keys(base), properties: base };
const facets = mapOf(anyFacet);
const named = { namespace: text, name: text, 'facets?': facets };
const job = object(named);
const run = object({ runId: uuid, 'facets?': facets });
const inputField = object({
  ...{ namespace: text, name: text, field: text },
  'transformations?': list(
    object({ type: text, 'subtype?': text, 'description?': text, 'masking?': { type: 'boolean' } }),
  ),
});

/** What a facet stands under and on what, and its own members. */
interface FacetSchema {
  readonly of: 'run' | 'job' | 'dataset' | 'input' | 'output';
  readonly key: string;
  readonly members: Readonly<Record<string, JsonObject>>;
}

/** Facets by the end of their `_schemaURL`. */
export const FACET_SCHEMAS: Readonly<Record<string, FacetSchema>> = {
  '1-2-0/ParentRunFacet': {
    ...{ of: 'run', key: 'parent' },
    members: { run, job, 'root?': object({ run, job }) },
  },
  '1-0-1/NominalTimeRunFacet': {
    ...{ of: 'run', key: 'nominalTime' },
    members: { nominalStartTime: time, 'nominalEndTime?': time },
  },
  '1-0-1/ErrorMessageRunFacet': {
    ...{ of: 'run', key: 'errorMessage' },
    members: { message: text, programmingLanguage: text, 'stackTrace?': text },
  },
  '1-1-1/ProcessingEngineRunFacet': {
    ...{ of: 'run', key: 'processing_engine' },
    members: { version: text, 'name?': text, 'openlineageAdapterVersion?': text },
  },
  '2-0-4/JobTypeJobFacet': {
    ...{ of: 'job', key: 'jobType' },
    members: {
      processingType: { enum: ['BATCH', 'STREAMING', 'SERVICE'] },
      ...{ integration: text, 'jobType?': text },
      'emissionPattern?': object({ eventTrigger: text, eventContentMode: text, 'windowDuration?': count }),
    },
  },
  '1-1-0/DocumentationJobFacet': {
    ...{ of: 'job', key: 'documentation' },
    members: { description: text, 'contentType?': text },
  },
  '1-1-0/DocumentationDatasetFacet': {
    ...{ of: 'dataset', key: 'documentation' },
    members: { description: text, 'contentType?': text },
  },
  '1-0-1/OwnershipDatasetFacet': {
    ...{ of: 'dataset', key: 'ownership' },
    members: { 'owners?': list(object({ name: text, 'type?': text })) },
  },
  '1-0-1/DatasourceDatasetFacet': {
    ...{ of: 'dataset', key: 'dataSource' },
    members: { 'name?': text, 'uri?': uri },
  },
  '1-0-1/DatasetVersionDatasetFacet': {
    ...{ of: 'dataset', key: 'version' },
    members: { datasetVersion: text },
  },
  '1-2-0/SchemaDatasetFacet': {
    ...{ of: 'dataset', key: 'schema' },
    members: {
      'fields?': list(
        object({
          ...{ name: text, 'type?': text, 'description?': text, 'ordinal_position?': count },
          'fields?': { type: 'array' },
        }),
      ),
    },
  },
  '1-2-0/ColumnLineageDatasetFacet': {
    ...{ of: 'dataset', key: 'columnLineage' },
    members: {
      fields: mapOf(
        object({
          inputFields: list(inputField),
          ...{ 'transformationDescription?': text, 'transformationType?': text },
        }),
      ),
      'dataset?': list(inputField),
    },
  },
  '1-0-3/DataQualityMetricsInputDatasetFacet': {
    ...{ of: 'input', key: 'dataQualityMetrics' },
    members: {
      columnMetrics: mapOf(
        object({
          ...{ 'nullCount?': count, 'distinctCount?': count, 'sum?': number, 'count?': number },
          ...{ 'min?': number, 'max?': number, 'quantiles?': mapOf(number) },
        }),
      ),
      ...{ 'rowCount?': count, 'bytes?': count, 'fileCount?': count, 'lastUpdated?': time },
    },
  },
  '1-0-2/OutputStatisticsOutputDatasetFacet': {
    ...{ of: 'output', key: 'outputStatistics' },
    members: { 'rowCount?': count, 'size?': count, 'fileCount?': count },
  },
};

/** The address that a facet says its schema is at. @example facetUrl('1-0-1/NominalTimeRunFacet') */
export function facetUrl(path: string): string {
  return `${FACETS}${path}.json#/$defs/${path.slice(path.indexOf('/') + 1)}`;
}

function facetsOf(of: FacetSchema['of']): JsonObject {
  const own = Object.entries(FACET_SCHEMAS).filter(([, facet]) => facet.of === of);
  return {
    type: 'object',
    properties: {
      ...Object.fromEntries(
        own.map(([path, { key, members }]) => [
          key,
          object({ _producer: uri, _schemaURL: { const: facetUrl(path) }, ...members }),
        ]),
      ),
      // Of our own: any members, and the schema that all facets of runs have.
      ...(of === 'run' && {
        aios_run: { ...anyFacet, properties: { _producer: uri, _schemaURL: { const: `${SPEC}RunFacet` } } },
      }),
    },
    additionalProperties: false,
  };
}

const told = { ...named, 'facets?': facetsOf('dataset') };
const eventOf = (name: string, members: Readonly<Record<string, JsonObject>>) =>
  object({ eventTime: time, producer: uri, schemaURL: { const: SPEC + name }, ...members });
const work = {
  job: object({ ...named, 'facets?': facetsOf('job') }),
  'inputs?': list(object({ ...told, 'inputFacets?': facetsOf('input') })),
  'outputs?': list(object({ ...told, 'outputFacets?': facetsOf('output') })),
};

/** Events by the end of their `schemaURL`. */
export const EVENT_SCHEMAS: Readonly<Record<string, JsonObject>> = {
  RunEvent: eventOf('RunEvent', {
    // The specification lets it be left out; ours always says what happened.
    eventType: { enum: ['START', 'RUNNING', 'COMPLETE', 'ABORT', 'FAIL', 'OTHER'] },
    run: object({ runId: uuid, 'facets?': facetsOf('run') }),
    ...work,
  }),
  JobEvent: eventOf('JobEvent', work),
  DatasetEvent: eventOf('DatasetEvent', { dataset: object(told) }),
};
