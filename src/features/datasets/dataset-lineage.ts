import {
  type DefinitionLineage,
  fieldId,
  LineageBuilder,
  type LineageReader,
  nodeId,
} from '../../kernel/definition-lineage.ts';
import { referencesOf } from '../../kernel/expression-references.ts';
import { viewEdges } from '../feature-lineage.ts';
import type { DatasetBody } from './dataset-kind.ts';

const datasetId = (name: string, version?: number) =>
  nodeId('dataset', version === undefined ? name : `${name}@${version}`);

/**
 * A dataset and what its rows are made of: the vectors of its service or views, and the events that are its entity rows.
 *
 * @example datasetLineage({ name: 'd', service: 's' }, find).edges // [{ from: 'feature-service:s', to: 'dataset:d' }]
 */
export const datasetLineage: LineageReader = (body, find) => {
  const {
    name,
    service,
    views = [],
    fullFeatureNames,
    entities,
    labels,
    split,
  } = body as unknown as DatasetBody;
  const builder = new LineageBuilder();
  const id = builder.node({
    id: datasetId(name),
    meaning: JSON.stringify([
      ...[service ?? null, views, entities ?? null, labels ?? null, split ?? null],
      ...(fullFeatureNames === undefined ? [] : [fullFeatureNames]),
    ]),
  });
  if (service !== undefined) builder.edge(nodeId('feature-service', service), id);
  viewEdges(builder, { views }, id, find);
  if (entities) {
    const { type, filter, keys, values = {} } = entities.events;
    builder.edge(nodeId('event-type', type), id);
    for (const expression of [
      ...Object.values(keys),
      ...Object.values(values),
      ...(filter ? [filter] : []),
    ]) {
      for (const path of referencesOf(expression)) {
        const field = fieldId(type, path[0] === 'event' ? path.slice(1) : path);
        builder.edge(nodeId('event-type', type), field);
        builder.edge(field, id);
      }
    }
  }
  return builder.done();
};

/** A version that was made of a dataset. */
export function datasetVersionLineage(name: string, version: number): DefinitionLineage {
  const builder = new LineageBuilder();
  builder.edge(datasetId(name), builder.node({ id: datasetId(name, version) }));
  return builder.done();
}
