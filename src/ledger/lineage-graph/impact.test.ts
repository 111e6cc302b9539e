import { describe, expect, it } from 'vitest';
import type { DefinitionLineage, LineageEdge } from '../../kernel/definition-lineage.ts';
import { impactOf } from './impact.ts';
import type { EdgesOf } from './subgraph.ts';

const edges: LineageEdge[] = [
  { from: 'contract:order', to: 'event-type:order' },
  { from: 'workflow:shop', to: 'event-type:order' },
  { from: 'event-type:order', to: 'field:order#total' },
  { from: 'event-type:order', to: 'field:order#note' },
  { from: 'field:order#total', to: 'feature:orders.spend' },
  { from: 'feature:orders.spend', to: 'model:risk' },
  { from: 'model:risk', to: 'workflow:returns' },
  { from: 'workflow:returns', to: 'event-type:decided' },
];
const edgesOf: EdgesOf = async (ids, direction) =>
  edges.filter(({ from, to }) => ids.includes(direction === 'down' ? from : to));
const contract = (fields: Record<string, string>, quality: string[] = []): DefinitionLineage => ({
  nodes: [
    { id: 'contract:order', meaning: quality },
    ...Object.entries(fields).map(([name, type]) => ({ id: `field:order#${name}`, type })),
  ],
  edges: [],
});
const impact = (before: DefinitionLineage, after: DefinitionLineage) =>
  impactOf(
    { kind: 'contract', name: 'order', before, after },
    edgesOf,
    100,
    async (flows) => new Map(flows.map((flow) => [flow, flow === 'returns' ? 3 : 0])),
  );
const full = { total: 'number', note: 'string' };

describe('the impact of a change', () => {
  it('of a removed field names what reads it, to the column and on', async () => {
    const { severity, changes, affected, runsUnderWay, hint } = await impact(
      contract(full),
      contract({ note: 'string' }),
    );
    expect(severity).toBe('breaks');
    expect(changes).toEqual([{ node: 'field:order#total', effect: 'removed', from: 'number' }]);
    expect(affected.map(({ node, severity, depth }) => [node, severity, depth])).toEqual([
      ['feature:orders.spend', 'breaks', 1],
      ['workflow:shop', 'breaks', 1],
      ['model:risk', 'breaks', 2],
      ['workflow:returns', 'breaks', 3],
      ['event-type:decided', 'changes-values', 4], // a run that fails, not a consumer
    ]);
    expect(runsUnderWay).toBe(3);
    expect(hint).toContain('feature:orders.spend');
  });

  it('of a field that is used far away says that there is more, and ends in a circle', async () => {
    const chain = async (length: number, isClosed = false) => {
      const reads: EdgesOf = async (ids, direction) =>
        ids.flatMap((id) => {
          if (direction === 'up') return [];
          const at = id === 'field:order#total' ? 0 : Number(id.slice('feature:v.f'.length));
          if (at === length) return isClosed ? [{ from: id, to: 'feature:v.f1' }] : [];
          return [{ from: id, to: `feature:v.f${at + 1}` }];
        });
      const changed = {
        kind: 'contract',
        name: 'order',
        before: contract(full),
        after: contract({ note: 'string' }),
      };
      return impactOf(changed, reads, 1_000, async () => new Map());
    };
    expect(await chain(200)).toMatchObject({ truncated: false, severity: 'breaks' });
    expect((await chain(200)).affected).toHaveLength(200);
    expect((await chain(200, true)).truncated).toBe(false);
    expect((await chain(201)).truncated).toBe(true);
  });

  it('of a field that nothing reads reaches only who writes it', async () => {
    const { affected } = await impact(contract(full), contract({ total: 'number' }));
    expect(affected.map(({ node, writes }) => [node, writes])).toEqual([['workflow:shop', true]]);
  });

  it('of another type breaks; of a wider one it changes values', async () => {
    const retyped = await impact(contract({ total: 'number' }), contract({ total: 'string' }));
    expect(retyped.changes).toEqual([
      { node: 'field:order#total', effect: 'retyped', from: 'number', to: 'string' },
    ]);
    expect(retyped.severity).toBe('breaks');
    const wider = await impact(contract({ total: 'integer' }), contract({ total: 'number' }));
    expect(wider.severity).toBe('changes-values');
  });

  it('of what is added, or only said, is none', async () => {
    const added = await impact(contract({ note: 'string' }), contract(full));
    expect(added.changes).toEqual([{ node: 'field:order#total', effect: 'added' }]);
    expect([added.severity, added.affected]).toEqual(['unaffected', []]);
    expect((await impact(contract(full), contract(full))).severity).toBe('unaffected');
  });

  it('of a kind that keeps no values advises a test of the flow, not a back-fill', async () => {
    const changed = (kind: string) => ({
      ...{ kind, name: 'order', before: contract(full, ['a']), after: contract(full, ['b']) },
    });
    const hint = async (kind: string) =>
      (await impactOf(changed(kind), edgesOf, 100, async () => new Map())).hint;
    expect(await hint('connector')).toContain('aios workflows test');
    expect(await hint('contract')).toContain('back-fill');
  });
});
