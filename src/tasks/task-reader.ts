import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Database } from '../store/database.ts';
import { timestamp } from '../store/rows.ts';
import type { TaskStatus } from './task-states.ts';

/** A task as it is stored; times are milliseconds since the epoch. */
export interface TaskRow {
  readonly id: string;
  readonly queue: string;
  readonly queueVersion: number;
  readonly title: string;
  readonly status: TaskStatus;
  /** 0 to 100, higher first. */
  readonly priority: number;
  readonly runId: string;
  readonly stepKey: string;
  readonly context: JsonObject;
  readonly subject: string | null;
  readonly contextDigest: string;
  readonly suggestion: Json;
  readonly createdAt: number;
  /** When it should be done. */
  readonly dueAt: number | null;
  /** When the safe outcome counts. */
  readonly deadlineAt: number | null;
  /** Look again then: it is left out of `forPerson` lists until that time. */
  readonly followUpAt: number | null;
  /** Whose it is, instead of the groups of its queue. */
  readonly candidateGroups: readonly string[] | null;
  /** Who may answer too since it was escalated. */
  readonly addedGroups: readonly string[];
  readonly addedRoles: readonly string[];
  readonly escalationLevel: number;
  /** Who stays accountable while `claimedBy` has it in hand. */
  readonly owner: Named | null;
  /** The task before this one, which was returned to the requester. */
  readonly continues: string | null;
  readonly claimedBy: Named | null;
  readonly claimedAt: number | null;
  readonly decidedBy: Named | null;
  readonly endedAt: number | null;
  readonly result: Json;
  readonly minutes: number | null;
}

export interface Named {
  readonly id: string;
  readonly name: string;
}

export interface ListTasks {
  queue?: string | undefined;
  /** All of these; `['open', 'claimed']` is what waits. */
  statuses?: readonly TaskStatus[] | undefined;
  /** Claimed or decided by this person. */
  by?: string | undefined;
  runId?: string | undefined;
  /** For this person: in their hands, or open and for one of their groups and roles. */
  forPerson?: ForPerson | undefined;
  /** Leaves out what is put off until after this time. */
  lookAgainBy?: number | undefined;
  cursor?: string | undefined;
  limit: number;
}

export interface ForPerson {
  readonly id: string;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
  /** Those that are for them when a task names no groups of its own; all when left out. */
  readonly queues: readonly string[] | undefined;
}

export interface TaskPage<Item> {
  readonly items: Item[];
  readonly nextCursor: string | null;
}

export interface QueueCount {
  readonly queue: string;
  readonly open: number;
  readonly claimed: number;
  readonly overdue: number;
  readonly oldestAt: number | null;
}

interface Stored {
  id: string;
  queue: string;
  queue_version: number;
  title: string;
  status: TaskStatus;
  priority: number;
  run_id: string;
  step_key: string;
  context: JsonObject;
  subject: string | null;
  context_digest: string;
  suggestion: Json;
  created_at: number;
  due_at: number | null;
  deadline_at: number | null;
  follow_up_at: number | null;
  candidate_groups: readonly string[] | null;
  added_groups: readonly string[];
  added_roles: readonly string[];
  escalation_level: number;
  owner_id: string | null;
  owner_name: string | null;
  continues: string | null;
  claimed_by: string | null;
  claimed_name: string | null;
  claimed_at: number | null;
  decided_by: string | null;
  decided_name: string | null;
  ended_at: number | null;
  result: Json;
  minutes: number | null;
}

/** A cursor comes from outside: what Postgres would refuse as a time or an integer is refused before. */
const YEAR_10000_MS = Date.UTC(10_000, 0);
const PRIORITY_MAX = 1_000_000;

// Spelled as in the index.
const DUE = "coalesce(due_at, 'infinity'::timestamptz)";

type Place = [priority: number, dueAt: number | null, createdAt: number, id: string];

/** Reads tasks; the filters become SQL, the texts of a search are not prepared. */
export class TaskReader {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async get(id: string): Promise<TaskRow | undefined> {
    const [row] = await this.#db.query<Stored>('select * from tasks where id = $1', [id]);
    return row && fromStored(row);
  }

