import { expect, it } from 'vitest';
import { treeOf } from './lineage.ts';

it('lineage is drawn as a tree, a node that comes again once', () => {
  const node = (id: string, depth: number, rest: object = {}) => ({ id, depth, ...rest });
  const graph = {
    node: 'field:order#total',
    nodes: [
      node('field:order#total', 0, { type: 'number' }),
      node('feature:orders.mean', 1),
      node('feature:orders.spend', 1),
      node('model:risk', 2, { version: '3' }),
      node('workflow:returns', 3, { version: '1' }),
    ],
    edges: [
      { from: 'field:order#total', to: 'feature:orders.spend' },
      { from: 'field:order#total', to: 'feature:orders.mean' },
      { from: 'feature:orders.spend', to: 'model:risk' },
      { from: 'feature:orders.mean', to: 'model:risk' },
      { from: 'model:risk', to: 'workflow:returns' },
    ],
    nextCursor: null,
    truncated: false,
  };
  expect(treeOf(graph, 'down').split('\n')).toEqual([
    'field:order#total (number)',
    '├ feature:orders.mean',
    '│ └ model:risk v3',
    '│   └ workflow:returns v1',
    '└ feature:orders.spend',
    '  └ model:risk v3 …',
  ]);
  expect(treeOf(graph, 'up').split('\n')).toEqual(['field:order#total (number)', '└ nothing']);
});
