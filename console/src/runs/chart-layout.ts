import { Graph, layout } from '@dagrejs/dagre';
import type { Run, Step } from '../api/shapes.ts';
import { failedStepId } from './failed-step.ts';

const NODE_WIDTH = 136;
const NODE_HEIGHT = 56;
const END_WIDTH = 40;

export interface PlacedNode {
  id: string;
  label: string;
  kind: string;
  primitive: string | undefined;
  x: number;
  y: number;
  /** Undefined: the run has not come here. */
  step: Step | undefined;
  /** How many times the step ran (a loop, or retries). */
  times: number;
  status: string;
}

interface PlacedEdge {
  id: string;
  from: string;
  to: string;
  label: string | undefined;
  /** From one step to the other, around those between. */
  points: { x: number; y: number }[];
  /** Where the label stands. */
  at: { x: number; y: number };
  /** Whether the run went this way. */
  taken: boolean;
}

export interface PlacedGraph {
  nodes: PlacedNode[];
  edges: PlacedEdge[];
  width: number;
  height: number;
}

/** The flow of a run with a place for each step: left to right, or top down where the page is narrow. */
export function placeGraph(
  run: Pick<Run, 'graph' | 'steps' | 'status' | 'error'>,
  direction: 'LR' | 'TB',
): PlacedGraph {
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ rankdir: direction, nodesep: 20, ranksep: 22, marginx: 16, marginy: 16 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { id, kind } of run.graph.nodes)
    graph.setNode(id, { width: isEnd(kind) && kind === 'end' ? END_WIDTH : NODE_WIDTH, height: NODE_HEIGHT });
  for (const { from, to, label } of run.graph.edges) graph.setEdge(from, to, sizeOf(label), nameOf(label));
  layout(graph);
  const byId = Map.groupBy(run.steps, ({ id }) => id);
  const failed = failedStepId(run);
  const reached = reachedIds(run, failed);
  const nodes = run.graph.nodes.map(({ id, label, kind, primitive }): PlacedNode => {
    const { x, y, width, height } = graph.node(id) as { x: number; y: number; width: number; height: number };
    const steps = byId.get(id);
    const step = steps?.at(-1);
    const status = step?.status ?? (holds(id, failed) ? 'failed' : reached.has(id) ? 'completed' : 'pending');
    return {
      id,
      label,
      kind,
      primitive,
      x: x - width / 2,
      y: y - height / 2,
      step,
      times: steps?.length ?? 0,
      status,
    };
  });
  const edges = run.graph.edges.map(
    ({ from, to, label }): PlacedEdge => ({
      ...placeOf(graph.edge(from, to, nameOf(label)) as DrawnEdge),
      id: `${from} ${to} ${label ?? ''}`,
      from,
      to,
      label,
      taken: reached.has(from) && reached.has(to) && choiceFits(byId.get(from)?.at(-1), label),
    }),
  );
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return { nodes, edges, width, height };
}

interface DrawnEdge {
  points: { x: number; y: number }[];
  x?: number;
  y?: number;
}

function placeOf({ points, x = 0, y = 0 }: DrawnEdge): Pick<PlacedEdge, 'points' | 'at'> {
  return { points, at: { x, y } };
}

/** The room that a label needs on its edge; letters are about 6.5 px wide at 11 px. */
function sizeOf(label: string | undefined) {
  return label === undefined ? {} : { width: 6.5 * label.length + 8, height: 18, labelpos: 'c' };
}

/** Two ways from one step to another differ by their label; the layout refuses an empty name. */
function nameOf(label: string | undefined): string {
  return label ?? 'next';
}

function isEnd(kind: string): boolean {
  return kind === 'start' || kind === 'end';
}

/** The steps that ran, what holds them, where the run began and, once it completed, where it ended. */
function reachedIds(
  { graph, steps, status }: Pick<Run, 'graph' | 'steps' | 'status'>,
  failed: string | undefined,
): Set<string> {
  const reached = new Set(steps.map(({ id }) => id));
  if (failed !== undefined) reached.add(failed);
  reached.add('start');
  if (status === 'completed') reached.add('end');
  const parents = new Map(graph.nodes.map(({ id, parent }) => [id, parent]));
  for (const id of [...reached]) for (let up = parents.get(id); up; up = parents.get(up)) reached.add(up);
  return reached;
}

/** Whether a step is the one that failed, or what failed stands in it. */
function holds(id: string, failed: string | undefined): boolean {
  return failed !== undefined && (id === failed || failed.startsWith(`${id}/`));
}

function choiceFits(step: Step | undefined, label: string | undefined): boolean {
  return label === undefined || step?.choice === undefined || step.choice === label;
}
