import type { Migration } from '../store/migrations.ts';
import { reviewMigrations } from './review-lanes.ts';

export const taskMigrations: Migration[] = [
  {
    name: '0060_tasks',
    sql: `
      create table tasks (
        id text primary key,
        queue text not null,
        queue_version int not null,
        title text not null,
        status text not null default 'open',
        priority int not null,
        run_id text not null,
        step_key text not null,
        context json not null,
        suggestion json,
        context_digest text not null,
        created_at timestamptz not null,
        due_at timestamptz,
        deadline_at timestamptz,
        follow_up_at timestamptz,
        candidate_groups jsonb,
        added_groups jsonb not null default '[]',
        added_roles jsonb not null default '[]',
        owner_id text,
        owner_name text,
        continues text,
        escalation_level int not null default 0,
        next_escalation_at timestamptz,
        claimed_by text,
        claimed_name text,
        claimed_at timestamptz,
        decided_by text,
        decided_name text,
        ended_at timestamptz,
        result json,
        minutes real
      );
      comment on table tasks is 'What people are asked. What is shown never changes; status goes from open or claimed to completed, returned, expired or canceled.';
      comment on column tasks.due_at is 'When it should be done: it is sorted and shown by.';
      comment on column tasks.deadline_at is 'When the safe outcome counts.';
      comment on column tasks.follow_up_at is 'Look again then: the inbox leaves it out until that time.';
      comment on column tasks.candidate_groups is 'Whose it is instead of the groups of its queue.';
      comment on column tasks.added_groups is 'Who may answer too, since it was escalated; added_roles likewise.';
      comment on column tasks.owner_id is 'Who stays accountable while another has it in hand.';
      comment on column tasks.continues is 'The task that was returned to the requester before this one.';
      create index tasks_escalating on tasks (next_escalation_at) where status in ('open', 'claimed') and next_escalation_at is not null;
      create index tasks_waiting on tasks ((-priority), (coalesce(due_at, 'infinity'::timestamptz)), created_at, id) where status in ('open', 'claimed');
      create index tasks_newest on tasks (created_at desc, id desc);`,
  },
  {
    name: '0061_tasks_subject',
    sql: `
      alter table tasks add column subject text;
      comment on column tasks.subject is 'The person whose data is shown: audit entries about the answer are kept under their key.';
      create index tasks_run on tasks (run_id);`,
  },
  {
    name: '0062_task_history',
    sql: `
      create table task_history (
        id text primary key,
        seq bigint generated always as identity,
        task_id text not null,
        kind text not null,
        at timestamptz not null,
        by_id text,
        by_name text,
        detail json not null
      );
      comment on table task_history is 'What happened to a task between its opening and its end, which its own row tells. Rows are never changed.';
      create index task_history_task on task_history (task_id, at, seq);`,
  },
  {
    name: '0063_task_attachments',
    sql: `
      create table task_files (digest text primary key, bytes bytea not null);
      alter table task_files alter column bytes set storage external;
      comment on table task_files is 'What is attached to tasks, once for all that have the same digest.';
      create table task_attachments (
        id text primary key,
        task_id text not null,
        name text not null,
        media_type text not null,
        digest text not null references task_files (digest),
        size_bytes int not null,
        at timestamptz not null,
        by_id text not null,
        by_name text not null
      );
      create index task_attachments_task on task_attachments (task_id, at, id);`,
  },
  ...reviewMigrations,
];
