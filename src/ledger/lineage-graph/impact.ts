import type { DefinitionLineage, LineageEdge, LineageNode } from '../../kernel/definition-lineage.ts';
import type { Json } from '../../kernel/json.ts';
import { type EdgesOf, walk } from './subgraph.ts';

/** What a change does to who reads: it cannot go on, its values are others, nothing. */
type Severity = 'breaks' | 'changes-values' | 'unaffected';

/** A node of a definition that its change touches. */
interface NodeChange {
  readonly node: string;
  readonly effect: 'removed' | 'retyped' | 'changed' | 'added';
  readonly from?: string;
  readonly to?: string;
}

/** A node that depends on what changes. */
interface Affected {
  readonly node: string;
  readonly severity: Severity;
  /** 1: it reads what changes itself. */
  readonly depth: number;
  /** What it reads of that: the node before it on the way. */
  readonly through: string;
  /** It writes what changes, rather than reads it. */
  readonly writes?: boolean;
}

/** What depends on a definition that a plan changes. */
export interface Impact {
  readonly kind: string;
  readonly name: string;
  readonly severity: Severity;
  readonly changes: readonly NodeChange[];
  /** The nearest first. */
  readonly affected: readonly Affected[];
  /** Runs that have not ended, of flows that are changed or depend on the change. */
  readonly runsUnderWay: number;
  /** The way forward. */
  readonly hint: string;
  /** More depends on it than is told. */
  readonly truncated: boolean;
}

/** A definition that a plan changes: what it brings now (nothing when it is new) and will bring. */
export interface ChangedLineage {
  readonly kind: string;
  readonly name: string;
  readonly before: DefinitionLineage | undefined;
  readonly after: DefinitionLineage;
}

const RANK: Record<Severity, number> = { breaks: 2, 'changes-values': 1, unaffected: 0 };
const SEVERITY: Record<NodeChange['effect'], Severity> = {
  removed: 'breaks',
  retyped: 'breaks',
  changed: 'changes-values',
  added: 'unaffected',
};
/** Past these a fault is handled or ends in a failed run: who comes after them sees other values, or none. */
const STOPS = new Set(['workflow', 'event-type', 'job']);

/**
 * What a change of a definition does, to the column: a field that is removed names the features that read it, the models that take these, and on.
 *
 * @param edgesOf the graph as the plan will leave it
 * @param underWay runs that have not ended, by flow
 * @example (await impactOf({ kind: 'contract', name: 'order.placed', before, after }, edgesOf, 500, async () => new Map())).severity // 'breaks'
 */
export async function impactOf(
  { kind, name, before, after }: ChangedLineage,
  edgesOf: EdgesOf,
  nodesMax: number,
  underWay: (workflows: readonly string[]) => Promise<ReadonlyMap<string, number>>,
): Promise<Impact> {
  const changes = before ? changesOf(before.nodes, after.nodes) : [];
  const affected = new Map<string, Affected>();
  let truncated = false;
  const own = new Set(after.nodes.map(({ id }) => id));
  for (const severity of ['breaks', 'changes-values'] as const) {
    const roots = changes.filter((change) => severityOf(change) === severity).map(({ node }) => node);
    if (roots.length === 0) continue;
    const walked = await walk(roots, 'down', { depth: DEPTH_MAX, nodesMax }, edgesOf);
    truncated ||= walked.truncated;
    const writers = await edgesOf(
      roots.filter((id) => id.startsWith('field:')).map(eventTypeOf),
      'up',
      nodesMax,
    );
    for (const each of [
      ...reached(walked.depths, walked.edges, severity),
      ...writers.filter(({ from }) => !from.startsWith('contract:')).map((edge) => writer(edge, severity)),
    ]) {
      const known = affected.get(each.node);
      if (own.has(each.node) || roots.includes(each.node)) continue;
      if (!known || RANK[each.severity] > RANK[known.severity]) affected.set(each.node, each);
    }
  }
  const told = [...affected.values()].sort(
    (a, b) => a.depth - b.depth || RANK[b.severity] - RANK[a.severity],
  );
  const flows = told
    .filter(({ node }) => node.startsWith('workflow:'))
    .map(({ node }) => node.slice('workflow:'.length));
  if (kind === 'workflow' && changes.length > 0) flows.push(name);
  const counts = flows.length === 0 ? new Map<string, number>() : await underWay(flows);
  const runsUnderWay = [...counts.values()].reduce((sum, runs) => sum + runs, 0);
  const severity = worst(told.map((each) => each.severity));
  return {
    ...{ kind, name, severity, changes, affected: told, runsUnderWay, truncated },
    hint: hintOf(kind, name, severity, changes, told),
  };
}

