import '@xyflow/react/dist/style.css';
import '../runs/flow-chart.css';
import './lineage.css';
import { useComputedColorScheme } from '@mantine/core';
import {
  Background,
  Controls,
  type Edge,
  Handle,
  MarkerType,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
} from '@xyflow/react';
import { useMemo } from 'react';
import type { LineageGraph, LineageNode } from '../api/lineage.ts';
import { placeLineage } from './lineage-layout.ts';

const HEIGHT_MIN = 220;
const HEIGHT_MAX = 560;
type NodeOfChart = Node<{ node: LineageNode; selected: boolean }, 'lineage'>;
const nodeTypes = { lineage: Card };
const COLOUR = 'var(--quiet-line)';

/** The graph around a node; a click on another one goes there. */
export function LineageChart({ graph, onSelect }: { graph: LineageGraph; onSelect: (node: string) => void }) {
  const scheme = useComputedColorScheme('light');
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
  const edges = placed.edges.map(
    ({ id, from, to }): Edge => ({
      ...{ id, source: from, target: to, style: { stroke: COLOUR } },
      markerEnd: { type: MarkerType.ArrowClosed, color: COLOUR, width: 14, height: 14 },
    }),
  );
  const height = Math.min(HEIGHT_MAX, Math.max(HEIGHT_MIN, placed.height + 40));
  return (
    <section style={{ height }} aria-label="Lineage graph">
      <ReactFlow
        key={graph.node}
        nodes={nodes}
        edges={edges}
        nodeTypes={nodeTypes}
        colorMode={scheme}
        fitView
        fitViewOptions={{ padding: 0.06, maxZoom: 1.05 }}
        minZoom={0.05}
        nodesDraggable={false}
        nodesConnectable={false}
        edgesFocusable={false}
        nodesFocusable={false}
        zoomOnScroll={false}
        preventScrolling={false}
        onNodeClick={(_, { id }) => onSelect(id)}
      >
        <Background gap={18} />
        <Controls showInteractive={false} position="bottom-right" orientation="horizontal" />
      </ReactFlow>
    </section>
  );
}

function Card({ data: { node, selected } }: NodeProps<NodeOfChart>) {
  return (
    <div className="lineage-card" data-selected={selected} title={node.id}>
      <Handle type="target" position={Position.Left} isConnectable={false} />
      <span className="lineage-kind">
        {node.kind}
        {node.version === undefined ? '' : ` v${node.version}`}
      </span>
      <span className="lineage-name">{node.name}</span>
      <Handle type="source" position={Position.Right} isConnectable={false} />
    </div>
  );
}
