import { connectorLineage } from './connectors/connector-lineage.ts';
import { contractLineage } from './contracts/contract-lineage.ts';
import { decisionLineage } from './decisions/decision-lineage.ts';
import { entityLineage, featureServiceLineage, featureViewLineage } from './features/feature-lineage.ts';
import { LineageBuilder, type LineageReader, nodeId } from './kernel/definition-lineage.ts';
import { modelLineage } from './models/model-lineage.ts';
import { queueLineage } from './tasks/queue-lineage.ts';
import { flowLineage } from './workflow/language/flow-lineage.ts';

/** A definition that reads nothing: its node. */
const alone =
  (kind: string): LineageReader =>
  ({ name, ...meaning }) => {
    const builder = new LineageBuilder();
    builder.node({ id: nodeId(kind, String(name)), meaning });
    return builder.done();
  };

/** What each kind of definition brings to the graph. */
export const LINEAGE_READERS: Readonly<Record<string, LineageReader>> = {
  contract: contractLineage,
  entity: entityLineage,
  'feature-view': featureViewLineage,
  'feature-service': featureServiceLineage,
  model: modelLineage,
  decision: decisionLineage,
  calendar: alone('calendar'),
  queue: queueLineage,
  connector: connectorLineage,
  'run-queue': alone('run-queue'),
  workflow: flowLineage,
};
