import { AiosError } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';

export type TaskStatus = 'open' | 'claimed' | 'completed' | 'returned' | 'expired' | 'canceled';

interface Named {
  readonly id: string;
  readonly name: string;
}

/** A change that a person or the engine asks for; `atMs` is business time. */
export type ChangeItem = { id: string; atMs: number } & (
  | { action: 'claim'; by: Named }
  /** `from` had it in hand when this was asked; `anyone`: not only they may give it back. */
  | { action: 'release'; by: Named; from: string | null; anyone: boolean }
  | { action: 'delegate'; by: Named; to: Named }
  | { action: 'hand-back'; by: Named }
  | { action: 'assign'; to: Named }
  | { action: 'prioritize'; priority: number }
  | { action: 'follow-up'; by: Named; followUpAtMs: number | null }
  | ({ action: 'escalate' } & Escalation)
  | { action: 'complete'; by: Named; contextDigest: string; result: Json; minutes: number }
  | { action: 'return'; by: Named; contextDigest: string; message: string; minutes: number }
  | { action: 'expired' | 'canceled' }
);

/** One rung of a queue's ladder, as it is written on the task. */
interface Escalation {
  /** 1 for the first; it fires while the task stands on the one before it. */
  level: number;
  /** At least this. */
  priority: number | undefined;
  groups: readonly string[];
  roles: readonly string[];
  /** When the next one fires. */
  nextAtMs: number | undefined;
}

