import { Graph, layout } from '@dagrejs/dagre';
import type { LineageGraph, LineageNode } from '../api/lineage.ts';

const NODE_WIDTH = 190;
const NODE_HEIGHT = 46;

export interface PlacedLineage {
  nodes: (LineageNode & { x: number; y: number })[];
  edges: { id: string; from: string; to: string }[];
  height: number;
}

/** A place for each node, data going from left to right; edges to nodes that are not told are left out. */
export function placeLineage({ nodes, edges }: Pick<LineageGraph, 'nodes' | 'edges'>): PlacedLineage {
  const graph = new Graph();
  graph.setGraph({ rankdir: 'LR', nodesep: 12, ranksep: 46, marginx: 12, marginy: 12 });
  graph.setDefaultEdgeLabel(() => ({}));
  const known = new Set(nodes.map(({ id }) => id));
  for (const id of known) graph.setNode(id, { width: NODE_WIDTH, height: NODE_HEIGHT });
  const drawn = edges.filter(({ from, to }) => known.has(from) && known.has(to));
  for (const { from, to } of drawn) graph.setEdge(from, to);
  layout(graph);
  return {
    nodes: nodes.map((node) => {
      const { x, y } = graph.node(node.id) as { x: number; y: number };
      return { ...node, x: x - NODE_WIDTH / 2, y: y - NODE_HEIGHT / 2 };
    }),
    edges: drawn.map(({ from, to }) => ({ id: `${from} ${to}`, from, to })),
    height: (graph.graph() as { height?: number }).height ?? 0,
  };
}

/** What stands between the name of the owner and that of its member, by the kind of the member. */
const MEMBER_MARKS: Readonly<Record<string, string>> = {
  field: '#',
  feature: '.',
  'service-feature': '.',
  'decision-input': '.',
};

/**
 * The name of a node in two lines: cut at the end, members of one owner would all look the same.
 *
 * @example nameOnCard({ kind: 'feature', name: 'orders.spend_30d' }) // { owner: 'orders', name: 'spend_30d' }
 */
export function nameOnCard({ kind, name }: Pick<LineageNode, 'kind' | 'name'>): {
  owner?: string;
  name: string;
} {
  const mark = MEMBER_MARKS[kind];
  const at = mark === undefined ? -1 : name.lastIndexOf(mark);
  return at < 1 ? { name } : { owner: name.slice(0, at), name: name.slice(at + 1) };
}
