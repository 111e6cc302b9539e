import '@xyflow/react/dist/style.css';
import './graph-chart.css';
import { useComputedColorScheme } from '@mantine/core';
import {
  Background,
  Controls,
  type Edge,
  MarkerType,
  type Node,
  ReactFlow,
  type ReactFlowProps,
} from '@xyflow/react';

type Shown = 'nodes' | 'edges' | 'nodeTypes' | 'edgeTypes' | 'nodesFocusable' | 'minZoom' | 'onNodeClick';

interface GraphChartProps<NodeType extends Node> extends Pick<ReactFlowProps<NodeType>, Shown> {
  label: string;
  /** Of the chart, in px. */
  height: number;
  /** A graph that fits only below this is shown in part: its text would be too small to read. */
  fitZoomMin: number;
}

/**
 * A graph that is looked at and chosen from, not edited: it fits its frame and leaves scrolling to the page.
 * Whoever draws it places the nodes.
 */
export function GraphChart<NodeType extends Node>({
  label,
  height,
  fitZoomMin,
  ...shown
}: GraphChartProps<NodeType>) {
  const scheme = useComputedColorScheme('light');
  return (
    <section style={{ height }} aria-label={label}>
      <ReactFlow
        {...shown}
        colorMode={scheme}
        fitView
        fitViewOptions={{ padding: 0.06, minZoom: fitZoomMin, maxZoom: 1.05 }}
        nodesDraggable={false}
        nodesConnectable={false}
        edgesFocusable={false}
        zoomOnScroll={false}
        preventScrolling={false}
      >
        <Background gap={18} />
        <Controls showInteractive={false} position="bottom-right" orientation="horizontal" />
      </ReactFlow>
    </section>
  );
}

/** How an edge looks in a colour, with a head of `size` px. */
export function arrow(colour: string, size: number): Pick<Edge, 'style' | 'markerEnd'> {
  return {
    style: { stroke: colour },
    markerEnd: { type: MarkerType.ArrowClosed, color: colour, width: size, height: size },
  };
}
