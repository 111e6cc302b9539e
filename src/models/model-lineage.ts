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
  const { name, signature, endpoint, digest, runtime } = body as Record<string, Json>;
  const id = builder.node({
    id: modelId(String(name)),
    type: JSON.stringify(signature ?? null),
    meaning: [digest ?? null, endpoint ?? null, runtime ?? null],
  });
  if (isObject(endpoint) && typeof endpoint.flow === 'string')
    builder.edge(nodeId('workflow', endpoint.flow), id);
  return builder.done();
};

/** A version that was registered: it is one of its model, made of a parent (a quantized one) and of the datasets that it was trained on. */
export function modelVersionLineage({
  name,
  version,
  card,
  datasets = [],
}: {
  readonly name: string;
  readonly version: number;
  readonly card: JsonObject;
  readonly datasets?: readonly JsonObject[] | undefined;
}): DefinitionLineage {
  const builder = new LineageBuilder();
  const id = builder.node({ id: modelId(name, version) });
  builder.edge(id, modelId(name));
  const { quantization } = card;
  if (isObject(quantization) && isObject(quantization.parent))
    builder.edge(modelId(name, String(quantization.parent.version)), id);
  for (const dataset of datasets) {
    const made = nodeId('dataset', `${String(dataset.name)}@${String(dataset.version)}`);
    builder.edge(nodeId('dataset', String(dataset.name)), made);
    builder.edge(made, id);
  }
  return builder.done();
}
