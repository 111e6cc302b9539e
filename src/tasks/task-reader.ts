import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Database } from '../store/database.ts';
import { timestamp } from '../store/rows.ts';
import type { TaskStatus } from './task-lanes.ts';

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
  readonly dueAt: number | null;
  readonly claimedBy: Named | null;
  readonly claimedAt: number | null;
  readonly decidedBy: Named | null;
  readonly endedAt: number | null;
  readonly result: Json;
  readonly minutes: number | null;
}

interface Named {
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
  cursor?: string | undefined;
  limit: number;
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

type Place = [priority: number, createdAt: number, id: string];

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
       order by ${waiting ? '-priority, created_at, id' : 'created_at desc, id desc'} limit ${limit + 1}`,
      values,
    );
    const items = rows.slice(0, limit).map(fromStored);
    const last = items.at(-1);
    return { items, nextCursor: rows.length > limit && last ? toCursor(last) : null };
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
         count(*) filter (where due_at <= $1) as overdue, min(created_at) as "oldestAt"
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
  if (cursor !== undefined) {
    const [priority, createdAt, id] = fromCursor(cursor);
    if (waiting) {
      values.push(-priority, timestamp(createdAt), id);
      const n = values.length;
      conditions.push(`(-priority, created_at, id) > ($${n - 2}::int, $${n - 1}::timestamptz, $${n}::text)`);
    } else {
      values.push(timestamp(createdAt), id);
      conditions.push(`(created_at, id) < ($${values.length - 1}::timestamptz, $${values.length}::text)`);
    }
  }
  return { conditions, values };
}

function toCursor({ priority, createdAt, id }: TaskRow): string {
  return Buffer.from(JSON.stringify([priority, createdAt, id] satisfies Place)).toString('base64url');
}

function fromCursor(cursor: string): Place {
  try {
    const place = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as Place;
    const [priority, createdAt, id] = place;
    const isTime = Number.isInteger(createdAt) && createdAt >= 0 && createdAt < YEAR_10000_MS;
    if (
      Number.isInteger(priority) &&
      Math.abs(priority) <= PRIORITY_MAX &&
      isTime &&
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
