import type { Action } from './command-row.ts';
import { EXIT, pastTime, print } from './output.ts';
import { openClient } from './session.ts';

interface Node {
  id: string;
  version?: string;
  type?: string;
  depth: number;
}

interface Graph {
  node: string;
  nodes: Node[];
  edges: { from: string; to: string }[];
  nextCursor: string | null;
  truncated: boolean;
}

/** `aios lineage NODE`: what it is made of and what is made of it, as a tree each. */
export const lineage: Action = async (options, [node = '']) => {
  const client = await openClient(options);
  const { up, down, depth, kinds, asOf } = options as Record<string, string | true | undefined>;
  const direction: 'up' | 'down' | 'both' = up === down ? 'both' : up ? 'up' : 'down';
  const pages: Graph[] = [];
  for (let cursor: string | null | undefined; cursor !== null; cursor = pages.at(-1)!.nextCursor)
    pages.push(
      await client.request<Graph>('GET', '/api/v1/lineage', {
        query: {
          node,
          direction,
          depth: depth as string,
          kinds: kinds as string,
          asOf: pastTime(asOf as string | undefined),
          cursor,
          limit: 5000,
        },
      }),
    );
  const graph: Graph = {
    ...pages[0]!,
    nodes: pages.flatMap((page) => page.nodes),
    edges: pages.flatMap((page) => page.edges),
    nextCursor: null,
    truncated: pages.some((page) => page.truncated),
  };
  print(graph, options.json, () => {
    const ways: ('up' | 'down')[] = direction === 'both' ? ['up', 'down'] : [direction];
    const trees = ways.map((way) => `${HEADING[way]}\n${treeOf(graph, way)}`);
    return trees.join('\n\n') + (graph.truncated ? '\n\nThere is more: ask with --depth or --kinds.' : '');
  });
  return EXIT.ok;
};

const HEADING = { up: 'made of', down: 'used by' } as const;

/** Each node under the one by which it is reached first; one that comes again is not drawn again with all that hangs on it. */
export function treeOf({ node, nodes, edges }: Graph, direction: 'up' | 'down'): string {
  const known = new Map(nodes.map((each) => [each.id, each]));
  const next = new Map<string, string[]>();
  for (const { from, to } of edges) {
    const [near, far] = direction === 'down' ? [from, to] : [to, from];
    next.set(near, [...(next.get(near) ?? []), far]);
  }
  const depthOf = (id: string) => Math.abs(known.get(id)?.depth ?? 0);
  const drawn = new Set([node]);
  const lines: string[] = [];
  const draw = (id: string, indent: string): void => {
    const below = (next.get(id) ?? []).filter((each) => known.has(each)).sort();
    for (const [at, each] of below.entries()) {
      const isLast = at === below.length - 1;
      const again = drawn.has(each) || depthOf(each) <= depthOf(id);
      const more = again && next.has(each) && each !== node;
      lines.push(`${indent}${isLast ? '└ ' : '├ '}${labelOf(known.get(each)!)}${more ? ' …' : ''}`);
      if (again) continue;
      drawn.add(each);
      draw(each, `${indent}${isLast ? '  ' : '│ '}`);
    }
  };
  draw(node, '');
  const root = known.get(node);
  return [root ? labelOf(root) : node, ...(lines.length > 0 ? lines : ['└ nothing'])].join('\n');
}

function labelOf({ id, version, type }: Node): string {
  return `${id}${version === undefined || id.includes('@') ? '' : ` v${version}`}${type === undefined || type.length > 40 ? '' : ` (${type})`}`;
}
