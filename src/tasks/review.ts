import { AiosError } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';
import type { Queue } from './queue-kind.ts';
import type { ReviewForm, ReviewStatus } from './review-lanes.ts';
import { approves, outcomeOf } from './review-rules.ts';
import type { Vote } from './tally.ts';
import type { TaskStatus } from './task-states.ts';

interface Someone {
  readonly id: string;
  readonly name: string;
}

/** One of the tasks of a review, of the round that counts. */
export interface Member {
  readonly taskId: string;
  readonly role: 'reviewer' | 'adjudicator';
  readonly status: TaskStatus;
  readonly claimedBy: Someone | null;
  readonly vote: Vote | null;
}

/** What several tasks decide together, as one of them sees it. */
export interface Review {
  readonly id: string;
  readonly form: ReviewForm;
  readonly status: ReviewStatus;
  readonly version: number;
  /** Begins anew when what is shown was put right: only its answers count. */
  readonly round: number;
  readonly blind: boolean;
  readonly requester: string | null;
  readonly preparedBy: readonly string[];
  readonly decision: { readonly result: Json; readonly decidedBy: string; readonly reason: string } | null;
  readonly members: readonly Member[];
  /** Of the task that was asked about. */
  readonly role: 'reviewer' | 'adjudicator';
  readonly taskRound: number;
  readonly answers: readonly Json[] | null;
}

/** What the answers came to, as the step of the flow and the audit log tell it. */
export type ReviewSummary = {
  form: ReviewForm;
  reason: string;
  votes: { by: string; outcome: string; role: string }[];
  /** Of approvals. */
  approved?: boolean;
};

/** Whether nothing that comes changes it any more. */
export function isOver({ status }: Pick<Review, 'status'>): boolean {
  return status !== 'waiting' && status !== 'adjudicating';
}

export function votesOf({ members }: Pick<Review, 'members'>): Vote[] {
  return members.flatMap(({ vote }) => vote ?? []);
}

/**
 * Why this person may not answer this task of a review: they asked for it, prepared it, or answer another task of it.
 *
 * @throws AiosError `tasks.requester_excluded`, `tasks.one_answer_each`
 */
export function requireEligible(review: Review, taskId: string, by: Someone): void {
  const { requester, preparedBy, members } = review;
  if (requester !== null && isSame(by, requester))
    throw new AiosError('tasks.requester_excluded', { detail: `${by.name} asked for it.` });
  if (preparedBy.some((person) => isSame(by, person)))
    throw new AiosError('tasks.requester_excluded', { detail: `${by.name} prepared what is shown.` });
  const others = members.filter((member) => member.taskId !== taskId);
  const answered = others.find(({ vote }) => vote && (isSame(by, vote.by.id) || isSame(by, vote.by.name)));
  if (answered)
    throw new AiosError('tasks.one_answer_each', { detail: `${by.name} has answered ${answered.taskId}.` });
  const claimed = others.find(
    ({ status, claimedBy }) =>
      status === 'claimed' && claimedBy && (isSame(by, claimedBy.id) || isSame(by, claimedBy.name)),
  );
  if (claimed)
    throw new AiosError('tasks.one_answer_each', { detail: `${by.name} has claimed ${claimed.taskId}.` });
}

/** The tasks that a person may answer, one for each case: of several they see the one that they have in hand, else the first. */
export function answerable<
  Shown extends { id: string; review: Review | null; claimedBy: { id: string } | null },
>(tasks: readonly Shown[], person: Someone): Shown[] {
  const chosen = new Map<string, Shown>();
  for (const task of tasks) {
    const key = task.review?.id ?? task.id;
    const before = chosen.get(key);
    if (before?.claimedBy?.id === person.id || (before && task.claimedBy?.id !== person.id)) continue;
    if (task.claimedBy?.id === person.id || mayAnswer(task, person)) chosen.set(key, task);
  }
  return [...chosen.values()];
}

function mayAnswer({ id, review }: { id: string; review: Review | null }, person: Someone): boolean {
  try {
    if (review) requireEligible(review, id, person);
    return true;
  } catch {
    return false;
  }
}

/** What an ended review came to, for the step of the flow. */
export function summaryOf(
  form: ReviewForm,
  votes: readonly Vote[],
  reason: string,
  queue: Queue,
  result: Json | undefined,
): ReviewSummary {
  const { rules } = queue;
  return {
    form,
    reason,
    votes: votes.map((vote) => ({ by: vote.by.id, outcome: outcomeOf(vote.result, rules), role: vote.role })),
    ...(form === 'approvals' ? { approved: result !== undefined && approves(result, rules) } : {}),
  };
}

/** A person with two keys of one name is one person: an approval by oneself must not pass for two. */
function isSame(by: Someone, person: string): boolean {
  return by.id === person || by.name.toLowerCase() === person.toLowerCase();
}
