import { BaseEdge, type Edge, EdgeLabelRenderer, type EdgeProps } from '@xyflow/react';

interface Point {
  x: number;
  y: number;
}
export type FlowEdgeData = Edge<{ points: Point[]; at: Point }, 'flow'>;

/** An edge along the points that the layout gave it, so that it goes around the steps between. */
export function FlowEdge({
  data,
  label,
  sourceX,
  sourceY,
  targetX,
  targetY,
  style,
  markerEnd,
}: EdgeProps<FlowEdgeData>) {
  const between = data?.points.slice(1, -1) ?? [];
  const path = smooth([{ x: sourceX, y: sourceY }, ...between, { x: targetX, y: targetY }]);
  return (
    <>
      <BaseEdge path={path} style={style} markerEnd={markerEnd} />
      {label !== undefined && data && (
        <EdgeLabelRenderer>
          <span
            className="edge-label"
            style={{ transform: `translate(-50%, -50%) translate(${data.at.x}px, ${data.at.y}px)` }}
          >
            {label}
          </span>
        </EdgeLabelRenderer>
      )}
    </>
  );
}

/** Through the middles between the points, each point bending the way. */
function smooth(points: readonly Point[]): string {
  const [first, ...rest] = points;
  const last = rest.at(-1);
  if (!first || !last) return '';
  let path = `M ${first.x},${first.y}`;
  for (const [index, point] of rest.slice(0, -1).entries()) {
    const next = rest[index + 1]!;
    const end = next === last ? last : { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 };
    path += ` Q ${point.x},${point.y} ${end.x},${end.y}`;
  }
  return rest.length === 1 ? `${path} L ${last.x},${last.y}` : path;
}
