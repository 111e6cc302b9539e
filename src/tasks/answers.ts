import { SpanKind, trace } from '@opentelemetry/api';
import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { write } from '../store/lane.ts';
import type { Person } from './candidates.ts';
import type { Ending } from './ending.ts';
import type { QueueVersion } from './queues.ts';
import type { ReviewCounting } from './review-counting.ts';
import type { Task, TaskDesk } from './task-desk.ts';
import { changeLane } from './task-lanes.ts';
import { contextChanged, notOpen } from './task-states.ts';

interface Shown {
  id: string;
  by: Person;
  /** `contextDigest` of the task as it was shown: the answer is bound to exactly that. */
  contextDigest: string;
  /** Minutes of work; the time since the claim, up to `taskMinutesMax`, when left out. */
  minutes?: number | undefined;
}

export interface CompleteTask extends Shown {
  result: Json;
}

export interface ReturnTask extends Shown {
  /** What is asked of the requester. */
  message: string;
}

const MINUTE_MS = 60_000;
/** Nine people at most answer one case, and each of them may be counted before. */
const COUNTS_MAX = 12;
const tracer = trace.getTracer('aios.tasks');

/** Ends tasks by what people say: an answer held to its form, or a question back. */
export class TaskAnswers {
  readonly #desk: TaskDesk;
  readonly #counting: ReviewCounting;

  constructor(desk: TaskDesk, counting: ReviewCounting) {
    this.#desk = desk;
    this.#counting = counting;
  }

  complete(answer: CompleteTask): Promise<Task> {
    return this.#counted('task answer', async () => {
      const { result, contextDigest } = answer;
      const { task, under } = await this.#begin(answer);
      const issues = under.queue.validate(result);
      if (issues.length > 0) throw new AiosError('tasks.result_invalid', { issues });
      const { id, by, atMs, minutes } = this.#work(task, answer);
      const item = { id, action: 'complete', by, atMs, contextDigest, result, minutes } as const;
      return await this.#end(task, under, item, { result });
    });
  }

  returnToRequester(question: ReturnTask): Promise<Task> {
    return this.#counted('task return', async () => {
      const { message, contextDigest } = question;
      const { task, under } = await this.#begin(question);
      if (!task.mayReturn)
        throw new AiosError('tasks.return_not_allowed', {
          detail: `${task.queue} does not say allowReturn.`,
        });
      const { id, by, atMs, minutes } = this.#work(task, question);
      const item = { id, action: 'return', by, atMs, contextDigest, message, minutes } as const;
      return await this.#end(task, under, item, { returned: true, message });
    });
  }

  /** Somebody may have answered another task of the case at the same time: then all is counted again, with theirs. */
  #counted(name: string, work: () => Promise<Task>): Promise<Task> {
    return traced(name, async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await work();
        } catch (error) {
          const isCountedAgain = error instanceof AiosError && error.code === 'store.conflict';
          if (!isCountedAgain || attempt === COUNTS_MAX) throw error;
        }
      }
    });
  }

  async #begin({ id, by, contextDigest }: Shown): Promise<{ task: Task; under: QueueVersion }> {
    const task = await this.#desk.get(id);
    this.#desk.requireCandidate(task, by);
    if (task.status !== 'open' && task.status !== 'claimed') throw notOpen(id, task.status);
    if (task.contextDigest !== contextDigest) throw contextChanged(id);
    return { task, under: await this.#desk.queues.of(task) };
  }

  #work(task: Task, { id, by, minutes }: Shown) {
    const atMs = this.#desk.now;
    const measured = task.claimedAt === null ? 0 : Math.max(0, atMs - task.claimedAt) / MINUTE_MS;
    const { taskMinutesMax } = this.#desk.dependencies.limits;
    return { id, by, atMs, minutes: Math.min(minutes ?? measured, taskMinutesMax) };
  }

  async #end(task: Task, { queue, digest }: QueueVersion, item: Ending, said: JsonObject): Promise<Task> {
    const { answers, commit } = this.#desk.dependencies;
    const { id, by, atMs, minutes } = item;
    const costMicroUsd = Math.round(minutes * queue.costPerMinuteMicroUsd);
    const returned = item.action === 'return';
    const result = item.action === 'return' ? { message: item.message } : item.result;
    const counted = this.#counting.count(task, item, queue);
    const { summary } = counted;
    const { review, stepKey } = task;
    const chargedTo = review && review.id !== id ? `${stepKey}#${id}` : stepKey;
    const payload = payloadOf(task, item, { ...said, ...counted.said });
    await commit.commit([
      ...counted.writes,
      write(changeLane, item),
      ...answers.record(
        task,
        {
          ...{ by, result, atMs, minutes, costMicroUsd, chargedTo, queueDigest: digest },
          ...(returned ? { returned } : {}),
        },
        summary,
      ),
      ...(counted.resumes ? [answers.resume(task, payload)] : []),
    ]);
    if (counted.resumes) answers.afterCommit?.(task);
    return await this.#desk.told(id);
  }
}

/** What the waiting run is told. */
function payloadOf({ id }: Task, { by, atMs, minutes }: Ending, said: JsonObject): JsonObject {
  return { taskId: id, decidedBy: by.id, ...said, decidedAtMs: atMs, minutes };
}

function traced<T>(name: string, work: () => Promise<T>): Promise<T> {
  return tracer.startActiveSpan(name, { kind: SpanKind.INTERNAL }, async (span) => {
    try {
      return await work();
    } finally {
      span.end();
    }
  });
}
