import '@xyflow/react/dist/style.css';
import './graph-chart.css';
import { useComputedColorScheme } from '@mantine/core';
import { useElementSize } from '@mantine/hooks';
import {
  Background,
  Controls,
  type Edge,
  MarkerType,
  type Node,
  ReactFlow,
  type ReactFlowInstance,
  type ReactFlowProps,
} from '@xyflow/react';
import { useEffect, useState } from 'react';

type Shown = 'nodes' | 'edges' | 'nodeTypes' | 'edgeTypes' | 'nodesFocusable' | 'minZoom' | 'onNodeClick';

interface GraphChartProps<NodeType extends Node> extends Pick<ReactFlowProps<NodeType>, Shown> {
  label: string;
  /** Of the chart, in px. */
  height: number;
  /** A graph that fits only below this is shown in part: its text would be too small to read. */
  fitZoomMin: number;
}

/** Around a graph in its frame, as a part of it: the nodes bring a margin of their own. */
const FIT_PADDING = 0.03;

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
  const [flow, setFlow] = useState<ReactFlowInstance<NodeType>>();
  const { ref, width } = useElementSize();
  // A frame of another width, such as that of a phone that is turned, is fitted again.
  useEffect(() => {
    if (width > 0 && height > 0)
      void flow?.fitView({ padding: FIT_PADDING, minZoom: fitZoomMin, maxZoom: 1.05 });
  }, [flow, width, height, fitZoomMin]);
  return (
    <section ref={ref} style={{ height }} aria-label={label}>
      <ReactFlow
        {...shown}
        colorMode={scheme}
        fitView
        fitViewOptions={{ padding: FIT_PADDING, minZoom: fitZoomMin, maxZoom: 1.05 }}
        onInit={setFlow}
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
