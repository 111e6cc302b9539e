import { type Flow, nestedSteps, type StepNode, type Then } from './flow.ts';

/** A flow as a picture: nodes are steps, by the id that a run's step keys have without their indexes. */
export interface FlowGraph {
  nodes: { id: string; label: string; kind: string; primitive?: string; parent?: string }[];
  edges: { from: string; to: string; label?: string }[];
}

const START = 'start';
const END = 'end';

/**
 * @example flowGraph(flow) // { nodes: [{ id: 'start', … }, { id: 'score', label: 'score', kind: 'pure', primitive: 'infer' }], edges: [{ from: 'start', to: 'score' }] }
 */
export function flowGraph(flow: Flow): FlowGraph {
  const graph: FlowGraph = {
    nodes: [
      { id: START, label: flow.startsOn.map(({ type }) => type).join(', ') || 'start', kind: START },
      { id: END, label: 'end', kind: END },
    ],
    edges: [],
  };
  addList(graph, flow.steps, [{ from: START }], END, undefined);
  return graph;
}

interface Exit {
  from: string;
  label?: string;
}

/** Adds a list whose first step is entered from `entries` and whose ways out lead to `next`. */
function addList(
  graph: FlowGraph,
  steps: readonly StepNode[],
  entries: readonly Exit[],
  next: string,
  parent: string | undefined,
): void {
  for (const entry of entries) connect(graph, entry, steps[0]?.id ?? next);
  for (const [index, step] of steps.entries()) {
    graph.nodes.push({
      id: step.id,
      label: step.name,
      kind: step.type === 'call' ? step.primitive.kind : step.type,
      ...(step.type === 'call' ? { primitive: step.primitive.name } : {}),
      ...(parent === undefined ? {} : { parent }),
    });
    const target = (then: Then): string => {
      if (then === 'end') return END;
      if (then === 'exit') return next;
      return (then === 'continue' ? steps[index + 1] : steps[then.index])?.id ?? next;
    };
    addStep(graph, step, target);
  }
}

function addStep(graph: FlowGraph, step: StepNode, target: (then: Then) => string): void {
  if (step.type === 'switch') {
    for (const { name, next } of step.cases) connect(graph, { from: step.id, label: name }, target(next));
    if (step.cases.every(({ when }) => when)) connect(graph, { from: step.id }, target(step.next));
    return;
  }
  const after = target(step.next);
  if (step.when && step.next !== 'continue')
    connect(graph, { from: step.id, label: 'skipped' }, target('continue'));
  const lists = nestedSteps(step).filter((list) => list.length > 0);
  if (lists.length === 0) connect(graph, { from: step.id }, after);
  if (step.type === 'fork') {
    for (const branch of step.branches) addList(graph, [branch], [{ from: step.id }], after, step.id);
    return;
  }
  for (const [index, list] of lists.entries()) {
    const entry = index === 0 ? { from: step.id } : { from: step.id, label: 'error' };
    addList(graph, list, [entry], after, step.id);
  }
}

function connect(graph: FlowGraph, { from, label }: Exit, to: string): void {
  if (graph.edges.some((edge) => edge.from === from && edge.to === to && edge.label === label)) return;
  graph.edges.push(label === undefined ? { from, to } : { from, to, label });
}
