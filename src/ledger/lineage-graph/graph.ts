import type { LineageEdge } from '../../kernel/definition-lineage.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Queryable } from '../../store/database.ts';
import { timestamp } from '../../store/rows.ts';
import type { Lineage, LineagePin } from '../lineage.ts';
import { nearNames } from './near-names.ts';
import { contracted, type Direction, type WalkBounds, type Walked, walk } from './subgraph.ts';

export interface GraphQuery {
  /** `feature:customer-orders.spend_30d`, `run:…`; of a version `decision:return-policy@3`: as it was made. */
  readonly node: string;
  readonly direction: Direction | 'both';
  /** Most edges between the node and what is told. */
  readonly depth?: number | undefined;
  /** Kinds of nodes that are told; edges then stand for the ways between them. */
  readonly kinds?: readonly string[] | undefined;
  /** What was in force then, milliseconds; now when left out. */
  readonly asOf?: number | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface GraphNode {
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  /** Of a definition: the one in force. */
  readonly version?: string | undefined;
  readonly type?: string | undefined;
  readonly title?: string | undefined;
  /** Edges from the node that was asked for; up is negative. */
  readonly depth: number;
}

export interface GraphAnswer {
  readonly node: string;
  readonly asOf: number | null;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly LineageEdge[];
  readonly nextCursor: string | null;
  /** There is more than `lineageNodesMax`, or farther than `lineageDepthMax`: ask with less depth, for fewer kinds, or from a node farther on. */
  readonly truncated: boolean;
}

interface Start {
  readonly edges: readonly LineageEdge[];
  readonly asOf: number | undefined;
  readonly versions: ReadonlyMap<string, string>;
}

interface Dependencies {
  readonly db: Queryable;
  readonly lineage: Lineage;
  readonly limits: Pick<Limits, 'lineageNodesMax' | 'lineageDepthMax' | 'lineageRunsMax'>;
  /** What came of a run besides: its tasks. */
  readonly outcomes: (runId: string) => Promise<readonly string[]>;
  /** The run that a task belongs to. */
  readonly runOfTask: (taskId: string) => Promise<string | undefined>;
}

const EDGES_DOWN = `select from_id as "from", to_id as "to" from lineage_edges
  where from_id = any($1::text[]) and since <= coalesce($2::timestamptz, now()) and (until is null or until > coalesce($2::timestamptz, now()))
  limit $3`;
const EDGES_UP = `select from_id as "from", to_id as "to" from lineage_edges
  where to_id = any($1::text[]) and since <= coalesce($2::timestamptz, now()) and (until is null or until > coalesce($2::timestamptz, now()))
  limit $3`;
const NAMES_MAX = 5_000;

/** Questions about the graph: what lies up from a node (what it is made of), what down (what is made of it). */
export class LineageGraph {
  readonly #deps: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#deps = dependencies;
  }

  /**
   * @throws AiosError `lineage.unknown_node` with near names, `request.invalid` for a cursor of another question
   * @example await graph.query({ node: 'field:order.placed#total', direction: 'down', kinds: ['feature', 'model'] })
   */
  async query({
    node,
    direction,
    depth,
    kinds,
    asOf,
    limit = 500,
    cursor,
  }: GraphQuery): Promise<GraphAnswer> {
    const { lineageNodesMax: nodesMax, lineageDepthMax } = this.#deps.limits;
    const start = await this.#start(node, direction, asOf);
    const isDepthAsked = depth !== undefined && depth <= lineageDepthMax;
    const bounds = { depth: isDepthAsked ? depth : lineageDepthMax, nodesMax, isDepthAsked };
    const directions: Direction[] = direction === 'both' ? ['up', 'down'] : [direction];
    const depths = new Map<string, number>();
    const edges: LineageEdge[] = [];
    let truncated = false;
    for (const way of directions) {
      const walked = await this.#walk(node, start, way, bounds);
      for (const [id, at] of walked.depths) if (!depths.has(id)) depths.set(id, way === 'up' ? 0 - at : at);
      edges.push(...walked.edges);
      truncated ||= walked.truncated;
    }
    const shown = kinds && new Set(kinds);
    const isShown = (id: string) => id === node || !shown || shown.has(kindOf(id));
    const all = [...depths.keys()].filter(isShown);
    const from = offsetOf(cursor);
    const page = all.slice(from, from + limit);
    // An edge comes with the later of its ends, so that pages together hold each once.
    const place = new Map(all.map((id, at) => [id, at]));
    const last = ({ from: a, to: b }: LineageEdge) => Math.max(place.get(a) ?? -1, place.get(b) ?? -1);
    const drawn = shown ? contracted(edges, isShown) : edges;
    return {
      node,
      asOf: start.asOf ?? null,
      nodes: await this.#described(page, depths, start),
      edges: unique(drawn).filter((edge) => last(edge) >= from && last(edge) < from + page.length),
      nextCursor: from + page.length < all.length ? String(from + page.length) : null,
      truncated,
    };
  }

