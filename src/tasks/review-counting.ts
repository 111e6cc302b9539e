import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { type Lane, type Write, write } from '../store/lane.ts';
import type { Person } from './candidates.ts';
import type { Ending } from './ending.ts';
import { escalationAt } from './escalations.ts';
import type { Queue } from './queue-kind.ts';
import { isOver, type Review, type ReviewSummary, summaryOf, votesOf } from './review.ts';
import { type ReviewForm, reviewChangeLane } from './review-lanes.ts';
import { askedAgain, memberWrites, peopleOf, roundOf } from './review-opening.ts';
import { shownDigest } from './shown.ts';
import { tallyApprovals, tallyDouble, type Verdict, type Vote } from './tally.ts';
import type { Task, TaskDesk } from './task-desk.ts';
import type { OpenItem } from './task-lanes.ts';
import { contextChanged, notOpen } from './task-states.ts';

/** An answer about to be committed, counted with those before it. */
interface Counted {
  readonly writes: readonly Write[];
  /** Whether the waiting run goes on with it. */
  readonly resumes: boolean;
  /** What the run is told beside the answer. */
  readonly said: JsonObject;
  /** What the answers came to, when this one decides. */
  readonly summary: ReviewSummary | undefined;
}

const ALONE: Counted = { writes: [], resumes: true, said: {}, summary: undefined };
const MORE: Omit<Counted, 'writes'> = { resumes: false, said: {}, summary: undefined };

/** How a case ended before its deadline did. */
export interface EndedBefore {
  readonly result: Json;
  readonly decidedBy: string;
  /** The question that was sent back. */
  readonly returned?: string;
  readonly review?: ReviewSummary;
}

/** What a case is to show from now on. */
export interface Amendment {
  readonly id: string;
  readonly by: Person;
  readonly context: JsonObject;
  /** Of what is shown until now. */
  readonly contextDigest: string;
}

