import { AiosError } from '../kernel/errors.ts';
import { derivedId } from '../kernel/ids.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { type Write, write } from '../store/lane.ts';
import type { Queue } from './queue-kind.ts';
import {
  type ReviewForm,
  type ReviewTaskItem,
  reviewOpenLane,
  reviewTaskLane,
  routingLane,
} from './review-lanes.ts';
import { approves } from './review-rules.ts';
import { type Routing, routeByConfidence } from './routing.ts';
import { shownDigest } from './shown.ts';
import type { OpenItem } from './task-lanes.ts';
import type { TaskRow } from './task-reader.ts';

/** What a step says about the case beyond what is shown. */
export interface ReviewRequest {
  /** Id or name of the person who asked for it: they do not answer it. Null when nobody did. */
  readonly requester?: string | null | undefined;
  /** Ids or names of those who prepared what is shown. */
  readonly preparedBy?: readonly string[] | undefined;
  /** In the suggestion, 0 to 1. */
  readonly confidence?: number | undefined;
  /** What the suggestion was made from: kept with the answers as labels. */
  readonly features?: JsonObject | undefined;
  /** What identifies the case for the sample; run and step when left out. */
  readonly case?: string | undefined;
  /** The step's own safe outcome. */
  readonly onDeadline?: Json | undefined;
}

/** What is asked of whom. */
export interface Opening {
  /** None when the case is answered automatically. */
  readonly tasks: readonly OpenItem[];
  /** What is committed besides the tasks. */
  readonly writes: readonly Write[];
  /** Whether answers are counted together, or rules say who may answer. */
  readonly reviewed: boolean;
  readonly routing: Routing | undefined;
  /** The answer, when no person is asked before the run goes on. */
  readonly settled: Json | undefined;
}

/**
 * From a step's request to the tasks of people: one, several, or none.
 *
 * @throws AiosError `tasks.requester_missing`, `tasks.unsafe_outcome`
 */
export function planOpening(
  request: ReviewRequest,
  first: OpenItem,
  queue: Queue,
  suggestion: Json | undefined,
): Opening {
  const { rules } = queue;
  requireSafeOutcome(request.onDeadline, queue);
  const routing =
    rules.bands.length === 0
      ? undefined
      : routeByConfidence(rules, queue.validate, {
          confidence: request.confidence,
          suggestion,
          caseKey: request.case ?? `${first.runId}/${first.stepKey}`,
        });
  const routed = routing
    ? [write(routingLane, { ...routing, id: first.id, queue: first.queue, atMs: first.createdAtMs })]
    : [];
  const settled = routing?.route === 'auto' ? (suggestion ?? null) : undefined;
  const form = formOf(request, queue, routing);
  if (form === undefined)
    return { tasks: settled === undefined ? [first] : [], writes: routed, reviewed: false, routing, settled };
  const blind = form === 'double' || form === 'sample';
  const shown: OpenItem = blind
    ? { ...first, suggestion: null, contextDigest: blindDigest(first, queue) }
    : first;
  const tasks = roundOf(shown, peopleOf(form, queue), 1, first.id);
  const review = write(reviewOpenLane, {
    ...placeOf(first),
    id: first.id,
    form,
    queueVersion: first.queueVersion,
    suggestion: first.suggestion,
    features: request.features === undefined ? null : JSON.stringify(request.features),
    subject: first.subject,
    blind,
    requester: request.requester ?? null,
    preparedBy: request.preparedBy ?? [],
    openedAtMs: first.createdAtMs,
  });
  return {
    tasks,
    writes: [...routed, review, ...memberWrites(tasks, first.id, 1)],
    reviewed: true,
    routing,
    settled,
  };
}

/** As many tasks as people are asked. Their ids follow from the review's and the round, so that a step redone after a crash finds them. */
export function roundOf(item: OpenItem, people: number, round: number, reviewId: string): OpenItem[] {
  return Array.from({ length: people }, (_, index) =>
    round === 1 && index === 0
      ? item
      : { ...item, id: derivedId('tsk', reviewId, `${round}.${index}`), continues: undefined },
  );
}

/** The same case asked again: of an adjudicator, or with what is shown put right. */
export function askedAgain(
  task: TaskRow,
  again: {
    reviewId: string;
    part: string;
    round: number;
    atMs: number;
    nextEscalationAtMs: number | undefined;
  },
): OpenItem {
  const { reviewId, part, round, atMs, nextEscalationAtMs } = again;
  const {
    queue,
    queueVersion,
    title,
    priority,
    runId,
    stepKey,
    context,
    subject,
    suggestion,
    contextDigest,
  } = task;
  return {
    id: derivedId('tsk', reviewId, `${round}.${part}`),
    queue,
    queueVersion,
    title,
    priority,
    runId,
    stepKey,
    context: JSON.stringify(context),
    subject,
    suggestion: suggestion === null ? null : JSON.stringify(suggestion),
    contextDigest,
    createdAtMs: atMs,
    dueAtMs: task.dueAt ?? undefined,
    deadlineAtMs: task.deadlineAt ?? undefined,
    followUpAtMs: undefined,
    groups: task.candidateGroups ?? undefined,
    continues: undefined,
    nextEscalationAtMs,
  };
}

/** The rows that tie the tasks of a round to their review. */
export function memberWrites(
  tasks: readonly OpenItem[],
  reviewId: string,
  round: number,
  adjudicated?: readonly Json[],
): Write[] {
  const member: Omit<ReviewTaskItem, 'taskId'> = {
    reviewId,
    round,
    role: adjudicated ? 'adjudicator' : 'reviewer',
    answers: adjudicated ? JSON.stringify(adjudicated) : null,
  };
  return tasks.map(({ id }) => write(reviewTaskLane, { ...member, taskId: id }));
}

export function peopleOf(form: ReviewForm, { rules }: Pick<Queue, 'rules'>): number {
  if (form === 'approvals') return rules.approvals!.of;
  return form === 'double' ? 2 : 1;
}

function formOf(
  request: ReviewRequest,
  { name, rules }: Queue,
  routing: Routing | undefined,
): ReviewForm | undefined {
  if (routing?.route === 'auto') return routing.sampled ? 'sample' : undefined;
  if (routing?.route === 'double') return 'double';
  if (rules.approvals) {
    if (request.requester === undefined)
      throw new AiosError('tasks.requester_missing', { detail: `${name} asks for approvals.` });
    return 'approvals';
  }
  const hasRules = request.requester || request.preparedBy?.length || request.features || rules.amendable;
  return hasRules ? 'single' : undefined;
}

/** No answer is a refusal, whoever words it: the step's own outcome is held to what the queue's is held to. */
function requireSafeOutcome(outcome: Json | undefined, { name, rules, validate }: Queue): void {
  if (outcome === undefined) return;
  const issues = validate(outcome).map((issue) => ({ ...issue, path: `/onDeadline${issue.path}` }));
  if (issues.length > 0)
    throw new AiosError('tasks.unsafe_outcome', {
      detail: `The form of ${name} does not accept it.`,
      issues,
    });
  if (approves(outcome, rules))
    throw new AiosError('tasks.unsafe_outcome', { detail: `It approves, and ${name} asks for approvals.` });
}

function placeOf({ queue, runId, stepKey }: OpenItem): { queue: string; runId: string; stepKey: string } {
  return { queue, runId, stepKey };
}

function blindDigest({ title, context }: OpenItem, queue: Queue): string {
  return shownDigest({ title, context: JSON.parse(context) as JsonObject }, queue);
}
