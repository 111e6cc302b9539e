import { AiosError } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';
import type { Queryable } from '../store/database.ts';
import { type Lane, plannedLane, Refused } from '../store/lane.ts';
import type { Migration } from '../store/migrations.ts';
import { columns, timestamp } from '../store/rows.ts';
import type { TaskStatus } from './task-states.ts';

/**
 * A review is what several tasks decide together. Its row is the lock under which they are counted: every answer names the version that it was
 * counted with, and one that finds another is counted again.
 */
export const reviewMigrations: Migration[] = [
  {
    name: '0065_reviews',
    sql: `
      create table task_reviews (
        id text primary key,
        form text not null,
        status text not null default 'waiting',
        version int not null default 0,
        changed_by text,
        round int not null default 1,
        queue text not null,
        queue_version int not null,
        run_id text not null,
        step_key text not null,
        suggestion json,
        features json,
        subject text,
        blind boolean not null,
        requester text,
        prepared_by text[] not null,
        opened_at timestamptz not null,
        ended_at timestamptz,
        result json,
        decided_by text,
        reason text
      );
      create index task_reviews_samples on task_reviews (opened_at) where form = 'sample' and status = 'waiting';
      comment on table task_reviews is 'What the answers of several people, or of people under rules, come to. status goes from waiting over adjudicating to decided, returned, expired or canceled.';
      create table task_review_tasks (
        task_id text primary key,
        review_id text not null,
        round int not null,
        role text not null,
        answers json
      );
      comment on column task_review_tasks.answers is 'What an adjudicator is shown: the answers that differ, in the order of their coming, without names.';
      create index task_review_tasks_review on task_review_tasks (review_id);
      create table task_routings (
        id text primary key,
        queue text not null,
        route text not null,
        band int not null,
        confidence float8,
        sampled boolean not null,
        at timestamptz not null
      );
      comment on table task_routings is 'Where the confidence of each case has led: auto, review or double. By the id that its first task has, or would have.';
      create index task_routings_queue on task_routings (queue, at);
      create index tasks_queue_ended on tasks (queue, ended_at, id) where status = 'completed';`,
  },
  {
    name: '0066_tasks_erased',
    sql: `
      alter table tasks add column erased_at timestamptz;
      comment on column tasks.erased_at is 'When the data of its subject was taken out.';
      create index tasks_subject on tasks (subject) where subject is not null;
      create index task_reviews_subject on task_reviews (subject) where subject is not null;`,
  },
];

/** `single`: one person, under rules; `sample`: a person looks at what was answered automatically, and no run waits. */
export type ReviewForm = 'single' | 'approvals' | 'double' | 'sample';
export type ReviewStatus = 'waiting' | 'adjudicating' | 'decided' | 'returned' | 'expired' | 'canceled';

export interface ReviewItem {
  id: string;
  form: ReviewForm;
  queue: string;
  queueVersion: number;
  runId: string;
  stepKey: string;
  suggestion: string | null;
  features: string | null;
  subject: string | null;
  blind: boolean;
  requester: string | null;
  preparedBy: readonly string[];
  openedAtMs: number;
}

export const reviewOpenLane = plannedLane<ReviewItem>({
  name: 'reviews opened',
  order: 38,
  plan: (items) => ({
    statements: [
      {
        // Arrays of arrays cannot be unnested: the people who prepared it come as JSON.
        text: `insert into task_reviews (id, form, queue, queue_version, run_id, step_key, suggestion, features, subject, blind, requester,
           prepared_by, opened_at)
         select id, form, queue, queue_version, run_id, step_key, suggestion, features, subject, blind, requester,
           array(select json_array_elements_text(prepared_by)), opened_at
         from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::json[], $8::json[], $9::text[], $10::boolean[],
           $11::text[], $12::json[], $13::timestamptz[])
           as t(id, form, queue, queue_version, run_id, step_key, suggestion, features, subject, blind, requester, prepared_by, opened_at)
         on conflict (id) do nothing`,
        values: columns(items, (item) => [
          item.id,
          item.form,
          item.queue,
          item.queueVersion,
          item.runId,
          item.stepKey,
          item.suggestion,
          item.features,
          item.subject,
          item.blind,
          item.requester,
          JSON.stringify(item.preparedBy),
          timestamp(item.openedAtMs),
        ]),
      },
    ],
  }),
});

export interface ReviewTaskItem {
  taskId: string;
  reviewId: string;
  round: number;
  role: 'reviewer' | 'adjudicator';
  answers: string | null;
}

export const reviewTaskLane = plannedLane<ReviewTaskItem>({
  name: 'tasks of reviews',
  order: 39,
  plan: (items) => ({
    statements: [
      {
        text: `insert into task_review_tasks (task_id, review_id, round, role, answers)
         select * from unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::json[]) on conflict (task_id) do nothing`,
        values: columns(items, (item) => [item.taskId, item.reviewId, item.round, item.role, item.answers]),
      },
    ],
  }),
});

interface RoutingItem {
  /** Of the first task of the case. */
  id: string;
  queue: string;
  route: string;
  band: number;
  confidence: number | null;
  sampled: boolean;
  atMs: number;
}