/** As far as a question about lineage goes (`lineageDepthMax`). */
const DEPTH_MAX = 200;

/** The nodes of a definition that differ between two versions of it. */
function changesOf(before: readonly LineageNode[], after: readonly LineageNode[]): NodeChange[] {
  const next = new Map(after.map((node) => [node.id, node]));
  const known = new Set(before.map(({ id }) => id));
  const changes = before.flatMap((node): NodeChange[] => {
    const now = next.get(node.id);
    if (!now) return [{ node: node.id, effect: 'removed', ...(node.type && { from: node.type }) }];
    if (now.type !== node.type)
      return [{ node: node.id, effect: 'retyped', from: node.type ?? 'any', to: now.type ?? 'any' }];
    return same(node.meaning, now.meaning) ? [] : [{ node: node.id, effect: 'changed' }];
  });
  const added = after
    .filter(({ id }) => !known.has(id))
    .map(({ id }): NodeChange => ({ node: id, effect: 'added' }));
  return [...changes, ...added];
}

function same(a: Json | undefined, b: Json | undefined): boolean {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}

function severityOf({ effect, from, to }: NodeChange): Severity {
  // Whoever reads numbers reads whole ones.
  return effect === 'retyped' && from === 'integer' && to === 'number' ? 'changes-values' : SEVERITY[effect];
}

/** What a walk reached, each with the node before it; a fault goes on as other values past what handles it. */
function reached(
  depths: ReadonlyMap<string, number>,
  edges: readonly LineageEdge[],
  severity: Severity,
): Affected[] {
  const before = new Map<string, string>();
  for (const { from, to } of edges)
    if (depths.get(from) === depths.get(to)! - 1 && !before.has(to)) before.set(to, from);
  const severities = new Map<string, Severity>();
  const result: Affected[] = [];
  for (const [node, depth] of depths) {
    const through = before.get(node);
    if (through === undefined) {
      severities.set(node, severity);
      continue;
    }
    const inherited = severities.get(through) ?? severity;
    const own =
      inherited === 'breaks' && STOPS.has(through.slice(0, through.indexOf(':')))
        ? 'changes-values'
        : inherited;
    severities.set(node, own);
    result.push({ node, severity: own, depth, through });
  }
  return result;
}

/** Who writes events whose fields change: what it writes may not fit any more. */
function writer({ from, to }: LineageEdge, severity: Severity): Affected {
  return { node: from, severity, depth: 1, through: to, writes: true };
}

const eventTypeOf = (field: string) => `event-type:${field.slice('field:'.length, field.indexOf('#'))}`;

function worst(severities: readonly Severity[]): Severity {
  return severities.reduce((a, b) => (RANK[b] > RANK[a] ? b : a), 'unaffected');
}

/** Kinds that act or decide when a run comes to them, and keep no values that could be computed again. */
const ACTING = new Set(['workflow', 'decision', 'queue', 'connector', 'calendar']);

function hintOf(
  kind: string,
  name: string,
  severity: Severity,
  changes: readonly NodeChange[],
  affected: readonly Affected[],
): string {
  if (severity === 'unaffected') return 'Nothing that reads it sees a difference.';
  const direct = affected.filter(({ depth, writes }) => depth === 1 && !writes).map(({ node }) => node);
  const readers = direct.slice(0, 3).join(', ') + (direct.length > 3 ? ` and ${direct.length - 3} more` : '');
  if (severity === 'breaks') {
    const gone = changes.filter((change) => severityOf(change) === 'breaks').map(({ node }) => node);
    return `Keep ${gone.slice(0, 3).join(', ')} until nothing reads it, or change ${readers || 'what depends on it'} in the same apply.`;
  }
  if (kind === 'model')
    return `The new version of ${name} answers once its alias moves: compare it as a shadow or a canary first.`;
  return ACTING.has(kind)
    ? `${readers || name} may give other results from then on: run aios workflows test before you apply it.`
    : `Values of ${readers || name} differ from then on: back-fill what is kept, and look at the models that were trained on them.`;
}