  async list(filters: ListTasks): Promise<TaskPage<TaskRow>> {
    const { statuses, limit } = filters;
    const waiting = statuses?.every((status) => status === 'open' || status === 'claimed') ?? false;
    const { conditions, values } = where(filters, waiting);
    const rows = await this.#db.queryDynamic<Stored>(
      `select * from tasks ${conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''}
       order by ${waiting ? `-priority, ${DUE}, created_at, id` : 'created_at desc, id desc'} limit ${limit + 1}`,
      values,
    );
    const items = rows.slice(0, limit).map(fromStored);
    const last = items.at(-1);
    return { items, nextCursor: rows.length > limit && last ? toCursor(last) : null };
  }

  /** How many events a task has, and whether one of them has this id. */
  async events(taskId: string, eventId: string | undefined): Promise<{ count: number; known: boolean }> {
    const [row] = await this.#db.query<{ count: number; known: boolean | null }>(
      'select count(*)::int as count, bool_or(id = $2) as known from task_history where task_id = $1',
      [taskId, eventId ?? ''],
    );
    return { count: row?.count ?? 0, known: row?.known ?? false };
  }

  /** What waits and is to be escalated by now, the longest overdue first. */
  async escalating(nowMs: number, countMax: number): Promise<TaskRow[]> {
    const rows = await this.#db.query<Stored>(
      `select * from tasks where status in ('open', 'claimed') and next_escalation_at <= $1 order by next_escalation_at limit $2`,
      [timestamp(nowMs), countMax],
    );
    return rows.map(fromStored);
  }

  /** Ids of reviews of samples whose deadline has come. */
  async lapsedSamples(nowMs: number, countMax: number): Promise<string[]> {
    const rows = await this.#db.query<{ id: string }>(
      `select r.id from task_reviews r where r.form = 'sample' and r.status = 'waiting' and exists (
         select from task_review_tasks m join tasks t on t.id = m.task_id
         where m.review_id = r.id and m.round = r.round and t.status in ('open', 'claimed') and t.deadline_at <= $1)
       order by r.opened_at limit $2`,
      [timestamp(nowMs), countMax],
    );
    return rows.map(({ id }) => id);
  }

  /** When the next task is to climb, or the next sample to end; nothing where none is. */
  async nextDue(): Promise<number | undefined> {
    const [row] = await this.#db.query<{ nextAt: number | null }>(
      `select least(
         (select next_escalation_at from tasks where status in ('open', 'claimed') and next_escalation_at is not null
          order by next_escalation_at limit 1),
         (select min(t.deadline_at) from task_reviews r join task_review_tasks m on m.review_id = r.id and m.round = r.round
          join tasks t on t.id = m.task_id
          where r.form = 'sample' and r.status = 'waiting' and t.status in ('open', 'claimed'))) as "nextAt"`,
    );
    return row?.nextAt ?? undefined;
  }

  counts(nowMs: number): Promise<QueueCount[]> {
    return this.#db.query<{
      queue: string;
      open: number;
      claimed: number;
      overdue: number;
      oldestAt: number | null;
    }>(
      `select queue, count(*) filter (where status = 'open') as open, count(*) filter (where status = 'claimed') as claimed,
         count(*) filter (where coalesce(due_at, deadline_at) <= $1) as overdue, min(created_at) as "oldestAt"
       from tasks where status in ('open', 'claimed') group by queue order by queue`,
      [timestamp(nowMs)],
    );
  }
}

