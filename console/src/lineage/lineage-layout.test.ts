import { expect, it } from 'vitest';
import { nameOnCard, placeLineage } from './lineage-layout.ts';

it('data goes from left to right, and edges to what is not told are left out', () => {
  const node = (id: string, depth: number) => ({ id, kind: 'field', name: id, depth });
  const placed = placeLineage({
    nodes: [node('b', 0), node('a', -1), node('c', 1)],
    edges: [
      { from: 'a', to: 'b' },
      { from: 'b', to: 'c' },
      { from: 'c', to: 'elsewhere' },
    ],
  });
  const x = Object.fromEntries(placed.nodes.map((each) => [each.id, each.x]));
  expect(x.a! < x.b! && x.b! < x.c!).toBe(true);
  expect(placed.edges.map(({ id }) => id)).toEqual(['a b', 'b c']);
});

it.each([
  ['field', 'order.placed#lines.price', { owner: 'order.placed', name: 'lines.price' }],
  ['service-feature', 'return-risk.spend_30d', { owner: 'return-risk', name: 'spend_30d' }],
  ['event-type', 'order.placed', { name: 'order.placed' }],
  ['field', 'unowned', { name: 'unowned' }],
])('the card of a %s says of whom %s is', (kind, name, told) => {
  expect(nameOnCard({ kind, name })).toEqual(told);
});
