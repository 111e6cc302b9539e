import type { Json } from '../kernel/json.ts';
import { approves, outcomeOf, type ReviewRules } from './review-rules.ts';

/** A person's answer to one of the tasks of a review. */
export interface Vote {
  readonly taskId: string;
  readonly by: { readonly id: string; readonly name: string };
  readonly result: Json;
  /** Digest of exactly what was shown to them. */
  readonly contextDigest: string;
  readonly atMs: number;
  readonly role: 'reviewer' | 'adjudicator';
}

/** What the answers so far come to. */
export type Verdict =
  | { readonly kind: 'waiting' }
  /** Two answers that differ: somebody else decides between them. */
  | { readonly kind: 'adjudicate' }
  | { readonly kind: 'decided'; readonly result: Json; readonly decidedBy: string; readonly reason: string };

/**
 * n-of-m approval: ends as soon as no answer still to come can change it. The answer that decided is the result.
 *
 * @example tallyApprovals([approval, approval], rules).kind // 'decided', with `needed: 2`
 */
export function tallyApprovals(votes: readonly Vote[], rules: ReviewRules): Verdict {
  const { of, needed, refusal } = rules.approvals!;
  const refusalsMax = refusal === 'first' ? 0 : of - needed;
  let approvals = 0;
  let refusals = 0;
  for (const { result, by } of votes) {
    const approved = approves(result, rules);
    if (approved) approvals++;
    else refusals++;
    const decided = { kind: 'decided', result, decidedBy: by.id } as const;
    if (approvals >= needed)
      return { ...decided, reason: `${approvals} of ${of} approved, ${needed} were needed.` };
    if (refusals > refusalsMax) {
      const why =
        refusal === 'first' ? 'one refusal is enough' : `${needed} approvals can no longer be reached`;
      return { ...decided, reason: `${refusals} of ${of} refused: ${why}.` };
    }
  }
  return { kind: 'waiting' };
}

/**
 * Blind double review: two answers with one outcome are the result (the first of them); two with different ones go to an adjudicator, whose answer is the result.
 *
 * @example tallyDouble([{ ...vote, result: { decision: 'approve' } }, { ...vote, result: { decision: 'refuse' } }], rules).kind // 'adjudicate'
 */
export function tallyDouble(votes: readonly Vote[], rules: ReviewRules): Verdict {
  const adjudication = votes.find(({ role }) => role === 'adjudicator');
  if (adjudication) {
    const { result, by } = adjudication;
    return {
      kind: 'decided',
      result,
      decidedBy: by.id,
      reason: 'The two answers differed; an adjudicator decided.',
    };
  }
  const [first, second] = votes;
  if (!first || !second) return { kind: 'waiting' };
  if (outcomeOf(first.result, rules) !== outcomeOf(second.result, rules)) return { kind: 'adjudicate' };
  return {
    kind: 'decided',
    result: first.result,
    decidedBy: first.by.id,
    reason: 'Two people came to the same answer.',
  };
}