/** What may change of a task, by the names of its columns. */
export interface TaskState {
  status: TaskStatus;
  priority: number;
  context_digest: string;
  deadline_at: number | null;
  follow_up_at: number | null;
  added_groups: readonly string[];
  added_roles: readonly string[];
  owner_id: string | null;
  owner_name: string | null;
  escalation_level: number;
  next_escalation_at: number | null;
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
 * Refuses a change that has been made already: by an earlier call, or by this one whose answer was lost. What belongs to it was committed then,
 * so nothing of it is written again; whoever asked is told of success.
 */
export class AlreadySo extends Error {}

type Outcome = AiosError | AlreadySo | 'changed' | 'same';
type Change<Action> = ChangeItem & { action: Action };

/** Changes the state in place, leaves it, or says why the change may not be. */
export function applyChange(state: TaskState, item: ChangeItem): Outcome {
  if (item.action === 'complete') return complete(state, item);
  const waiting = state.status === 'open' || state.status === 'claimed';
  if (item.action === 'expired' || item.action === 'canceled') {
    // Never refused: the engine commits it with the entry that ends its wait.
    if (!waiting) return 'same';
    Object.assign(state, { status: item.action, ended_at: item.atMs });
    return 'changed';
  }
  if (item.action === 'return') return giveBackWithQuestion(state, item);
  if (!waiting) return notOpen(item.id, state.status);
  switch (item.action) {
    case 'claim':
      return claim(state, item);
    case 'release':
      return release(state, item);
    case 'delegate':
      return delegate(state, item);
    case 'hand-back':
      return handBack(state, item);
    case 'assign':
      return give(state, item.to, null, item.atMs);
    case 'prioritize':
      if (state.priority === item.priority) return new AlreadySo();
      state.priority = item.priority;
      return 'changed';
    case 'follow-up':
      return followUp(state, item);
    case 'escalate':
      return escalate(state, item);
  }
}

function claim(state: TaskState, { id, by, atMs }: Change<'claim'>): Outcome {
  if (state.claimed_by === by.id) return new AlreadySo();
  if (state.status === 'claimed') return claimedByOther(id, state.claimed_name);
  return give(state, by, null, atMs);
}

function release(state: TaskState, item: Change<'release'>): Outcome {
  const { id, by, anyone, from, atMs } = item;
  // Asked again after its answer was lost, it must not take the task from the owner to whom it went back.
  if (state.status === 'open' || state.claimed_by !== from) return new AlreadySo();
  // Lent, it goes back to its owner: who lent it is accountable for it.
  if (state.claimed_by === by.id && state.owner_id !== null) return give(state, ownerOf(state), null, atMs);
  if (state.claimed_by !== by.id && !anyone) return claimedByOther(id, state.claimed_name);
  Object.assign(state, { status: 'open', claimed_by: null, claimed_name: null, claimed_at: null });
  Object.assign(state, { owner_id: null, owner_name: null });
  return 'changed';
}

function delegate(state: TaskState, { id, by, to, atMs }: Change<'delegate'>): Outcome {
  if (state.claimed_by === to.id) return new AlreadySo();
  if (state.claimed_by !== by.id && state.owner_id !== by.id) {
    return state.status === 'open' ? notClaimed(id) : claimedByOther(id, state.claimed_name);
  }
  return give(state, to, state.owner_id === null ? by : ownerOf(state), atMs);
}

function handBack(state: TaskState, { id, by, atMs }: Change<'hand-back'>): Outcome {
  if (state.owner_id === null) return state.status === 'claimed' ? new AlreadySo() : notClaimed(id);
  if (state.claimed_by !== by.id && state.owner_id !== by.id) return claimedByOther(id, state.claimed_name);
  return give(state, ownerOf(state), null, atMs);
}

/** The task is in the hands of `to`; `owner` stays accountable when it is somebody else. */
function give(state: TaskState, to: Named, owner: Named | null, atMs: number): Outcome {
  const lent = owner !== null && owner.id !== to.id;
  if (state.claimed_by === to.id && state.owner_id === null && !lent) return new AlreadySo();
  Object.assign(state, { status: 'claimed', ...claimOf(to, atMs) });
  Object.assign(state, { owner_id: lent ? owner.id : null, owner_name: lent ? owner.name : null });
  return 'changed';
}

function followUp(state: TaskState, { id, by, followUpAtMs }: Change<'follow-up'>): Outcome {
  if (state.claimed_by !== null && state.claimed_by !== by.id && state.owner_id !== by.id)
    return claimedByOther(id, state.claimed_name);
  if (state.follow_up_at === followUpAtMs) return new AlreadySo();
  state.follow_up_at = followUpAtMs;
  return 'changed';
}

function escalate(state: TaskState, { level, priority, groups, roles, nextAtMs }: Change<'escalate'>) {
  if (state.escalation_level !== level - 1) return new AlreadySo();
  state.escalation_level = level;
  state.priority = Math.max(state.priority, priority ?? 0);
  state.added_groups = [...new Set([...state.added_groups, ...groups])];
  state.added_roles = [...new Set([...state.added_roles, ...roles])];
  state.next_escalation_at = nextAtMs ?? null;
  // What is pressing is looked at now, whatever was put off.
  state.follow_up_at = null;
  return 'changed' as const;
}

function complete(state: TaskState, item: Change<'complete'>): Outcome {
  const { by, atMs } = item;
  if (state.status === 'completed' && state.decided_by === by.id && state.ended_at === atMs) return 'same';
  const refused = mayEnd(state, item);
  if (refused) return refused;
  end(state, 'completed', item);
  state.result = item.result;
  return 'changed';
}

function giveBackWithQuestion(state: TaskState, item: Change<'return'>): Outcome {
  const { by, atMs } = item;
  if (state.status === 'returned' && state.decided_by === by.id && state.ended_at === atMs) return 'same';
  const refused = mayEnd(state, item);
  if (refused) return refused;
  end(state, 'returned', item);
  state.result = { message: item.message };
  return 'changed';
}

function mayEnd(state: TaskState, item: Change<'complete' | 'return'>): AiosError | undefined {
  const { id, by, atMs } = item;
  if (state.status !== 'open' && state.status !== 'claimed') return notOpen(id, state.status);
  // The engine ends the wait at this very time: an answer after it would be recorded and count for nothing.
  if (state.deadline_at !== null && atMs >= state.deadline_at) return notOpen(id, 'past its deadline');
  if (state.claimed_by !== null && state.claimed_by !== by.id) return claimedByOther(id, state.claimed_name);
  return state.context_digest === item.contextDigest ? undefined : contextChanged(id);
}

function end(
  state: TaskState,
  status: TaskStatus,
  { by, atMs, minutes }: Change<'complete' | 'return'>,
): void {
  if (state.claimed_by === null) Object.assign(state, claimOf(by, atMs));
  Object.assign(state, {
    status,
    decided_by: by.id,
    decided_name: by.name,
    ended_at: atMs,
    minutes,
  });
}

const claimOf = (by: Named, atMs: number) => ({
  claimed_by: by.id,
  claimed_name: by.name,
  claimed_at: atMs,
});

const ownerOf = ({ owner_id, owner_name }: TaskState): Named => ({
  id: owner_id as string,
  name: owner_name ?? (owner_id as string),
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

function notClaimed(id: string): AiosError {
  return new AiosError('tasks.not_claimed', { detail: `Nobody has ${id} in hand.` });
}