/** Counts the answers of a case together, under the lock of its review's row. */
export class ReviewCounting {
  readonly #desk: TaskDesk;
  readonly #openLane: Lane<OpenItem>;
  readonly #changeLane = reviewChangeLane((closed) => {
    for (const change of closed) this.#desk.tell(change);
  });

  constructor(desk: TaskDesk, openLane: Lane<OpenItem>) {
    this.#desk = desk;
    this.#openLane = openLane;
  }

  /**
   * Counts an answer together with those that came before it; a question that is sent back ends the case for all.
   *
   * @throws AiosError `tasks.not_open`
   */
  count(task: Task, item: Ending, queue: Queue): Counted {
    const { review } = task;
    if (!review) return ALONE;
    if (isOver(review)) throw notOpen(task.id, review.status);
    const { id, atMs, by } = item;
    const change = { id: review.id, change: `${item.action} ${id} ${atMs}`, version: review.version, atMs };
    const close = { status: 'canceled', except: id } as const;
    if (item.action === 'return') {
      const outcome = { result: { message: item.message }, decidedBy: by.id, reason: 'It was sent back.' };
      return {
        ...ALONE,
        writes: [write(this.#changeLane, { ...change, status: 'returned', outcome, close })],
      };
    }
    const { contextDigest, result } = item;
    const vote: Vote = { taskId: id, by, result, contextDigest, atMs, role: review.role };
    // An answer counts together with those to exactly what it was shown; an adjudicator is shown those answers too.
    const before = votesOf(review).filter(
      (other) => review.role === 'adjudicator' || other.contextDigest === contextDigest,
    );
    const votes = [...before, vote];
    const verdict = tally(review.form, votes, queue);
    if (verdict.kind === 'waiting')
      return { ...MORE, writes: [write(this.#changeLane, { ...change, status: review.status })] };
    if (verdict.kind === 'adjudicate') {
      const asked = write(this.#changeLane, { ...change, status: 'adjudicating' });
      return { ...MORE, writes: [asked, ...this.#adjudication(review, votes, task, queue)] };
    }
    const { kind: _, ...outcome } = verdict;
    const summary = summaryOf(review.form, votes, verdict.reason, queue, verdict.result);
    return {
      writes: [write(this.#changeLane, { ...change, status: 'decided', outcome, close })],
      resumes: review.form !== 'sample',
      said: {
        result: verdict.result,
        decidedBy: verdict.decidedBy,
        review: summary as unknown as JsonObject,
      },
      summary,
    };
  }

  async amend({ id, by, context, contextDigest }: Amendment): Promise<Task> {
    const task = await this.#desk.get(id);
    const { review } = task;
    const { queue } = await this.#desk.queues.of(task);
    if (!queue.rules.amendable || !review || review.role === 'adjudicator')
      throw new AiosError('tasks.not_amendable', { detail: `${queue.name} shows it as it was opened.` });
    if (isOver(review) || review.taskRound !== review.round) throw notOpen(id, task.status);
    this.#desk.requireCandidate(task, by);
    if (task.contextDigest !== contextDigest) throw contextChanged(id);
    const { now: atMs } = this.#desk;
    const round = review.round + 1;
    const suggestion = review.blind || task.suggestion === null ? undefined : task.suggestion;
    const shown = shownDigest({ title: task.title, context, suggestion }, queue);
    const first = {
      ...this.#again(task, queue, { reviewId: review.id, part: '0', round, atMs }),
      context: JSON.stringify(context),
      contextDigest: shown,
    };
    const asked = roundOf(first, peopleOf(review.form, queue), round, review.id);
    const change = {
      id: review.id,
      change: `amended ${round}`,
      version: review.version,
      status: 'waiting',
      atMs,
    } as const;
    await this.#desk.dependencies.commit.commit([
      write(this.#changeLane, { ...change, amended: { by: by.id }, close: { status: 'canceled' } }),
      ...asked.map((item) => write(this.#openLane, item)),
      ...memberWrites(asked, review.id, round),
      ...this.#desk.occurred(
        task,
        { kind: 'amended', by, detail: { before: contextDigest, after: shown, shown: context } },
        atMs,
      ),
    ]);
    return await this.#desk.told(first.id);
  }

  /** Ends a review and all of its tasks that still wait; one that has ended stays as it is. */
  close(reviewId: string, status: 'expired' | 'canceled', atMs: number): Write {
    return write(this.#changeLane, { id: reviewId, change: status, status, atMs, close: { status } });
  }

  /** Ends a review at its deadline, durably when it resolves; what was decided before stands, and is answered. */
  async expire(reviewId: string, atMs: number): Promise<EndedBefore | undefined> {
    await this.#desk.dependencies.commit.commit([this.close(reviewId, 'expired', atMs)]);
    const task = await this.#desk.get(reviewId);
    const { review } = task;
    if (!review?.decision) return undefined;
    const { result, decidedBy, reason } = review.decision;
    if (review.status === 'returned') {
      return { result: null, decidedBy, returned: String((result as JsonObject).message) };
    }
    const { queue } = await this.#desk.queues.of(task);
    return { result, decidedBy, review: summaryOf(review.form, votesOf(review), reason, queue, result) };
  }

  /** A later round climbs the ladder of its queue from its own begin, like the first. */
  #again(
    task: Task,
    queue: Queue,
    round: { reviewId: string; part: string; round: number; atMs: number },
  ): OpenItem {
    const calendar = this.#desk.queues.calendarOf(queue);
    const nextEscalationAtMs = escalationAt(queue, 1, round.atMs, calendar);
    return askedAgain(task, { ...round, nextEscalationAtMs });
  }

  /** The task of the one who decides between two answers that differ: it shows both, and what the reviewers were shown. No suggestion leans on one side. */
  #adjudication(review: Review, votes: readonly Vote[], task: Task, queue: Queue): Write[] {
    const answers = votes.map(({ result }) => result);
    const { title, context } = task;
    const contextDigest = shownDigest({ title, context, answers }, queue);
    const again = this.#again(task, queue, {
      reviewId: review.id,
      part: 'adjudicator',
      round: review.round,
      atMs: votes.at(-1)!.atMs,
    });
    const asked = { ...again, contextDigest };
    return [write(this.#openLane, asked), ...memberWrites([asked], review.id, review.round, answers)];
  }
}

function tally(form: ReviewForm, votes: readonly Vote[], queue: Queue): Verdict {
  if (form === 'approvals') return tallyApprovals(votes, queue.rules);
  if (form === 'double') return tallyDouble(votes, queue.rules);
  const { result, by } = votes.at(-1)!;
  return { kind: 'decided', result, decidedBy: by.id, reason: 'A person answered.' };
}
