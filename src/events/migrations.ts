import { tells } from '../store/changes.ts';
import type { Migration } from '../store/migrations.ts';

/**
 * The log is kept in *batches*, as Kafka's is: a row holds what one flush brought of a partition, so that an event costs Postgres 2 µs instead of 11. The view
 * `events` shows them one by one. `event_head` is the only row that appending changes: where each partition ends, and a `token` that whoever changes
 * the row replaces, so that a flush made from what a process knows takes effect only if nobody else wrote meanwhile (`head.ts`).
 *
 * `event_batches` is partitioned by *segment*, a number that the head holds, so that a segment is a range of offsets in every log partition, and
 * retention drops a table instead of deleting rows. What an event is known by, so that it is logged once, stands in its batch; from `keyed_offsets` on
 * processes have it in memory, and what is before is in `event_keys`, which outlives the events: it is partitioned by *generation* likewise (`keys.ts`).
 */
export const eventMigrations: Migration[] = [
  {
    name: '0020_events',
    sql: `
      create table event_head (
        one smallint primary key default 0 check (one = 0),
        token uuid not null default gen_random_uuid(),
        next_offsets bigint[] not null default array_fill(0::bigint, array[8]),
        first_offsets bigint[] not null default array_fill(0::bigint, array[8]),
        keyed_offsets bigint[] not null default array_fill(0::bigint, array[8]),
        segment int not null default 1,
        generation int not null default 1
      ) with (fillfactor = 10);
      insert into event_head default values;
      create view event_partitions as
        select (number - 1)::smallint as partition, next_offsets[number] as next_offset, first_offsets[number] as first_offset
        from event_head, generate_series(1, 8) as number;
      create table event_key_runs (
        run int primary key generated always as identity,
        generation int not null,
        level smallint not null,
        bits smallint not null,
        count bigint not null,
        filter bytea not null
      );
      alter table event_key_runs alter column filter set storage external;
      create table event_keys (
        generation int not null,
        run int not null,
        bucket int not null,
        keys bytea not null,
        places bytea not null,
        primary key (run, bucket, generation)
      ) partition by list (generation);
      alter table event_keys alter column keys set storage external, alter column places set storage external;
      create table event_keys_1 partition of event_keys for values in (1);
      create table event_batches (
        partition smallint not null,
        first_offset bigint not null,
        count int not null,
        recorded_at timestamptz not null,
        types text[] not null,
        keys bytea not null,
        events text not null,
        segment int not null,
        primary key (partition, first_offset, segment)
      ) partition by list (segment);
      alter table event_batches alter column events set storage external, alter column keys set storage external;
      create table event_batches_1 partition of event_batches for values in (1);
      comment on column event_batches.events is 'One event a line, as JSON.';
      comment on column event_batches.keys is 'What each event is known by, 16 bytes each.';
      comment on table event_keys is 'The keys of old events by runs (event_key_runs) and the first bits of the key.';
      comment on column event_keys.places is 'Where the event of each key stands: 8 bytes each, the offset times 8 plus the partition.';
      comment on column event_key_runs.filter is 'A Bloom filter over the keys of the run (key-filter.ts).';
      create view events as
        select batch.partition, batch.first_offset + line.nth - 1 as log_offset, batch.recorded_at, line.event::json as event, batch.segment
        from event_batches batch cross join lateral string_to_table(batch.events, e'\\n') with ordinality as line(event, nth);
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
        recorded_at timestamptz not null default now(),
        failed_at timestamptz not null,
        status text not null default 'open',
        handled_at timestamptz,
        unique (consumer_group, partition, log_offset)
      );`,
  },
  {
    name: '0021_dead_letters_open',
    sql: `
      create index dead_letters_open on dead_letters (consumer_group) where status = 'open';
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
      create index webhook_deliveries_due on webhook_deliveries (webhook, next_at) where status = 'retrying';
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
        behind bigint,
        restarts int not null default 0,
        space uuid not null default gen_random_uuid()
      ) with (fillfactor = 10);
      comment on column bridges.behind is 'What the other side has of a source that was not taken yet, as the process that reads it last knew; null where that is not known.';
      comment on column bridges.restarts is 'How often a restart was asked for: a process that opened the bridge at another count opens it anew.';
      comment on column bridges.space is 'What a bridge leaves on the other side goes under it, so that another database with a bridge of this name neither takes it for its own nor writes over it.';
      comment on table bridges is 'What is known of each bridge: the place of a source, who reads it, how it fares. Problems end with the next batch; a notice stays.';
      -- A message that a bridge put aside was never in the log.
      alter table dead_letters alter column partition drop not null, alter column log_offset drop not null;`,
  },
];
