import type { Migration } from '../../store/migrations.ts';

/**
 * A run that never waits nor acts is one row, its journal inside it: the later tables are for those that do. The indexes are partial, so
 * that a run which is inserted as completed touches the primary key only; its id begins with the time, so that key grows at its end.
 * Rows of up to 8 kB stay whole: compressing what is over 2 kB, Postgres' default, costs more than the bytes that it saves.
 */
export const workflowMigrations: Migration[] = [
  {
    name: '0050_workflow',
    sql: `
      create table workflow_runs (
        id text primary key,
        workflow text not null,
        version int not null,
        epoch bigint not null,
        status text not null,
        worker text,
        wake_at timestamptz,
        waiting_for text,
        requested text,
        origin json not null,
        idempotency_key text,
        started_at timestamptz not null,
        updated_at timestamptz not null,
        result json,
        subject text,
        outcome text,
        entries json not null
      ) with (toast_tuple_target = 8160);
      create index workflow_runs_worker on workflow_runs (worker) where worker is not null;
      create index workflow_runs_wake_at on workflow_runs (wake_at) where wake_at is not null;
      create index workflow_runs_status on workflow_runs (status, id) where status <> 'completed';
      create index workflow_runs_workflow on workflow_runs (workflow, id);
      create unique index workflow_runs_key on workflow_runs (workflow, idempotency_key) where idempotency_key is not null;
      comment on column workflow_runs.epoch is 'The fencing token: a write with another epoch is refused.';
      comment on column workflow_runs.entries is 'The first barrier of the journal; later ones are rows of workflow_journal.';
      create table workflow_journal (
        run_id text not null,
        seq int not null,
        epoch bigint not null,
        entries json not null,
        primary key (run_id, seq)
      );
      create table workflow_signals (
        run_id text not null,
        key text not null,
        payload json not null,
        seen boolean not null default false,
        primary key (run_id, key)
      );
      comment on column workflow_signals.seen is 'A worker has offered it to the run: it wakes the run no more, and counts when the step comes to wait for it.';
      create table workflow_subscriptions (
        run_id text not null,
        key text not null,
        filter int not null,
        type text not null,
        subscription json not null,
        primary key (run_id, key, filter)
      );
      create index workflow_subscriptions_type on workflow_subscriptions (type);
      create table workflow_payloads (
        digest text primary key,
        body json not null,
        used_at timestamptz not null default now()
      );
      create index workflow_payloads_used_at on workflow_payloads (used_at);
      create table workflow_payload_refs (
        run_id text not null references workflow_runs on delete cascade,
        digest text not null,
        primary key (run_id, digest)
      );
      create index workflow_payload_refs_digest on workflow_payload_refs (digest);
      comment on table workflow_payloads is 'Values over payloadInlineBytesMax, once each; deleted when no run refers to them.';
      create table workflow_workers (
        id text primary key,
        lease_until timestamptz not null
      );`,
  },
  {
    name: '0051_schedules',
    sql: `
      create table workflow_schedules (
        workflow text primary key,
        version int not null,
        times text,
        paused boolean not null default false,
        due_at timestamptz,
        look_at timestamptz,
        run_id text,
        run json,
        queued json not null default '[]',
        skipped int not null default 0,
        awaited boolean not null default false
      );
      create index workflow_schedules_run_id on workflow_schedules (run_id);
      comment on column workflow_schedules.times is 'What the due times follow from: null when the version has no schedule by time.';
      comment on column workflow_schedules.look_at is 'When a process has to look: the next due time, or the end of a run that is awaited.';`,
  },
  {
    name: '0052_workflow_operations',
    sql: `
      alter table workflow_runs add column request text;
      comment on column workflow_runs.request is 'The id of the last request of an operator: the same one again changes nothing.';
      alter table workflow_runs add column attempt int not null default 1;
      alter table workflow_runs add column forked_from text;
      create index workflow_runs_forked_from on workflow_runs (forked_from, id) where forked_from is not null;
      create table workflow_attributes (
        run_id text not null references workflow_runs on delete cascade,
        name text not null,
        type text not null,
        value text collate "C" not null,
        primary key (run_id, name)
      );
      create index workflow_attributes_value on workflow_attributes (name, type, value, run_id);
      comment on column workflow_attributes.value is 'Sorts as the values do: numbers and times as 16 hexadecimal digits.';
      create table workflow_attempts (
        run_id text not null references workflow_runs on delete cascade,
        attempt int not null,
        status text not null,
        result json,
        origin json not null,
        entries json not null,
        ended_at timestamptz not null,
        next_step text not null,
        next_by text not null,
        next_at timestamptz not null,
        outcome text,
        primary key (run_id, attempt)
      );
      comment on table workflow_attempts is 'What a run had come to before it went back to an earlier step.';`,
  },
  {
    name: '0053_workflow_bulks',
    sql: `
      create table workflow_bulks (
        id text primary key,
        operation json not null,
        status text not null,
        worker text,
        created_at timestamptz not null default now(),
        started_at timestamptz,
        ended_at timestamptz
      );
      create index workflow_bulks_running on workflow_bulks (id) where status = 'running';
      create table workflow_bulk_runs (
        bulk_id text not null references workflow_bulks on delete cascade,
        run_id text not null,
        outcome text,
        mark text,
        primary key (bulk_id, run_id)
      );
      comment on column workflow_bulk_runs.outcome is 'done, or the code of the error with which the run did not take it.'`,
  },
  {
    name: '0055_run_queues',
    sql: `
      create table workflow_queues (
        name text primary key,
        paused boolean not null default false,
        turn double precision not null default 0
      );
      comment on column workflow_queues.turn is 'The turn of the run that was admitted last: where new lines begin.';
      create table workflow_queued (
        run_id text primary key,
        queue text not null,
        line text not null,
        rank bigint not null,
        enqueued_at timestamptz not null,
        admitted_at timestamptz
      );
      create index workflow_queued_pending on workflow_queued (queue, line, rank, run_id) where admitted_at is null;
      create index workflow_queued_admitted on workflow_queued (queue, line) where admitted_at is not null;
      comment on table workflow_queued is 'Runs that wait for a slot of their queue, or hold one.';
      create table workflow_queue_lines (
        queue text not null,
        line text not null,
        turn double precision not null,
        rank bigint,
        primary key (queue, line)
      );
      create index workflow_queue_lines_turn on workflow_queue_lines (queue, turn, rank, line) where rank is not null;
      comment on column workflow_queue_lines.rank is 'At most that of its first run; null when none waits in it.';
      comment on table workflow_queue_lines is 'Every line of a queue that has runs waiting, and some that had: whose turn it is.';
      create table workflow_queue_starts (
        queue text not null,
        started_at timestamptz not null,
        count int not null
      );
      create index workflow_queue_starts_time on workflow_queue_starts (queue, started_at);
      comment on table workflow_queue_starts is 'Admissions within the period of a queue with a rate.';`,
  },
];
