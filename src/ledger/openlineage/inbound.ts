import { LineageBuilder } from '../../kernel/definition-lineage.ts';
import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { SourceLineage } from '../lineage-graph/graph-lane.ts';
import type { Facets, OpenLineageDataset, OpenLineageEvent } from './event.ts';
import { columnNode, datasetNode, jobNode, type Name, type Naming } from './naming.ts';

/**
 * What an event of another system brings to the graph: `input → job → output`, the columns that a schema facet names, and the edges between columns that a
 * columnLineage facet tells. An event of a run adds to what is known of its job; one of a job or a dataset says all of it.
 *
 * @throws AiosError `lineage.event_too_large` past `lineageEventEdgesMax` edges, or for a name past `lineageNameBytesMax`
 */
export function lineageOfEvent(
  event: OpenLineageEvent,
  naming: Naming,
  limits: Pick<Limits, 'lineageEventEdgesMax' | 'lineageNameBytesMax'>,
): SourceLineage {
  const { job, run, dataset, inputs = [], outputs = [] } = event;
  const builder = new LineageBuilder();
  const source = dataset ? datasetNode(dataset, naming) : jobNode(job!, naming);
  if (job && source.startsWith('job:')) builder.node({ id: source });
  for (const input of inputs) builder.edge(readDataset(builder, input, naming), source);
  for (const output of dataset ? [dataset] : outputs) {
    const id = readDataset(builder, output, naming);
    if (job) builder.edge(source, id);
    columnEdges(builder, output.facets, id, naming);
  }
  const { nodes, edges } = builder.done();
  if (edges.length > limits.lineageEventEdgesMax)
    throw new AiosError('lineage.event_too_large', {
      detail: `The event holds ${edges.length} edges.`,
      extensions: { limitName: 'lineageEventEdgesMax', limit: limits.lineageEventEdgesMax },
    });
  const long = [...nodes.map(({ id }) => id), ...edges.flatMap(({ from, to }) => [from, to])].find(
    (id) => Buffer.byteLength(id) > limits.lineageNameBytesMax,
  );
  if (long !== undefined)
    throw new AiosError('lineage.event_too_large', {
      detail: `A name is too long: ${long.slice(0, 80)}…`,
      extensions: { limitName: 'lineageNameBytesMax', limit: limits.lineageNameBytesMax },
    });
  return { source: `openlineage/${source}`, version: 0, nodes, edges, adds: run !== undefined };
}

function readDataset(builder: LineageBuilder, dataset: OpenLineageDataset, naming: Naming): string {
  const id = datasetNode(dataset, naming);
  const isOurs = !id.startsWith('external-dataset:');
  if (!isOurs) builder.node({ id });
  const fields = dataset.facets?.schema?.fields;
  for (const field of Array.isArray(fields) ? fields : []) {
    if (!isObject(field) || typeof field.name !== 'string') continue;
    const column = columnNode(id, field.name);
    // What is ours is described by its definition.
    if (!isOurs) builder.node({ id: column, ...(typeof field.type === 'string' && { type: field.type }) });
    builder.edge(id, column);
  }
  return id;
}

/** `fields.total.inputFields` are columns that make a column; `dataset` those that decide about all of it. */
function columnEdges(builder: LineageBuilder, facets: Facets | undefined, id: string, naming: Naming): void {
  const { fields, dataset } = facets?.columnLineage ?? {};
  for (const [field, told] of Object.entries(isObject(fields) ? fields : {})) {
    const column = columnNode(id, field);
    builder.edge(id, column);
    for (const input of columnsIn(isObject(told) ? told.inputFields : undefined, naming, builder))
      builder.edge(input, column);
  }
  for (const input of columnsIn(dataset, naming, builder)) builder.edge(input, id);
}

function columnsIn(list: Json | undefined, naming: Naming, builder: LineageBuilder): string[] {
  return (Array.isArray(list) ? list : []).flatMap((entry) => {
    const { namespace, name, field } = isObject(entry) ? entry : {};
    if (typeof namespace !== 'string' || typeof name !== 'string' || typeof field !== 'string') return [];
    const holder = datasetNode({ namespace, name } satisfies Name, naming);
    const column = columnNode(holder, field);
    builder.edge(holder, column);
    return [column];
  });
}
