import type { Queryable } from '../store/database.ts';
import { type Lane, Refused } from '../store/lane.ts';
import { columns, timestamp } from '../store/rows.ts';
import { applyChange, type ChangeItem, type TaskState, unknownTask } from './task-states.ts';

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
  deadlineAtMs: number | undefined;
  followUpAtMs: number | undefined;
  /** Instead of the groups of the queue. */
  groups: readonly string[] | undefined;
  /** The task that was returned to the requester before this one: who returned it has this one in hand. */
  continues: string | undefined;
  nextEscalationAtMs: number | undefined;
}

const OPENED = `from unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::int[], $6::text[], $7::text[], $8::json[], $9::json[], $10::text[],
    $11::timestamptz[], $12::timestamptz[], $13::text[], $14::timestamptz[], $15::timestamptz[], $16::json[], $17::text[], $18::timestamptz[])
    as o(id, queue, version, title, priority, run_id, step_key, context, suggestion, context_digest, created_at, due_at, subject,
      deadline_at, follow_up_at, groups, continues, next_escalation_at)`;
const INTO = `insert into tasks (id, queue, queue_version, title, priority, run_id, step_key, context, suggestion, context_digest, created_at, due_at, subject,
    deadline_at, follow_up_at, candidate_groups, continues, next_escalation_at`;
const VALUES = `o.id, o.queue, o.version, o.title, o.priority, o.run_id, o.step_key, o.context, o.suggestion, o.context_digest, o.created_at, o.due_at, o.subject,
    o.deadline_at, o.follow_up_at, o.groups::jsonb, o.continues, o.next_escalation_at`;
const INSERT = `${INTO}) select ${VALUES} ${OPENED} on conflict (id) do nothing`;
// Looks for the task before it, whose person has this one in hand: only where there is one, so that no other opening reads the table.
const INSERT_CONTINUING = `${INTO}, status, claimed_by, claimed_name, claimed_at)
  select ${VALUES}, case when p.id is null then 'open' else 'claimed' end, p.decided_by, p.decided_name, case when p.id is null then null else o.created_at end
  ${OPENED} left join tasks p on p.id = o.continues and p.status = 'returned' on conflict (id) do nothing`;

/** The id follows from run and step, so that a step redone after a crash finds the task that is already there. */
export const openLane = (opened: (items: readonly OpenItem[]) => void): Lane<OpenItem> => ({
  name: 'tasks opened',
  order: 40,
  committed: opened,
  async write(tx, items) {
    const continuing = items.some((item) => item.continues !== undefined);
    await tx.query(
      continuing ? INSERT_CONTINUING : INSERT,
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
        time(item.dueAtMs),
        item.subject,
        time(item.deadlineAtMs),
        time(item.followUpAtMs),
        item.groups === undefined ? null : JSON.stringify(item.groups),
        item.continues ?? null,
        time(item.nextEscalationAtMs),
      ]),
    );
    return undefined;
  },
});

/**
 * The gate of the tasks: locks the rows in the order of their ids, applies the changes one after another as if each stood alone, and
 * writes what became of the rows with one statement. What is so already is refused by `AlreadySo`: it was committed with all that belongs to it.
 * Closing never refuses: the engine closes a task with the journal entry that ends its wait, and a task that a person has just completed stays completed.
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
      const outcome = applyChange(state, item);
      if (outcome === 'changed') changed.add(item.id);
      return outcome instanceof Error ? new Refused(outcome) : undefined;
    });
    if (results.some((result) => result)) return results; // rolled back: the rest comes again without the refused
    if (changed.size > 0) await save(tx, [...changed], states);
    return undefined;
  },
};

async function lock(tx: Queryable, items: readonly ChangeItem[]): Promise<Map<string, TaskState>> {
  const rows = await tx.query<TaskState & { id: string }>(
    `select id, status, priority, context_digest, deadline_at, follow_up_at, added_groups, added_roles, owner_id, owner_name, escalation_level,
       next_escalation_at, claimed_by, claimed_name, claimed_at, decided_by, decided_name, ended_at, result, minutes
     from tasks where id = any($1::text[]) order by id for no key update`,
    [items.map(({ id }) => id)],
  );
  return new Map(rows.map(({ id, ...state }) => [id, state]));
}

async function save(
  tx: Queryable,
  ids: readonly string[],
  states: ReadonlyMap<string, TaskState>,
): Promise<void> {
  await tx.query(
    `update tasks set status = c.status, claimed_by = c.claimed_by, claimed_name = c.claimed_name, claimed_at = c.claimed_at,
       decided_by = c.decided_by, decided_name = c.decided_name, ended_at = c.ended_at, result = c.result, minutes = c.minutes,
       priority = c.priority, follow_up_at = c.follow_up_at, added_groups = c.added_groups::jsonb, added_roles = c.added_roles::jsonb,
       owner_id = c.owner_id, owner_name = c.owner_name, escalation_level = c.escalation_level, next_escalation_at = c.next_escalation_at
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::timestamptz[], $9::json[], $10::real[],
       $11::int[], $12::timestamptz[], $13::json[], $14::json[], $15::text[], $16::text[], $17::int[], $18::timestamptz[])
       as c(id, status, claimed_by, claimed_name, claimed_at, decided_by, decided_name, ended_at, result, minutes,
         priority, follow_up_at, added_groups, added_roles, owner_id, owner_name, escalation_level, next_escalation_at)
     where tasks.id = c.id`,
    columns(ids, (id) => {
      const state = states.get(id) as TaskState;
      const answered = state.status === 'completed' || state.status === 'returned';
      return [
        id,
        state.status,
        state.claimed_by,
        state.claimed_name,
        time(state.claimed_at),
        state.decided_by,
        state.decided_name,
        time(state.ended_at),
        answered ? JSON.stringify(state.result) : null,
        state.minutes,
        state.priority,
        time(state.follow_up_at),
        JSON.stringify(state.added_groups),
        JSON.stringify(state.added_roles),
        state.owner_id,
        state.owner_name,
        state.escalation_level,
        time(state.next_escalation_at),
      ];
    }),
  );
}

const time = (ms: number | null | undefined): string | null =>
  ms === null || ms === undefined ? null : timestamp(ms);
