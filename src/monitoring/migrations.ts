import type { Migration } from '../store/migrations.ts';

/** What was counted of runs, so that nobody counts it again: see `kpi-counts.ts`. */
export const kpiMigrations: Migration[] = [
  {
    name: '0100_kpis',
    sql: `
      create table kpi_progress (
        one boolean primary key default true check (one),
        until text not null
      );
      insert into kpi_progress (until) values ('');
      comment on column kpi_progress.until is 'Runs with an id below it are counted, or stand in kpi_pending.';
      create table kpi_pending (
        run_id text primary key,
        counted_at timestamptz
      );
      create index kpi_pending_open on kpi_pending (run_id) where counted_at is null;
      comment on column kpi_pending.counted_at is 'Kept for a while after it was counted: another process may still bring its note of it.';
      create table kpi_again (
        run_id text primary key
      );
      comment on table kpi_again is 'Runs that went back to an earlier step: they are in no count, and are read as they are.';
      create table kpi_counts (
        workflow text not null,
        status text not null,
        outcome text not null,
        asked boolean not null,
        runs bigint not null,
        micro_usd bigint not null,
        primary key (workflow, status, outcome, asked)
      ) with (fillfactor = 10);
      create table kpi_minutes (
        minute timestamptz primary key,
        runs bigint not null
      );`,
  },
];
