import { LineageBuilder, type LineageReader, nodeId } from '../kernel/definition-lineage.ts';
import { isObject } from '../kernel/json.ts';
import { readInputs } from './inputs.ts';

/** A table, its inputs and its outputs: `decision-input → decision → decision-output`. */
export const decisionLineage: LineageReader = (body) => {
  const { name, inputs = {}, outputs, description: _, tests: __, ...meaning } = body;
  const builder = new LineageBuilder();
  const id = builder.node({ id: nodeId('decision', String(name)), meaning });
  for (const input of readInputs(inputs)) {
    const column = nodeId('decision-input', `${name}.${input.name}`);
    builder.node({ id: column, type: input.nullable ? `${input.type} | null` : input.type });
    builder.edge(column, id);
  }
  for (const [output, schema] of Object.entries(isObject(outputs) ? outputs : {})) {
    const column = nodeId('decision-output', `${name}.${output}`);
    builder.node({ id: column, type: JSON.stringify(schema) });
    builder.edge(id, column);
  }
  return builder.done();
};