export const routingLane = plannedLane<RoutingItem>({
  name: 'routings',
  order: 41,
  plan: (items) => ({
    statements: [
      {
        text: `insert into task_routings (id, queue, route, band, confidence, sampled, at)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::float8[], $6::boolean[], $7::timestamptz[])
         on conflict (id) do nothing`,
        values: columns(items, ({ id, queue, route, band, confidence, sampled, atMs }) => [
          id,
          queue,
          route,
          band,
          confidence,
          sampled,
          timestamp(atMs),
        ]),
      },
    ],
  }),
});

/** A change of a review. Without `version` it holds whatever came before, and leaves a review that has ended as it is. */
export interface ReviewChange {
  id: string;
  /** Of the change: the same one again is success. */
  change: string;
  version?: number;
  status: ReviewStatus;
  atMs: number;
  outcome?: { result: Json; decidedBy: string; reason: string };
  /** Something else is shown from now on, put right by this person: a new round begins. */
  amended?: { by: string };
  /** What becomes of the tasks that still wait, but for the one that is being answered. */
  close?: { status: 'expired' | 'canceled'; except?: string };
}

interface ReviewState {
  id: string;
  status: ReviewStatus;
  version: number;
  changed_by: string | null;
}

type ClosedTask = Readonly<{ id: string; queue: string; status: TaskStatus }>;

/**
 * The gate of the reviews, before that of the tasks: whoever holds the row of a review is alone with its tasks. A result of a write is the tasks that it closed.
 */
export const reviewChangeLane = (
  closed: (tasks: readonly ClosedTask[]) => void,
): Lane<ReviewChange, readonly ClosedTask[]> => ({
  name: 'review changes',
  order: 11,
  gate: true,
  committed: (_, results) => closed(results.flatMap((tasks) => tasks ?? [])),
  async write(tx, items) {
    const rows = await tx.query<ReviewState>(
      'select id, status, version, changed_by from task_reviews where id = any($1::text[]) order by id for no key update',
      [items.map(({ id }) => id)],
    );
    const states = new Map(rows.map((row) => [row.id, row]));
    const applied: ReviewChange[] = [];
    const results = items.map((item) => {
      const refused = judge(states.get(item.id), item);
      if (refused instanceof AiosError) return new Refused(refused);
      if (refused === 'changed') applied.push(item);
      return undefined;
    });
    if (results.some((result) => result)) return results.map((result) => result ?? []);
    const tasks = await save(tx, applied);
    return items.map(({ id, change }) => tasks.get(`${id} ${change}`) ?? []);
  },
});

/** Brings the state up to the change, or says why the change may not be. */
function judge(state: ReviewState | undefined, item: ReviewChange): AiosError | 'changed' | 'same' {
  // What was never committed needs no end.
  if (!state) return item.version === undefined ? 'same' : countedAgain(item.id);
  if (state.changed_by === item.change) return 'same';
  const waits = state.status === 'waiting' || state.status === 'adjudicating';
  if (item.version === undefined && !waits) return 'same';
  if (!waits || (item.version !== undefined && item.version !== state.version)) return countedAgain(item.id);
  Object.assign(state, { status: item.status, version: state.version + 1, changed_by: item.change });
  return 'changed';
}

/** Never told to a caller: the answer is counted again with what has come meanwhile. */
function countedAgain(id: string): AiosError {
  return new AiosError('store.conflict', { detail: `The review ${id} has changed meanwhile.` });
}

async function save(tx: Queryable, items: readonly ReviewChange[]): Promise<Map<string, ClosedTask[]>> {
  const closed = new Map<string, ClosedTask[]>();
  // One by one, in their order: a batch rarely holds two, and one review may be changed twice in it.
  for (const { id, change, status, atMs, outcome, amended, close } of items) {
    const ended = status !== 'waiting' && status !== 'adjudicating';
    await tx.query(
      `update task_reviews set status = $2, version = version + 1, changed_by = $3, ended_at = $4, result = $5, decided_by = $6, reason = $7,
         round = round + $8::int, prepared_by = prepared_by || $9::text[] where id = $1`,
      [
        id,
        status,
        change,
        ended ? timestamp(atMs) : null,
        outcome ? JSON.stringify(outcome.result) : null,
        outcome?.decidedBy ?? null,
        outcome?.reason ?? null,
        amended ? 1 : 0,
        amended ? [amended.by] : [],
      ],
    );
    if (!close) continue;
    const rows = await tx.query<{ id: string; queue: string }>(
      `update tasks set status = $2, ended_at = $3 where id in (
         select t.id from task_review_tasks r join tasks t on t.id = r.task_id
         where r.review_id = $1 and t.status in ('open', 'claimed') and t.id is distinct from $4 order by t.id for no key update of t)
       returning id, queue`,
      [id, close.status, timestamp(atMs), close.except ?? null],
    );
    closed.set(
      `${id} ${change}`,
      rows.map((row) => ({ ...row, status: close.status })),
    );
  }
  return closed;
}
