import { Type } from 'typebox';
import { isOver, type Review, votesOf } from '../tasks/review.ts';
import { outcomeOf, type ReviewRules } from '../tasks/review-rules.ts';
import { iso } from './shapes.ts';

/** What several people decide together, as the API shows it to one of them. */
export const ReviewShape = Type.Object({
  id: Type.String({ description: 'The same for all tasks of a case' }),
  form: Type.String({
    enum: ['single', 'approvals', 'double', 'sample'],
    description: 'sample: a check of an automatic answer; no run waits for it',
  }),
  status: Type.String({
    enum: ['waiting', 'adjudicating', 'decided', 'returned', 'expired', 'canceled'],
  }),
  role: Type.String({ enum: ['reviewer', 'adjudicator'] }),
  round: Type.Integer({ description: 'Counts from 1; the data was corrected before each further round' }),
  blind: Type.Boolean({ description: 'Neither the suggestion nor the answers of others are shown' }),
  people: Type.Integer({ description: 'How many people are asked' }),
  answered: Type.Integer({ description: 'How many have answered' }),
  needed: Type.Optional(Type.Integer({ description: 'How many of them must approve' })),
  amendable: Type.Boolean({ description: 'Whether the data that is shown may be corrected' }),
  requester: Type.Optional(Type.String()),
  votes: Type.Optional(
    Type.Array(
      Type.Object({
        by: Type.String(),
        outcome: Type.String(),
        role: Type.String(),
        at: Type.String({ format: 'date-time' }),
      }),
      { description: 'Absent while the review is blind' },
    ),
  ),
  answers: Type.Optional(
    Type.Array(Type.Unknown(), { description: 'For an adjudicator: the answers that differ' }),
  ),
  reason: Type.Optional(Type.String({ description: 'How it was decided' })),
});

/** What does not apply, and what is not to be seen yet, is absent. */
export function reviewToJson(review: Review, rules: ReviewRules) {
  const { id, form, status, role, round, blind, requester, answers, decision, members } = review;
  const votes = votesOf(review);
  const hidden = blind && !isOver(review);
  return {
    id,
    form,
    status,
    role,
    round,
    blind,
    people: members.filter((member) => member.role === 'reviewer').length,
    answered: votes.length,
    needed: form === 'approvals' ? rules.approvals?.needed : undefined,
    amendable: rules.amendable && role === 'reviewer' && !isOver(review),
    requester: requester ?? undefined,
    votes: hidden
      ? undefined
      : votes.map((vote) => ({
          by: vote.by.name,
          outcome: outcomeOf(vote.result, rules),
          role: vote.role,
          at: iso(vote.atMs),
        })),
    answers: answers ?? undefined,
    reason: decision?.reason,
  };
}
