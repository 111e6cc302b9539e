import { LineageBuilder, type LineageReader, nodeId } from '../kernel/definition-lineage.ts';
import { isObject } from '../kernel/json.ts';

/** A connector and its operations: `connector → operation`. */
export const connectorLineage: LineageReader = (body) => {
  const { name, operations, description: _, ...meaning } = body;
  const builder = new LineageBuilder();
  const id = builder.node({ id: nodeId('connector', String(name)), meaning });
  for (const [operation, spec] of Object.entries(isObject(operations) ? operations : {})) {
    const each = builder.node({ id: nodeId('operation', `${name}.${operation}`), meaning: spec });
    builder.edge(id, each);
  }
  return builder.done();
};