  /** Edges of the graph as they are now (or were): what an impact report goes along. */
  edgesOf(ids: readonly string[], direction: Direction, max: number, asOf?: number): Promise<LineageEdge[]> {
    const time = asOf === undefined ? null : timestamp(asOf);
    return this.#deps.db.query<{ from: string; to: string }>(direction === 'down' ? EDGES_DOWN : EDGES_UP, [
      ids,
      time,
      max,
    ]);
  }

  async #walk(
    node: string,
    { edges, asOf }: Start,
    direction: Direction,
    bounds: WalkBounds,
  ): Promise<Walked> {
    // Edges of runs, tasks and versions are not kept: they lead from the node into the graph.
    return walk([node], direction, bounds, async (level, way, max) => {
      const within = new Set(level);
      const own = edges.filter(({ from, to }) => within.has(way === 'down' ? from : to));
      return [...own, ...(await this.edgesOf(level, way, max, asOf))];
    });
  }

  async #start(node: string, direction: GraphQuery['direction'], asOf: number | undefined): Promise<Start> {
    const kind = kindOf(node);
    const name = node.slice(kind.length + 1);
    if (kind === 'run') return this.#startOfRun(node, name, asOf);
    if (kind === 'task') {
      const run = await this.#deps.runOfTask(name);
      if (run === undefined) throw this.#unknown(node, []);
      const start = await this.#startOfRun(`run:${run}`, run, asOf);
      return {
        ...start,
        edges: [...start.edges.filter(({ to }) => to !== node), { from: `run:${run}`, to: node }],
      };
    }
    const [known] = await this.#deps.db.query<{ id: string }>('select id from lineage_nodes where id = $1', [
      node,
    ]);
    const at = node.lastIndexOf('@');
    if (at > 0 && !known) {
      const versioned = await this.#startOfVersion(node, at, direction, asOf);
      if (versioned) return versioned;
    }
    if (!known) throw this.#unknown(node, await this.#near(kind, node));
    const runs = at > 0 && direction !== 'up' ? await this.#runsWith(node, at) : [];
    return { edges: runs, asOf, versions: new Map() };
  }

  /** What a run was made with, at the time when it was; and what came of it. */
  async #startOfRun(node: string, runId: string, asOf: number | undefined): Promise<Start> {
    const { lineage, outcomes } = this.#deps;
    const made = await lineage.madeOf(runId);
    const tasks = await outcomes(runId);
    if (!made && tasks.length === 0) throw this.#unknown(node, []);
    const versions = new Map<string, string>();
    const edges = tasks.map((task) => ({ from: node, to: `task:${task}` }));
    for (const { kind, name, version } of made?.pins ?? []) {
      const isKept = kind === 'model' || kind === 'dataset'; // versions of these are nodes of their own
      const id = isKept ? `${kind}:${name}@${version}` : `${kind}:${name}`;
      if (!isKept) versions.set(id, version);
      edges.push({ from: id, to: node });
    }
    return { edges, asOf: asOf ?? (made && (await this.#madeAt(made.at, made.pins))), versions };
  }

  /** Business time may lie before its definitions were applied (a replay of a year): then the time counts in which they were. */
  async #madeAt(at: number, pins: readonly LineagePin[]): Promise<number> {
    const [row] = await this.#deps.db.query<{ at: number | null }>(
      `select max(d.created_at) as at from unnest($1::text[], $2::text[], $3::text[]) as t(kind, name, version)
       join definitions d on d.kind = t.kind and d.name = t.name and d.version::text = t.version`,
      [pins.map(({ kind }) => kind), pins.map(({ name }) => name), pins.map(({ version }) => version)],
    );
    return Math.max(at, row?.at ?? 0) + 1; // both are cut to milliseconds: what came within the same one counts
  }

  /** A version of a definition: the graph while it was in force, and the runs that were made with it. */
  async #startOfVersion(
    node: string,
    at: number,
    direction: GraphQuery['direction'],
    asOf: number | undefined,
  ): Promise<Start | undefined> {
    const kind = kindOf(node);
    const name = node.slice(kind.length + 1, at);
    const version = node.slice(at + 1);
    const plain = `${kind}:${name}`;
    const [found] = await this.#deps.db.query<{ created_at: number; replaced_at: number | null }>(
      `select d.created_at, (select min(n.created_at) from definitions n where n.kind = d.kind and n.name = d.name and n.version > d.version) as replaced_at
       from definitions d where d.kind = $1 and d.name = $2 and d.version::text = $3`,
      [kind, name, version],
    );
    const runs = direction === 'up' ? [] : await this.#runsWith(node, at);
    if (!found && runs.length === 0) return undefined;
    const edges = [{ from: plain, to: node }, { from: node, to: plain }, ...runs];
    // The last moment in which it was in force, so that what was built on it later is seen.
    const until = found?.replaced_at == null ? undefined : found.replaced_at - 1;
    return { edges, asOf: asOf ?? until, versions: new Map([[plain, version]]) };
  }

  async #runsWith(node: string, at: number): Promise<LineageEdge[]> {
    const kind = kindOf(node);
    const { lineage, limits } = this.#deps;
    const name = node.slice(kind.length + 1, at);
    const runs = await lineage.runsWith(kind, name, node.slice(at + 1), limits.lineageRunsMax);
    return runs.map((run) => ({ from: node, to: `run:${run}` }));
  }

  async #described(
    ids: readonly string[],
    depths: ReadonlyMap<string, number>,
    start: Start,
  ): Promise<GraphNode[]> {
    const { db } = this.#deps;
    const time = start.asOf === undefined ? null : timestamp(start.asOf);
    const [rows, versions] = await Promise.all([
      db.query<{ id: string; type: string | null; title: string | null }>(
        'select id, type, title from lineage_nodes where id = any($1::text[])',
        [ids],
      ),
      db.query<{ id: string; version: number }>(
        `select t.id, d.version from unnest($1::text[], $2::text[], $3::text[]) as t(id, kind, name)
         cross join lateral (select version from definitions d where d.kind = t.kind and d.name = t.name
           and d.created_at <= coalesce($4::timestamptz, now()) order by version desc limit 1) d`,
        [ids, ids.map(kindOf), ids.map((id) => id.slice(id.indexOf(':') + 1)), time],
      ),
    ]);
    const byId = new Map(rows.map((row) => [row.id, row]));
    const inForce = new Map(versions.map(({ id, version }) => [id, String(version)]));
    return ids.map((id) => {
      const { type, title } = byId.get(id) ?? {};
      const version = start.versions.get(id) ?? inForce.get(id);
      return {
        ...{ id, kind: kindOf(id), name: id.slice(id.indexOf(':') + 1), depth: depths.get(id)! },
        ...(version !== undefined && { version }),
        ...(type && { type }),
        ...(title && { title }),
      };
    });
  }

  async #near(kind: string, node: string): Promise<string[]> {
    const { db } = this.#deps;
    const own = await db.query<{ id: string }>(
      'select id from lineage_nodes where kind = $1 and until is null order by id limit $2',
      [kind, NAMES_MAX],
    );
    if (own.length > 0)
      return nearNames(
        node,
        own.map(({ id }) => id),
      );
    const all = await db.query<{ id: string }>(
      'select id from lineage_nodes where until is null order by id limit $1',
      [NAMES_MAX],
    );
    return nearNames(
      node,
      all.map(({ id }) => id),
    );
  }

  #unknown(node: string, near: readonly string[]): AiosError {
    const hint = near.length > 0 ? ` Near it: ${near.join(', ')}.` : '';
    return new AiosError('lineage.unknown_node', {
      detail: `The graph has no node “${node}”.${hint}`,
      extensions: { near: [...near] },
    });
  }
}

function kindOf(id: string): string {
  return id.slice(0, Math.max(0, id.indexOf(':')));
}

function unique(edges: readonly LineageEdge[]): LineageEdge[] {
  return [...new Map(edges.map((edge) => [`${edge.from}\0${edge.to}`, edge])).values()];
}

function offsetOf(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  if (/^\d{1,9}$/.test(cursor)) return Number(cursor);
  throw new AiosError('request.invalid', {
    issues: [{ path: '/cursor', message: 'no cursor of ours', found: cursor }],
  });
}
