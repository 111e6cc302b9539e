import type { LineageEdge } from '../../kernel/definition-lineage.ts';

export type Direction = 'up' | 'down';

/** Edges that leave any of these nodes in a direction, at most so many. */
export type EdgesOf = (
  ids: readonly string[],
  direction: Direction,
  max: number,
) => Promise<readonly LineageEdge[]>;

export interface Walked {
  /** Each node that was reached, with the number of edges to it, in the order of that and of its id. */
  readonly depths: ReadonlyMap<string, number>;
  readonly edges: readonly LineageEdge[];
  /** A bound was met: there is more. */
  readonly truncated: boolean;
}

export interface WalkBounds {
  /** Most edges between a node and the start. */
  readonly depth: number;
  /** Most nodes in all. */
  readonly nodesMax: number;
  /** Whether the depth is what was asked for: then nothing is missing behind it. */
  readonly isDepthAsked?: boolean;
}

/**
 * What lies up or down from nodes, level by level: one question a level, whatever its width.
 *
 * @example (await walk(['field:order.placed#total'], 'down', { depth: 3, nodesMax: 500 }, edgesOf)).depths.get('model:risk') // 3
 */
export async function walk(
  from: readonly string[],
  direction: Direction,
  { depth, nodesMax, isDepthAsked = false }: WalkBounds,
  edgesOf: EdgesOf,
): Promise<Walked> {
  const depths = new Map(from.map((id) => [id, 0]));
  const edges = new Map<string, LineageEdge>();
  let level: string[] = [...depths.keys()];
  let truncated = false;
  for (let at = 1; at <= depth && level.length > 0 && !truncated; at++) {
    // A node may be reached by many edges: more than the nodes are read, yet never without a bound.
    const found = await edgesOf(level, direction, EDGES_PER_NODE * nodesMax);
    truncated = found.length === EDGES_PER_NODE * nodesMax;
    const next = new Set<string>();
    for (const edge of found) {
      const reached = direction === 'down' ? edge.to : edge.from;
      if (!depths.has(reached)) {
        if (depths.size + next.size >= nodesMax && !next.has(reached)) {
          truncated = true;
          continue;
        }
        next.add(reached);
      }
      edges.set(`${edge.from}\0${edge.to}`, edge);
    }
    level = [...next].sort();
    for (const id of level) depths.set(id, at);
  }
  if (level.length > 0 && !truncated && !isDepthAsked) {
    const beyond = await edgesOf(level, direction, EDGES_PER_NODE * nodesMax);
    truncated = beyond.some(({ from, to }) => !depths.has(direction === 'down' ? to : from));
  }
  return { depths, edges: [...edges.values()], truncated };
}

const EDGES_PER_NODE = 10;

/**
 * Edges between the nodes that are shown: one stands for every way over nodes that are not.
 *
 * @example contracted([{ from: 'a', to: 'x' }, { from: 'x', to: 'b' }], (id) => id !== 'x') // [{ from: 'a', to: 'b' }]
 */
export function contracted(edges: readonly LineageEdge[], isShown: (id: string) => boolean): LineageEdge[] {
  const next = new Map<string, string[]>();
  for (const { from, to } of edges) next.set(from, [...(next.get(from) ?? []), to]);
  const result: LineageEdge[] = [];
  for (const from of next.keys()) {
    if (!isShown(from)) continue;
    const seen = new Set<string>();
    const open = [...next.get(from)!];
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (seen.has(id)) continue;
      seen.add(id);
      if (isShown(id)) {
        if (id !== from) result.push({ from, to: id });
      } else open.push(...(next.get(id) ?? []));
    }
  }
  return result;
}
