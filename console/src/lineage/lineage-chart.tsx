import './lineage.css';
import { type Edge, Handle, type Node, type NodeProps, Position } from '@xyflow/react';
import { useMemo } from 'react';
import type { LineageGraph, LineageNode } from '../api/lineage.ts';
import { arrow, GraphChart } from '../display/graph-chart.tsx';
import { nameOnCard, placeLineage } from './lineage-layout.ts';

const HEIGHT_MIN = 220;
/** Sixteen rows at full size: a model with its features. */
const HEIGHT_MAX = 940;
type NodeOfChart = Node<{ node: LineageNode; selected: boolean }, 'lineage'>;
const nodeTypes = { lineage: Card };
const ARROW = arrow('var(--quiet-line)', 14);

/** The graph around a node; a click on another one goes there. */
export function LineageChart({ graph, onSelect }: { graph: LineageGraph; onSelect: (node: string) => void }) {
  const placed = useMemo(() => placeLineage(graph), [graph]);
  const nodes = placed.nodes.map(
    (node): NodeOfChart => ({
      id: node.id,
      type: 'lineage',
      position: { x: node.x, y: node.y },
      data: { node, selected: node.id === graph.node },
      ariaRole: 'group',
      ariaLabel: `${node.kind} ${node.name}`,
    }),
  );
  const edges = placed.edges.map(({ id, from, to }): Edge => ({ ...ARROW, id, source: from, target: to }));
  return (
    <GraphChart
      key={graph.node}
      label="Lineage graph"
      height={Math.min(HEIGHT_MAX, Math.max(HEIGHT_MIN, placed.height + 40))}
      nodes={nodes}
      edges={edges}
      nodeTypes={nodeTypes}
      nodesFocusable={false}
      minZoom={0.05}
      fitZoomMin={0.6}
      onNodeClick={(_, { id }) => onSelect(id)}
    />
  );
}

function Card({ data: { node, selected } }: NodeProps<NodeOfChart>) {
  const { owner, name } = nameOnCard(node);
  return (
    <div className="lineage-card" data-selected={selected} title={node.id}>
      <Handle type="target" position={Position.Left} isConnectable={false} />
      <span className="lineage-kind">
        {node.kind}
        {node.version === undefined ? '' : ` v${node.version}`}
        {owner === undefined ? '' : ` of ${owner}`}
      </span>
      <span className="lineage-name">{name}</span>
      <Handle type="source" position={Position.Right} isConnectable={false} />
    </div>
  );
}
