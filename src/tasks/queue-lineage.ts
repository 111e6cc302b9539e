import { LineageBuilder, type LineageReader, nodeId } from '../kernel/definition-lineage.ts';
import { isObject } from '../kernel/json.ts';

/** A queue of people's work: the calendar that it counts by, and the events by which it tells that work is late. */
export const queueLineage: LineageReader = ({ name, calendar, escalations, ...meaning }) => {
  const builder = new LineageBuilder();
  const id = builder.node({ id: nodeId('queue', String(name)), meaning });
  if (typeof calendar === 'string') builder.edge(nodeId('calendar', calendar), id);
  for (const step of Array.isArray(escalations) ? escalations : [])
    if (isObject(step) && typeof step.notify === 'string')
      builder.edge(id, nodeId('event-type', step.notify));
  return builder.done();
};
