import { describe, expect, it } from 'vitest';
import { definitionEvent } from './definition-events.ts';
import { tellsRun } from './sink-kind.ts';

const naming = { namespace: 'aios', databases: [] };

describe('what OpenLineage sinks are told', () => {
  it.each(['total', 'constructor', '__proto__'])('has the lineage of a column called %s', (column) => {
    const lineage = {
      nodes: [{ id: 'feature-view:orders' }, { id: `feature:orders.${column}`, type: 'float64' }],
      edges: [{ from: 'field:order.placed#total', to: `feature:orders.${column}` }],
    };
    const event = definitionEvent(
      { kind: 'feature-view', name: 'orders', version: 1, body: {}, lineage, at: 0 },
      naming,
    );
    const { fields } = event!.dataset!.facets!.columnLineage as { fields: object };
    expect(Object.entries(fields)).toEqual([
      [column, { inputFields: [{ namespace: 'aios', name: 'event-type:order.placed', field: 'total' }] }],
    ]);
  });

  it('is the share of all runs of a flow that has the name of what every object has', () => {
    const sink = {
      name: 'marquez',
      transport: { type: 'file', file: 'events.jsonl' } as const,
      emit: { runs: 1, workflows: { returns: 0 } },
    };
    const told = (workflow: string) => tellsRun(sink, { id: 'run_1', workflow, failed: false });
    expect([told('constructor'), told('other'), told('returns')]).toEqual([true, true, false]);
  });
});
