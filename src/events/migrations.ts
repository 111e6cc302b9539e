import type { Migration } from '../store/migrations.ts';

/**
 * `events` is range-partitioned by the time of recording, so that retention drops a partition instead of deleting rows; uniqueness
 * over all time therefore lives in `event_keys`. Offsets come from a counter row per log partition, taken inside the commit:
 * given in commit order, without gaps.
 */
export const eventMigrations: Migration[] = [
  {
    name: '0020_events',
    sql: `
      create table event_partitions (
        partition smallint primary key,
        next_offset bigint not null
      ) with (fillfactor = 10);
      insert into event_partitions select number, 0 from generate_series(0, 7) as number;
      create table event_keys (
        key uuid primary key,
        partition smallint not null,
        log_offset bigint not null
      );
      create table events (
        partition smallint not null,
        log_offset bigint not null,
        recorded_at timestamptz not null,
        type text not null,
        event json not null,
        primary key (partition, log_offset, recorded_at)
      ) partition by range (recorded_at);
      create table events_default partition of events default;
      create table event_consumers (
        consumer_group text not null,
        partition smallint not null,
        log_offset bigint not null,
        owner text,
        epoch bigint not null default 0,
        primary key (consumer_group, partition)
      ) with (fillfactor = 10);
      create table event_group_members (
        consumer_group text not null,
        member text not null,
        pid int not null,
        backend_start timestamptz,
        lease_until timestamptz not null,
        primary key (consumer_group, member)
      ) with (fillfactor = 10);
      create table dead_letters (
        id text primary key,
        consumer_group text not null,
        partition smallint not null,
        log_offset bigint not null,
        event json not null,
        problem json not null,
        attempts int not null,
        failed_at timestamptz not null,
        status text not null default 'open',
        unique (consumer_group, partition, log_offset)
      );`,
  },
  {
    name: '0021_dead_letters_open',
    sql: `create index dead_letters_open on dead_letters (id) where status = 'open'`,
  },
  {
    name: '0022_event_replays',
    sql: `
      create table event_replays (
        id text primary key,
        target json not null,
        selection json not null,
        from_offsets bigint[] not null,
        until_offsets bigint[] not null,
        status text not null default 'running',
        handled bigint not null default 0,
        created_by text not null,
        created_at timestamptz not null,
        ended_at timestamptz
      );
      create index event_replays_running on event_replays (id) where status = 'running'`,
  },
];
