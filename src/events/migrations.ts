import { tells } from '../store/changes.ts';
import type { Migration } from '../store/migrations.ts';

/**
 * `events` is partitioned by *segment*, a number that the counter rows hold: whoever appends reads it under the lock of its counter, so that a segment
 * is a range of offsets in every log partition, and retention drops a table instead of deleting rows. `event_keys`, which knows what has come
 * before, outlives the events: it is partitioned by *generation*, moved on in the same way, so that two writers at one time never look
 * past each other. Offsets come from the counter row of their log partition, taken inside the commit: given in commit order, without gaps.
 */
export const eventMigrations: Migration[] = [
  {
    name: '0020_events',
    sql: `
      create table event_partitions (
        partition smallint primary key,
        next_offset bigint not null,
        first_offset bigint not null default 0,
        segment int not null default 1,
        generation int not null default 1
      ) with (fillfactor = 10);
      insert into event_partitions select number, 0 from generate_series(0, 7) as number;
      create table event_keys (
        key uuid not null,
        partition smallint not null,
        log_offset bigint not null,
        generation int not null,
        primary key (key, generation)
      ) partition by list (generation);
      create table event_keys_1 partition of event_keys for values in (1);
      create table events (
        partition smallint not null,
        log_offset bigint not null,
        recorded_at timestamptz not null,
        type text not null,
        event json not null,
        segment int not null,
        primary key (partition, log_offset, segment)
      ) partition by list (segment);
      create table events_1 partition of events for values in (1);
      create table event_segments (
        kind text not null,
        number int not null,
        opened_at timestamptz not null,
        closed_at timestamptz,
        ends bigint[],
        primary key (kind, number)
      );
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
        handled_at timestamptz,
        unique (consumer_group, partition, log_offset)
      );`,
  },
  {
    name: '0021_dead_letters_open',
    sql: `
      create index dead_letters_open on dead_letters (id) where status = 'open';
      create index dead_letters_handled on dead_letters (handled_at) where handled_at is not null`,
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
      create index event_replays_running on event_replays (id) where status = 'running';
      ${tells('event_replays', 'insert or update of status')}`,
  },
  {
    name: '0023_webhooks',
    sql: `
      create table webhooks (
        id text primary key,
        url text not null,
        description text not null,
        selection json not null,
        secrets json not null,
        status text not null default 'active',
        disabled_reason text,
        failing_since timestamptz,
        created_at timestamptz not null,
        updated_at timestamptz not null
      );
      create table webhook_deliveries (
        id text not null,
        webhook text not null references webhooks on delete cascade,
        partition smallint not null,
        log_offset bigint not null,
        event json not null,
        attempts int not null,
        next_at timestamptz,
        status text not null,
        response int,
        detail text not null,
        first_at timestamptz not null,
        last_at timestamptz not null,
        primary key (webhook, id)
      );
      create index webhook_deliveries_last on webhook_deliveries (last_at);
      create index webhook_deliveries_due on webhook_deliveries (next_at) where status = 'retrying';
      ${tells('webhooks', 'insert or delete or update of status')}
      ${tells('webhook_deliveries', 'insert or update of status')}`,
  },
  {
    name: '0024_bridges',
    sql: `
      create table bridges (
        name text primary key,
        position json,
        revision bigint not null default 0,
        passed bigint not null default 0,
        rejected bigint not null default 0,
        moved_at timestamptz,
        owner text,
        lease_until timestamptz,
        is_paused boolean not null default false,
        problem json,
        problem_at timestamptz,
        notice json,
        notice_at timestamptz,
        restarts int not null default 0,
        space uuid not null default gen_random_uuid()
      ) with (fillfactor = 10);
      comment on column bridges.restarts is 'How often a restart was asked for: a process that opened the bridge at another count opens it anew.';
      comment on column bridges.space is 'Goes with the places that a sink leaves on the other side, so that those of another database are not taken for its own.';
      comment on table bridges is 'What is known of each bridge: the place of a source, who reads it, how it fares. Problems end with the next batch; a notice stays.';
      -- A message that a bridge put aside was never in the log.
      alter table dead_letters alter column partition drop not null, alter column log_offset drop not null;`,
  },
];
