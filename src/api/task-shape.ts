import { Type } from 'typebox';
import type { Task } from '../tasks/task-desk.ts';
import { ReviewShape, reviewToJson } from './review-shape.ts';
import { AnyObject, iso, isoOrUndefined } from './shapes.ts';

const Time = Type.String({ format: 'date-time' });

/** A task as the API shows it. */
export const TaskShape = Type.Object({
  id: Type.String(),
  queue: Type.String(),
  queueTitle: Type.String(),
  title: Type.String(),
  instructions: Type.Optional(Type.String()),
  status: Type.String({ enum: ['open', 'claimed', 'completed', 'returned', 'expired', 'canceled'] }),
  priority: Type.Integer(),
  runId: Type.String(),
  context: AnyObject,
  contextDigest: Type.String(),
  form: AnyObject,
  suggestion: Type.Optional(Type.Unknown()),
  result: Type.Optional(Type.Unknown()),
  createdAt: Time,
  dueAt: Type.Optional(Type.String({ format: 'date-time', description: 'When it should be done' })),
  deadlineAt: Type.Optional(
    Type.String({ format: 'date-time', description: 'When the safe outcome becomes the answer' }),
  ),
  followUpAt: Type.Optional(
    Type.String({ format: 'date-time', description: 'Hidden from inboxes until then' }),
  ),
  candidateGroups: Type.Optional(
    Type.Array(Type.String(), {
      description: 'Who may answer, instead of the groups and roles of its queue',
    }),
  ),
  addedGroups: Type.Array(Type.String(), { description: 'Who else may answer since it was escalated' }),
  addedRoles: Type.Array(Type.String()),
  escalationLevel: Type.Integer({ description: '0 until the first escalation of its queue' }),
  continues: Type.Optional(
    Type.String({ description: 'The previous task, which was returned to the requester' }),
  ),
  mayReturn: Type.Boolean({ description: 'Whether it may be sent back with a question' }),
  owner: Type.Optional(Type.String({ description: 'Who stays accountable while claimedBy works on it' })),
  ownerId: Type.Optional(Type.String()),
  claimedAt: Type.Optional(Time),
  endedAt: Type.Optional(Time),
  claimedBy: Type.Optional(Type.String()),
  claimedById: Type.Optional(Type.String()),
  decidedBy: Type.Optional(Type.String()),
  minutes: Type.Optional(Type.Number()),
  review: Type.Optional(ReviewShape),
});
/** What does not apply is absent: an open task has no `claimedBy`. */
export function taskToJson(task: Task) {
  const { stepKey: _, queueVersion: __, subject: ___, review, rules, ...shown } = task;
  return {
    ...shown,
    review: review ? reviewToJson(review, rules) : undefined,
    instructions: task.instructions ?? undefined,
    suggestion: task.suggestion ?? undefined,
    result: task.result ?? undefined,
    createdAt: iso(task.createdAt),
    dueAt: isoOrUndefined(task.dueAt),
    deadlineAt: isoOrUndefined(task.deadlineAt),
    followUpAt: isoOrUndefined(task.followUpAt),
    candidateGroups: task.candidateGroups ?? undefined,
    continues: task.continues ?? undefined,
    owner: task.owner?.name,
    ownerId: task.owner?.id,
    claimedAt: isoOrUndefined(task.claimedAt),
    endedAt: isoOrUndefined(task.endedAt),
    claimedBy: task.claimedBy?.name,
    claimedById: task.claimedBy?.id,
    decidedBy: task.decidedBy?.name,
    minutes: task.minutes ?? undefined,
  };
}
