import {
  type DefinitionLineage,
  LineageBuilder,
  type LineageReader,
  nodeId,
} from '../kernel/definition-lineage.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';

const modelId = (name: string, version?: number | string) =>
  nodeId('model', version === undefined ? name : `${name}@${version}`);

/** A model as it is defined: the features that its signature names, the flow that it is. */
export const modelLineage: LineageReader = (body) => {
  const builder = new LineageBuilder();
  const { name, signature, endpoint, digest, runtime, card } = body as Record<string, Json>;
  const id = builder.node({
    id: modelId(String(name)),
    type: JSON.stringify(signature ?? null),
    meaning: [digest ?? null, endpoint ?? null, runtime ?? null],
  });
  if (isObject(endpoint) && typeof endpoint.flow === 'string')
    builder.edge(nodeId('workflow', endpoint.flow), id);
  if (isObject(card) && typeof card.dataset === 'string') builder.edge(nodeId('dataset', card.dataset), id);
  return builder.done();
};

/** A version that was registered, and where its metadata or card says what it was made of: a parent, a dataset, a run that trained it. */
export function modelVersionLineage({
  name,
  version,
  from,
}: {
  readonly name: string;
  readonly version: number | string;
  /** Metadata and card, either of which tells. */
  readonly from: readonly (JsonObject | undefined)[];
}): DefinitionLineage {
  const builder = new LineageBuilder();
  const id = builder.node({ id: modelId(name, version) });
  builder.edge(id, modelId(name));
  for (const { quantization, dataset } of from.filter((each) => each !== undefined) as Record<
    string,
    Json
  >[]) {
    if (isObject(quantization) && isObject(quantization.parent))
      builder.edge(modelId(name, String(quantization.parent.version)), id);
    const made = isObject(dataset) ? datasetName(dataset) : dataset;
    if (typeof made === 'string') builder.edge(nodeId('dataset', made), id);
  }
  return builder.done();
}

function datasetName({ name, version }: JsonObject): string | undefined {
  if (typeof name !== 'string') return undefined;
  return version === undefined ? name : `${name}@${String(version)}`;
}