function where(filters: ListTasks, waiting: boolean): { conditions: string[]; values: unknown[] } {
  const { queue, statuses, by, runId, cursor } = filters;
  const conditions: string[] = [];
  const values: unknown[] = [];
  const add = (condition: (parameter: string) => string, value: unknown) => {
    values.push(value);
    conditions.push(condition(`$${values.length}`));
  };
  // Spelled out as in the partial index, or Postgres does not see that it applies.
  if (waiting) conditions.push("status in ('open', 'claimed')");
  if (statuses) add((p) => `status = any(${p}::text[])`, statuses);
  if (queue !== undefined) add((p) => `queue = ${p}`, queue);
  if (by !== undefined) add((p) => `(claimed_by = ${p} or decided_by = ${p})`, by);
  if (runId !== undefined) add((p) => `run_id = ${p}`, runId);
  const { forPerson, lookAgainBy } = filters;
  if (lookAgainBy !== undefined)
    add((p) => `(follow_up_at is null or follow_up_at <= ${p}::timestamptz)`, timestamp(lookAgainBy));
  if (forPerson) addPerson(forPerson, conditions, values);
  if (cursor !== undefined) {
    const [priority, dueAt, createdAt, id] = fromCursor(cursor);
    const n = values.length;
    if (waiting) {
      values.push(-priority, dueAt === null ? 'infinity' : timestamp(dueAt), timestamp(createdAt), id);
      conditions.push(
        `(-priority, ${DUE}, created_at, id) > ($${n + 1}::int, $${n + 2}::timestamptz, $${n + 3}::timestamptz, $${n + 4}::text)`,
      );
    } else {
      values.push(timestamp(createdAt), id);
      conditions.push(`(created_at, id) < ($${n + 1}::timestamptz, $${n + 2}::text)`);
    }
  }
  return { conditions, values };
}

function addPerson(person: ForPerson, conditions: string[], values: unknown[]): void {
  const { id, roles, groups, queues } = person;
  const n = values.length;
  const mine = `claimed_by = $${n + 1} or owner_id = $${n + 1}`;
  values.push(id);
  if (queues === undefined) {
    conditions.push(`(${mine} or status = 'open')`);
    return;
  }
  values.push(roles, groups, queues);
  const added = `added_roles ?| $${n + 2}::text[] or added_groups ?| $${n + 3}::text[]`;
  const whose = `case when candidate_groups is null then queue = any($${n + 4}::text[]) else candidate_groups ?| $${n + 3}::text[] end`;
  conditions.push(`(${mine} or (status = 'open' and (${added} or ${whose})))`);
}

function toCursor({ priority, dueAt, createdAt, id }: TaskRow): string {
  return Buffer.from(JSON.stringify([priority, dueAt, createdAt, id] satisfies Place)).toString('base64url');
}

function fromCursor(cursor: string): Place {
  try {
    const place = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as Place;
    const [priority, dueAt, createdAt, id] = place;
    if (
      Number.isInteger(priority) &&
      Math.abs(priority) <= PRIORITY_MAX &&
      isTime(createdAt) &&
      (dueAt === null || isTime(dueAt)) &&
      typeof id === 'string' &&
      !id.includes('\0')
    )
      return place;
  } catch {
    // told below
  }
  throw new AiosError('request.invalid', {
    issues: [{ path: '/cursor', message: 'not a cursor that a page of tasks gave', found: cursor }],
  });
}

const isTime = (ms: number) => Number.isInteger(ms) && ms >= 0 && ms < YEAR_10000_MS;

function fromStored(row: Stored): TaskRow {
  return {
    id: row.id,
    queue: row.queue,
    queueVersion: row.queue_version,
    title: row.title,
    status: row.status,
    priority: row.priority,
    runId: row.run_id,
    stepKey: row.step_key,
    context: row.context,
    subject: row.subject,
    contextDigest: row.context_digest,
    suggestion: row.suggestion,
    createdAt: row.created_at,
    dueAt: row.due_at,
    deadlineAt: row.deadline_at,
    followUpAt: row.follow_up_at,
    candidateGroups: row.candidate_groups,
    addedGroups: row.added_groups,
    addedRoles: row.added_roles,
    escalationLevel: row.escalation_level,
    owner: named(row.owner_id, row.owner_name),
    continues: row.continues,
    claimedBy: named(row.claimed_by, row.claimed_name),
    claimedAt: row.claimed_at,
    decidedBy: named(row.decided_by, row.decided_name),
    endedAt: row.ended_at,
    result: row.result,
    minutes: row.minutes,
  };
}

function named(id: string | null, name: string | null): Named | null {
  return id === null ? null : { id, name: name ?? id };
}
