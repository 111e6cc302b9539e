import type { Migration } from '../../store/migrations.ts';

export const lineageMigrations: Migration[] = [
  {
    name: '0085_lineage_graph',
    sql: `
      create table lineage_nodes (
        id text primary key,
        kind text not null,
        owner text,
        type text,
        title text,
        since timestamptz not null default now(),
        until timestamptz
      );
      create index lineage_nodes_kind on lineage_nodes (kind, id);
      create index lineage_nodes_owner on lineage_nodes (owner);
      comment on column lineage_nodes.owner is 'The source that describes it; nothing while others only name it.';
      create table lineage_edges (
        from_id text not null,
        to_id text not null,
        source text not null,
        since timestamptz not null default now(),
        until timestamptz,
        primary key (from_id, to_id, source, since)
      );
      create index lineage_edges_to on lineage_edges (to_id, from_id);
      create index lineage_edges_source on lineage_edges (source) where until is null;
      comment on column lineage_edges.source is 'What it was read from: a definition, a version of a model, a job of another system. Its next version ends it.';
      create table lineage_sources (
        source text primary key,
        version int not null
      );`,
  },
];
