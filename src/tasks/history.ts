import { newId } from '../kernel/ids.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Database } from '../store/database.ts';
import { type Lane, type Write, write } from '../store/lane.ts';
import { columns, timestamp } from '../store/rows.ts';

/** What can happen to a task beside its opening and its end, which are in its own row. */
type TaskEventKind =
  | 'seen'
  | 'claimed'
  | 'released'
  | 'delegated'
  | 'handed-back'
  | 'assigned'
  | 'prioritized'
  | 'put-off'
  | 'escalated'
  | 'commented'
  | 'attached'
  | 'amended';

/** Something that happened to a task; `by` is null when AIOS did it by itself. Times are milliseconds since the epoch. */
export interface TaskEvent {
  readonly id: string;
  readonly taskId: string;
  readonly kind: TaskEventKind;
  readonly at: number;
  readonly by: { readonly id: string; readonly name: string } | null;
  readonly detail: JsonObject;
}

/** One line of a task's history, its opening and its end among them. */
export type HistoryEntry = Omit<TaskEvent, 'kind'> & {
  readonly kind: TaskEventKind | 'opened' | 'completed' | 'returned' | 'expired' | 'canceled';
};

const historyLane: Lane<TaskEvent> = {
  name: 'task history',
  order: 41,
  plan: (items) => ({ statements: [statement(items)] }),
  async write(tx, items) {
    const { text, values } = statement(items);
    await tx.query(text, values);
    return undefined;
  },
};

function statement(items: readonly TaskEvent[]) {
  return {
    text: `insert into task_history (id, task_id, kind, at, by_id, by_name, detail)
      select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::json[])
      on conflict (id) do nothing`,
    values: columns(items, ({ id, taskId, kind, at, by, detail }) => [
      id,
      taskId,
      kind,
      timestamp(at),
      by?.id ?? null,
      by?.name ?? null,
      JSON.stringify(detail),
    ]),
  };
}

/** @example recordEvent(taskEvent({ taskId, kind: 'claimed', at: clock.now(), by: person })) */
export function recordEvent(event: TaskEvent): Write {
  return write(historyLane, event);
}

export function taskEvent(event: Omit<TaskEvent, 'id' | 'detail'> & Partial<TaskEvent>): TaskEvent {
  return { id: newId('tev', event.at), detail: {}, ...event };
}

interface Stored {
  id: string;
  task_id: string;
  kind: TaskEventKind;
  at: number;
  by_id: string | null;
  by_name: string | null;
  detail: JsonObject;
}

/** What happened to these tasks, oldest first, at most `countMax`. */
export async function readEvents(
  db: Database,
  taskIds: readonly string[],
  countMax: number,
): Promise<TaskEvent[]> {
  const rows = await db.query<Stored>(
    `select id, task_id, kind, at, by_id, by_name, detail from task_history where task_id = any($1::text[])
     order by at, seq limit $2`,
    [taskIds, countMax],
  );
  return rows.map((row) => ({
    id: row.id,
    taskId: row.task_id,
    kind: row.kind,
    at: row.at,
    by: row.by_id === null ? null : { id: row.by_id, name: row.by_name ?? row.by_id },
    detail: row.detail,
  }));
}
