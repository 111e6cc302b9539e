import './flow-chart.css';
import { useMediaQuery } from '@mantine/hooks';
import { type Edge, Handle, type Node, type NodeProps, Position } from '@xyflow/react';
import { useMemo } from 'react';
import type { Run } from '../api/shapes.ts';
import { duration } from '../display/format.ts';
import { arrow, GraphChart } from '../display/graph-chart.tsx';
import { statusTone } from '../display/tone.ts';
import { type PlacedNode, placeGraph } from './chart-layout.ts';
import { FlowEdge } from './flow-edge.tsx';
import { StepIcon } from './step-icon.tsx';

const HEIGHT_MIN = 170;
const HEIGHT_MAX = 420;
/** A flow of ten steps, top down, at a size that a phone can show. */
const HEIGHT_DOWN_MAX = 680;
/** Below it the names of steps are under 8 px: such a flow is shown in part, and moved. */
const FIT_ZOOM_MIN = 0.6;
type StepNode = Node<
  { node: PlacedNode; down: boolean; selected: boolean; note: string | undefined },
  'step'
>;
const nodeTypes = { step: StepCard };
const edgeTypes = { flow: FlowEdge };

interface FlowChartProps {
  run: Pick<Run, 'graph' | 'steps' | 'status' | 'error'>;
  selected: string | undefined;
  onSelect: (stepKey: string) => void;
  isDrawing?: boolean;
}

/** A flow of which no run is shown: what its steps do stands in the place of how far they came. */
export function FlowDrawing({ graph }: Pick<Run, 'graph'>) {
  const run = useMemo(() => ({ graph, steps: [], status: 'pending' as const }), [graph]);
  return <FlowChart run={run} selected={undefined} onSelect={() => {}} isDrawing />;
}

/** The flow that the run follows, with how far it has come; it changes as the run does. */
export function FlowChart({ run, selected, onSelect, isDrawing = false }: FlowChartProps) {
  const down = useMediaQuery('(max-width: 48em)', false, { getInitialValueInEffect: false });
  const placed = useMemo(() => placeGraph(run, down ? 'TB' : 'LR'), [run, down]);
  const nodes = useMemo(
    () =>
      placed.nodes.map(
        (node): StepNode => ({
          id: node.id,
          type: 'step',
          position: { x: node.x, y: node.y },
          data: { node, down, selected: node.id === selected, note: noteOf(node, isDrawing) },
          ariaRole: 'group',
          ariaLabel: `${node.label}: ${(isDrawing && noteOf(node, true)) || node.status}`,
          focusable: node.step !== undefined,
        }),
      ),
    [placed, down, selected, isDrawing],
  );
  const edges = useMemo(() => placed.edges.map(edgeOf), [placed]);
  const height = Math.min(down ? HEIGHT_DOWN_MAX : HEIGHT_MAX, Math.max(HEIGHT_MIN, placed.height + 40));
  return (
    <GraphChart
      key={down ? 'down' : 'across'}
      label={isDrawing ? 'Flow' : 'Flow of the run'}
      height={height}
      nodes={nodes}
      edges={edges}
      nodeTypes={nodeTypes}
      edgeTypes={edgeTypes}
      minZoom={0.2}
      fitZoomMin={FIT_ZOOM_MIN}
      onNodeClick={(_, { data }) => data.node.step && onSelect(data.node.step.key)}
    />
  );
}

function edgeOf({
  id,
  from,
  to,
  label,
  points,
  at,
  taken,
}: ReturnType<typeof placeGraph>['edges'][number]): Edge {
  const { style, markerEnd } = arrow(taken ? 'var(--good-line)' : 'var(--quiet-line)', 16);
  return {
    id,
    type: 'flow',
    source: from,
    target: to,
    label,
    data: { points, at },
    style: { ...style, strokeWidth: taken ? 2 : 1.2, strokeDasharray: taken ? undefined : '5 5' },
    markerEnd,
  };
}

function noteOf({ kind, primitive, status, step }: PlacedNode, isDrawing: boolean): string | undefined {
  if (kind === 'start' || kind === 'end') return undefined;
  if (isDrawing) return primitive ?? kind;
  return step?.durationMs === undefined ? status : duration(step.durationMs);
}

/** A name that breaks between its parts, as in `return.requested`, before it breaks within one. */
function Breakable({ text }: { text: string }) {
  const parts = text.split(/(?<=[._:-])/);
  return parts.flatMap((part, at) => (at === 0 ? part : [<wbr key={parts.slice(0, at).join('')} />, part]));
}

function StepCard({ data: { node, down, selected, note } }: NodeProps<StepNode>) {
  const { kind, label, primitive, status, step, times } = node;
  const [into, out] = down ? [Position.Top, Position.Bottom] : [Position.Left, Position.Right];
  return (
    <div
      className={`step-card tone-${statusTone(status)}`}
      data-selected={selected}
      data-reached={status !== 'pending'}
      data-end={kind === 'end'}
      data-clickable={step !== undefined}
    >
      {kind !== 'start' && <Handle type="target" position={into} isConnectable={false} />}
      <span className="step-icon">
        <StepIcon kind={kind} primitive={primitive} />
      </span>
      {kind !== 'end' && (
        <span className="step-text">
          <span className="step-name">
            <Breakable text={label} />
            {times > 1 ? ` ×${times}` : ''}
          </span>
          {note && <span className="step-note">{note}</span>}
        </span>
      )}
      {kind !== 'end' && <Handle type="source" position={out} isConnectable={false} />}
    </div>
  );
}
