import type { DefinitionLineage } from '../../kernel/definition-lineage.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { type OpenLineageDataset, type OpenLineageEvent, SPEC } from './event.ts';
import { facet, PRODUCER } from './facets.ts';
import { columnOf, isJob, type Naming, nameOf } from './naming.ts';

interface DefinitionVersion {
  readonly kind: string;
  readonly name: string;
  readonly version: number;
  readonly body: JsonObject;
  readonly lineage: DefinitionLineage;
  /** Milliseconds. */
  readonly at: number;
}

/** Definitions whose data others read: they are told as datasets, a contract as that of the events that it is for. */
const DATASETS: Readonly<Record<string, string>> = {
  contract: 'event-type',
  'feature-view': 'feature-view',
  'feature-service': 'feature-service',
  model: 'model',
};

/**
 * What a version of a definition is told as: a dataset with its columns and what each is made of, or (a flow) a job with what it reads and emits. Nothing of
 * definitions that hold no data.
 *
 * @example definitionEvent({ kind: 'contract', name: 'order', version: 2, body, lineage, at }, naming)?.dataset?.name // 'event-type:order'
 */
export function definitionEvent(
  { kind, name, version, body, lineage, at }: DefinitionVersion,
  naming: Naming,
): OpenLineageEvent | undefined {
  const base = { eventTime: new Date(at).toISOString(), producer: PRODUCER };
  const { description, owner } = body;
  if (kind === 'workflow') {
    const id = `workflow:${name}`;
    const title = (body.document as JsonObject).title ?? (body.document as JsonObject).summary;
    const names = (ids: readonly string[]) =>
      [...new Set(ids)].filter(isDataset).map((each) => nameOf(each, naming));
    return {
      ...{ ...base, schemaURL: `${SPEC}#/$defs/JobEvent` },
      job: {
        ...nameOf(id, naming),
        facets: {
          jobType: jobType('WORKFLOW'),
          ...(typeof title === 'string' && {
            documentation: facet('jobDocumentation', { description: title }),
          }),
        },
      },
      inputs: names(lineage.edges.filter(({ to }) => to === id).map(({ from }) => from)),
      outputs: names(lineage.edges.filter(({ from }) => from === id).map(({ to }) => to)),
    };
  }
  const holder = DATASETS[kind];
  if (holder === undefined) return undefined;
  const dataset: OpenLineageDataset = {
    ...nameOf(`${holder}:${name}`, naming),
    facets: {
      ...columns(lineage, `${holder}:${name}`, naming),
      version: facet('datasetVersion', { datasetVersion: String(version) }),
      dataSource: facet('dataSource', {
        name: naming.namespace,
        uri: `urn:${encodeURIComponent(naming.namespace)}`,
      }),
      ...(typeof description === 'string' && { documentation: facet('documentation', { description }) }),
      ...(typeof owner === 'string' && {
        ownership: facet('ownership', { owners: [{ name: owner, type: 'OWNER' }] }),
      }),
    },
  };
  return { ...base, schemaURL: `${SPEC}#/$defs/DatasetEvent`, dataset };
}

/** What a flow or a pass is, as the specification says it: each run has an end, also of a flow that events start, and that is BATCH. */
export function jobType(type: string): JsonObject {
  return facet('jobType', { processingType: 'BATCH', integration: 'AIOS', jobType: type });
}

/** Data that is told by a name: columns are told in it, jobs are jobs. */
function isDataset(id: string): boolean {
  return (
    !isJob(id) &&
    !/^(field|column|feature|service-feature|decision-(input|output)|run-queue|function):/.test(id)
  );
}

function columns(lineage: DefinitionLineage, id: string, naming: Naming): Record<string, JsonObject> {
  const { name } = nameOf(id, naming);
  const own = new Map(
    lineage.nodes.flatMap((node) => {
      const column = columnOf(node.id, naming);
      return column?.name === name
        ? [[node.id, { field: column.field, type: node.type ?? 'any' }] as const]
        : [];
    }),
  );
  const inputs = new Map<string, JsonObject[]>(); // a column may have the name of what every object has
  const dataset: JsonObject[] = [];
  for (const { from, to } of lineage.edges) {
    const input = columnOf(from, naming);
    if (!input) continue;
    const column = own.get(to);
    if (column) {
      const known = inputs.get(column.field) ?? [];
      inputs.set(column.field, [...known, { ...input }]);
    } else if (to === id) dataset.push({ ...input });
  }
  const fields = Object.fromEntries([...inputs].map(([field, inputFields]) => [field, { inputFields }]));
  const hasLineage = dataset.length > 0 || inputs.size > 0;
  return {
    ...(own.size > 0 && {
      schema: facet('schema', {
        fields: [...own.values()].map(({ field, type }) => ({ name: field, type })),
      }),
    }),
    ...(hasLineage && {
      columnLineage: facet('columnLineage', { fields, ...(dataset.length > 0 && { dataset }) }),
    }),
  };
}
