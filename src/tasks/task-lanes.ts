import { AiosError } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';
import type { Queryable } from '../store/database.ts';
import { type Lane, Refused } from '../store/group-commit.ts';
import type { Migration } from '../store/migrations.ts';
import { columns, timestamp } from '../store/rows.ts';

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
        claimed_by text,
        claimed_name text,
        claimed_at timestamptz,
        decided_by text,
        decided_name text,
        ended_at timestamptz,
        result json,
        minutes real
      );
      comment on table tasks is 'What people are asked. What is shown never changes; status goes from open or claimed to completed, expired or canceled.';
      create index tasks_waiting on tasks ((-priority), created_at, id) where status in ('open', 'claimed');
      create index tasks_newest on tasks (created_at desc, id desc);`,
  },
  {
    name: '0061_tasks_subject',
    sql: `
      alter table tasks add column subject text;
      comment on column tasks.subject is 'The person whose data is shown: audit entries about the answer are kept under their key.';
      create index tasks_run on tasks (run_id);`,
  },
];

export type TaskStatus = 'open' | 'claimed' | 'completed' | 'expired' | 'canceled';

export interface OpenItem {
  id: string;
  queue: string;
  queueVersion: number;
  title: string;
  priority: number;
  runId: string;
  stepKey: string;
  context: string;
  subject: string | null;
  suggestion: string | null;
  contextDigest: string;
  createdAtMs: number;
  dueAtMs: number | undefined;
}

/** The id follows from run and step, so that a step redone after a crash finds the task that is already there. */
export const openLane = (opened: (items: readonly OpenItem[]) => void): Lane<OpenItem> => ({
  name: 'tasks opened',
  order: 40,
  committed: opened,
  async write(tx, items) {
    await tx.query(
      `insert into tasks (id, queue, queue_version, title, priority, run_id, step_key, context, suggestion, context_digest, created_at, due_at, subject)
       select * from unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::int[], $6::text[], $7::text[], $8::json[], $9::json[],
         $10::text[], $11::timestamptz[], $12::timestamptz[], $13::text[])
       on conflict (id) do nothing`,
      columns(items, (item) => [
        item.id,
        item.queue,
        item.queueVersion,
        item.title,
        item.priority,
        item.runId,
        item.stepKey,
        item.context,
        item.suggestion,
        item.contextDigest,
        timestamp(item.createdAtMs),
        item.dueAtMs === undefined ? null : timestamp(item.dueAtMs),
        item.subject,
      ]),
    );
    return undefined;
  },
});

interface Person {
  id: string;
  name: string;
}

/** A change that a person or the engine asks for; `atMs` is business time. */
export type ChangeItem = { id: string; atMs: number } & (
  | { action: 'claim' | 'release'; by: Person; anyone?: boolean }
  | { action: 'complete'; by: Person; contextDigest: string; result: Json; minutes: number }
  | { action: 'expired' | 'canceled' }
);

interface State {
  status: TaskStatus;
  context_digest: string;
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

/**
 * The gate of the tasks: locks the rows in the order of their ids, applies the changes one after another as if each stood alone, and
 * writes what became of the rows with one statement. The same change again is success. Closing never refuses: the engine closes a task with the
 * journal entry that ends its wait, and a task that a person has just completed stays completed.
 */
export const changeLane: Lane<ChangeItem> = {
  name: 'task changes',
  order: 15,
  gate: true,
  async write(tx, items) {
    const states = await lock(tx, items);
    const changed = new Set<string>();
    const results = items.map((item) => {
      const state = states.get(item.id);
      if (!state) return new Refused(unknownTask(item.id));
      const outcome = apply(state, item);
      if (outcome === 'changed') changed.add(item.id);
      return outcome instanceof AiosError ? new Refused(outcome) : undefined;
    });
    if (results.some((result) => result)) return results; // rolled back: the rest comes again without the refused
    if (changed.size > 0) await save(tx, [...changed], states);
    return undefined;
  },
};

async function lock(tx: Queryable, items: readonly ChangeItem[]): Promise<Map<string, State>> {
  const rows = await tx.query<State & { id: string }>(
    `select id, status, context_digest, due_at, claimed_by, claimed_name, claimed_at, decided_by, decided_name, ended_at, result, minutes
     from tasks where id = any($1::text[]) order by id for no key update`,
    [items.map(({ id }) => id)],
  );
  return new Map(rows.map(({ id, ...state }) => [id, state]));
}

async function save(
  tx: Queryable,
  ids: readonly string[],
  states: ReadonlyMap<string, State>,
): Promise<void> {
  await tx.query(
    `update tasks set status = c.status, claimed_by = c.claimed_by, claimed_name = c.claimed_name, claimed_at = c.claimed_at,
       decided_by = c.decided_by, decided_name = c.decided_name, ended_at = c.ended_at, result = c.result, minutes = c.minutes
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::timestamptz[], $9::json[], $10::real[])
       as c(id, status, claimed_by, claimed_name, claimed_at, decided_by, decided_name, ended_at, result, minutes)
     where tasks.id = c.id`,
    columns(ids, (id) => {
      const state = states.get(id) as State;
      return [
        id,
        state.status,
        state.claimed_by,
        state.claimed_name,
        time(state.claimed_at),
        state.decided_by,
        state.decided_name,
        time(state.ended_at),
        state.status === 'completed' ? JSON.stringify(state.result) : null,
        state.minutes,
      ];
    }),
  );
}

const time = (ms: number | null): string | null => (ms === null ? null : timestamp(ms));

/** Changes the state in place, leaves it, or says why the change may not be. */
function apply(state: State, item: ChangeItem): AiosError | 'changed' | 'same' {
  const waiting = state.status === 'open' || state.status === 'claimed';
  switch (item.action) {
    case 'expired':
    case 'canceled':
      if (!waiting) return 'same';
      state.status = item.action;
      state.ended_at = item.atMs;
      return 'changed';
    case 'claim':
      if (state.claimed_by === item.by.id && state.status === 'claimed') return 'same';
      if (!waiting) return notOpen(item.id, state.status);
      if (state.status === 'claimed') return claimedByOther(item.id, state.claimed_name);
      Object.assign(state, { status: 'claimed', ...claimOf(item.by, item.atMs) });
      return 'changed';
    case 'release':
      if (state.status === 'open') return 'same';
      if (!waiting) return notOpen(item.id, state.status);
      if (state.claimed_by !== item.by.id && !item.anyone) return claimedByOther(item.id, state.claimed_name);
      Object.assign(state, { status: 'open', claimed_by: null, claimed_name: null, claimed_at: null });
      return 'changed';
    case 'complete':
      return complete(state, item);
  }
}

function complete(state: State, item: ChangeItem & { action: 'complete' }): AiosError | 'changed' | 'same' {
  const { by, atMs } = item;
  if (state.status === 'completed' && state.decided_by === by.id && state.ended_at === atMs) return 'same';
  if (state.status !== 'open' && state.status !== 'claimed') return notOpen(item.id, state.status);
  // The engine ends the wait at this very time: an answer after it would be recorded and count for nothing.
  if (state.due_at !== null && atMs >= state.due_at) return notOpen(item.id, 'past its deadline');
  if (state.claimed_by !== null && state.claimed_by !== by.id)
    return claimedByOther(item.id, state.claimed_name);
  if (state.context_digest !== item.contextDigest) return contextChanged(item.id);
  if (state.claimed_by === null) Object.assign(state, claimOf(by, atMs));
  Object.assign(state, {
    status: 'completed',
    decided_by: by.id,
    decided_name: by.name,
    ended_at: atMs,
    result: item.result,
    minutes: item.minutes,
  });
  return 'changed';
}

const claimOf = (by: Person, atMs: number) => ({
  claimed_by: by.id,
  claimed_name: by.name,
  claimed_at: atMs,
});

export function unknownTask(id: string): AiosError {
  return new AiosError('tasks.unknown', { detail: `There is no task “${id}”.` });
}

export function notOpen(id: string, status: string): AiosError {
  return new AiosError('tasks.not_open', {
    detail: `${id} is ${status}.`,
    extensions: { taskStatus: status },
  });
}

export function contextChanged(id: string): AiosError {
  return new AiosError('tasks.context_changed', {
    detail: `The answer is bound to another digest than that of what ${id} shows.`,
  });
}

function claimedByOther(id: string, name: string | null): AiosError {
  return new AiosError('tasks.claimed_by_other', {
    detail: `${id} is claimed by ${name ?? 'someone else'}.`,
  });
}
