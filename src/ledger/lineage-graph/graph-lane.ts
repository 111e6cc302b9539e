import type { LineageEdge, LineageNode } from '../../kernel/definition-lineage.ts';
import { plannedLane, type Write, write } from '../../store/lane.ts';
import { columns } from '../../store/rows.ts';

/** What a source brings to the graph, as a whole: what it brought before and does not bring any more ends. */
export interface SourceLineage {
  /** `feature-view:customer-orders`, `model:churn@3`, `job:airflow/daily`. */
  readonly source: string;
  /** Of the definition; 0 where there are none. */
  readonly version: number;
  readonly nodes: readonly LineageNode[];
  readonly edges: readonly LineageEdge[];
  /** What it brought before stays: it tells a part at a time. */
  readonly adds?: boolean;
}

/** Three names are a key of an index, which takes 2,704 bytes. */
const NAME_BYTES_MAX = 600;
const kindOf = (id: string) => id.slice(0, id.indexOf(':'));

const ENDED_EDGES = `update lineage_edges e set until = now()
  where e.until is null and e.source = any($1::text[]) and not exists (
    select from unnest($2::text[], $3::text[], $4::text[]) as t(source, from_id, to_id)
    where t.source = e.source and t.from_id = e.from_id and t.to_id = e.to_id)`;
const ENDED_NODES = `update lineage_nodes n set until = now()
  where n.until is null and n.owner = any($1::text[]) and n.id <> all($2::text[])`;
const NODES = `insert into lineage_nodes (id, kind, owner, type, title)
  select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
  on conflict (id) do update set owner = excluded.owner, type = excluded.type, title = excluded.title, until = null
  where (lineage_nodes.owner, lineage_nodes.type, lineage_nodes.title, lineage_nodes.until)
    is distinct from (excluded.owner, excluded.type, excluded.title, null)`;
const NAMED_NODES = `insert into lineage_nodes (id, kind)
  select * from unnest($1::text[], $2::text[]) on conflict do nothing`;
const EDGES = `insert into lineage_edges (from_id, to_id, source)
  select t.from_id, t.to_id, t.source from unnest($1::text[], $2::text[], $3::text[]) as t(source, from_id, to_id)
  where not exists (select from lineage_edges e
    where e.from_id = t.from_id and e.to_id = t.to_id and e.source = t.source and e.until is null)
  on conflict do nothing`;
const SOURCES = `insert into lineage_sources select * from unnest($1::text[], $2::int[])
  on conflict (source) do update set version = excluded.version where lineage_sources.version < excluded.version`;

/** Rows in the order of their keys, so that two writers take their locks in one order. */
const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

const graphLane = plannedLane<SourceLineage>({
  name: 'lineage graph',
  order: 59,
  plan(items) {
    // The last of one source counts, the parts of one that adds all do.
    const whole = new Map(items.filter(({ adds }) => !adds).map((item) => [item.source, item]));
    const told = [...whole.values(), ...items.filter(({ adds }) => adds)];
    const replaced = [...whole.values()];
    const edges = told.flatMap(({ source, edges }) => edges.map((edge) => ({ source, ...edge })));
    const owned = new Map(
      told.flatMap(({ source, nodes }) =>
        nodes.map((node) => [node.id, { ...node, owner: source }] as const),
      ),
    );
    const named = new Set(edges.flatMap(({ from, to }) => [from, to]).filter((id) => !owned.has(id)));
    const edgeColumns = columnsOf(edges, 3, ({ source, from, to }) => [source, from, to]);
    const ownedRows = [...owned.values()].sort(byId);
    return {
      statements: [
        { text: SOURCES, values: columnsOf(replaced, 2, ({ source, version }) => [source, version]) },
        { text: ENDED_EDGES, values: [replaced.map(({ source }) => source), ...edgeColumns] },
        { text: ENDED_NODES, values: [replaced.map(({ source }) => source), [...owned.keys()]] },
        {
          text: NODES,
          values: columnsOf(ownedRows, 5, ({ id, owner, type, title }) => [
            id,
            kindOf(id),
            owner,
            type ?? null,
            title ?? null,
          ]),
        },
        { text: NAMED_NODES, values: columnsOf([...named].sort(), 2, (id) => [id, kindOf(id)]) },
        { text: EDGES, values: edgeColumns },
      ],
    };
  },
});

/** Lists even where there are no rows. */
function columnsOf<Row>(
  rows: readonly Row[],
  width: number,
  values: (row: Row) => readonly unknown[],
): unknown[][] {
  return rows.length === 0 ? Array.from({ length: width }, () => []) : columns(rows, values);
}

/**
 * The write of what a source brings, for the commit that makes the source.
 *
 * @example commit.commit([definitions.put(view), lineageWrite({ source: 'feature-view:orders', version: 2, ...featureViewLineage(body, find) })])
 */
export function lineageWrite({ nodes, edges, ...source }: SourceLineage): Write {
  // A field that lies so deep has its place in its contract, and none in the graph.
  const fits = (id: string) => Buffer.byteLength(id) <= NAME_BYTES_MAX;
  const item: SourceLineage = {
    ...source,
    nodes: nodes.filter(({ id }) => fits(id)),
    edges: edges.filter(({ from, to }) => fits(from) && fits(to)),
  };
  return write(graphLane, item);
}
