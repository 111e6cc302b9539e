import { createHash } from 'node:crypto';
import type { JsonObject } from '../../kernel/json.ts';
import { SPEC } from './event.ts';

/** Who says what is told. */
export const PRODUCER = 'urn:aios';

/** The facets that are told, each with the version of its schema. */
const SCHEMAS = {
  columnLineage: '1-2-0/ColumnLineageDatasetFacet',
  dataSource: '1-0-1/DatasourceDatasetFacet',
  datasetVersion: '1-0-1/DatasetVersionDatasetFacet',
  schema: '1-2-0/SchemaDatasetFacet',
  documentation: '1-1-0/DocumentationDatasetFacet',
  jobDocumentation: '1-1-0/DocumentationJobFacet',
  ownership: '1-0-1/OwnershipDatasetFacet',
  jobType: '2-0-4/JobTypeJobFacet',
  parent: '1-2-0/ParentRunFacet',
  nominalTime: '1-0-1/NominalTimeRunFacet',
  errorMessage: '1-0-1/ErrorMessageRunFacet',
  processingEngine: '1-1-1/ProcessingEngineRunFacet',
  outputStatistics: '1-0-2/OutputStatisticsOutputDatasetFacet',
  dataQualityMetrics: '1-0-3/DataQualityMetricsInputDatasetFacet',
} as const;

/** @example facet('jobType', { processingType: 'BATCH', integration: 'AIOS', jobType: 'WORKFLOW' }) */
export function facet(name: keyof typeof SCHEMAS, body: JsonObject): JsonObject {
  const path = SCHEMAS[name];
  const definition = path.slice(path.indexOf('/') + 1);
  return {
    _producer: PRODUCER,
    _schemaURL: `https://openlineage.io/spec/facets/${path}.json#/$defs/${definition}`,
    ...body,
  };
}

/** A facet of our own: the id that a run has here, which is no UUID. */
export function ownRunFacet(body: JsonObject): JsonObject {
  return { _producer: PRODUCER, _schemaURL: `${SPEC}#/$defs/RunFacet`, ...body };
}

/**
 * The UUID (RFC 9562, version 8) that stands for an id of ours: the same for the same id.
 *
 * @example runUuid('run_01H…') // '3f0c…-8…'
 */
export function runUuid(id: string): string {
  const bytes = createHash('sha256').update(`openlineage ${id}`).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
