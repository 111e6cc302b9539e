import { AiosError } from '../kernel/errors.ts';
import { derivedId } from '../kernel/ids.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { type Write, write } from '../store/lane.ts';
import { type CompleteTask, type ReturnTask, TaskAnswers } from './answers.ts';
import { TaskAttachments } from './attachments.ts';
import { isQueueFor, type Person } from './candidates.ts';
import { after, whenOf } from './dates.ts';
import { TaskEscalations } from './escalations.ts';
import { TaskHanding } from './handing.ts';
import { TaskNotes } from './notes.ts';
import type { Queue } from './queue-kind.ts';
import type { Queues } from './queues.ts';
import { isOver } from './review.ts';
import { type Amendment, type EndedBefore, ReviewCounting } from './review-counting.ts';
import { type Opening, planOpening, type ReviewRequest } from './review-opening.ts';
import { shownDigest } from './shown.ts';
import { type Task, type TaskChange, TaskDesk, type TasksDependencies } from './task-desk.ts';
import { changeLane, openLane } from './task-lanes.ts';
import type { ForPerson, ListTasks, QueueCount, TaskPage } from './task-reader.ts';

export interface OpenTask extends ReviewRequest {
  queue: string;
  title: string;
  /** What the person is shown. */
  context: JsonObject;
  /** The person whose data is shown: what is recorded of the answer is kept under their key. */
  subject?: string | undefined;
  suggestion?: Json | undefined;
  /** When it should be done: a length of time from now, or a date and time; the queue's when left out. */
  due?: string | undefined;
  /** When the safe outcome counts, likewise. */
  deadline?: string | undefined;
  /** Look again then: the inbox leaves it out until that time. */
  followUp?: string | undefined;
  /** Whose it is, instead of the groups and roles of the queue. */
  groups?: readonly string[] | undefined;
  /** The task that was returned to the requester before this one; who returned it has this one in hand. */
  continues?: string | undefined;
  /** 0 to 100, higher first; the queue's when left out. */
  priority?: number | undefined;
  runId: string;
  stepKey: string;
  /** Of the run, from 1: a later one opens a task of its own. */
  attempt?: number;
  /** Business time; the clock's when left out. */
  nowMs?: number | undefined;
}

export interface OpenedTask extends Pick<Opening, 'reviewed' | 'routing' | 'settled'> {
  readonly taskId: string;
  /** To be committed with the entry that makes the run wait. */
  readonly writes: readonly Write[];
  readonly deadlineAtMs: number | undefined;
  /** The safe outcome: the answer that counts when nobody answers until then. */
  readonly onDeadline: Json;
  /** Version and digest of the queue's definition. */
  readonly version: number;
  readonly digest: string;
}

/**
 * The inbox: tasks opened by runs, claimed and answered by people.
 *
 * @example
 * const tasks = new Tasks({ db, commit, clock, limits, definitions, answers, people, audit, notify });
 * const task = await tasks.claim(id, person);
 * await tasks.complete({ id, by: person, result: { decision: 'approve' }, contextDigest: task.contextDigest });
 */
export class Tasks {
  readonly handing: TaskHanding;
  readonly notes: TaskNotes;
  readonly attachments: TaskAttachments;
  readonly escalations: TaskEscalations;
  readonly #desk: TaskDesk;
  readonly #answers: TaskAnswers;
  readonly #counting: ReviewCounting;
  readonly #openLane = openLane((items) => {
    for (const { id, queue } of items) this.#desk.tell({ id, queue, status: 'open' });
    this.escalations.opened(items);
  });

  constructor(dependencies: TasksDependencies) {
    this.#desk = new TaskDesk(dependencies);
    this.#counting = new ReviewCounting(this.#desk, this.#openLane);
    this.#answers = new TaskAnswers(this.#desk, this.#counting);
    this.handing = new TaskHanding(this.#desk);
    this.notes = new TaskNotes(this.#desk);
    this.attachments = new TaskAttachments(this.#desk);
    this.escalations = new TaskEscalations(this.#desk, (id, atMs) =>
      this.#counting.close(id, 'expired', atMs),
    );
  }

  get queues(): Queues {
    return this.#desk.queues;
  }

  /**
   * Prepares the tasks of a step; they exist once the writes are committed. Their ids follow from run and step. None is opened when the confidence is
   * high enough for the suggestion: then `settled` is the answer.
   *
   * @throws AiosError `tasks.unknown_queue`, `tasks.too_large`, `definition.duration`, `tasks.no_working_time`, `tasks.requester_missing`,
   * `tasks.unsafe_outcome`
   */
  open(task: OpenTask): OpenedTask {
    const { queue, version, digest } = this.#desk.queues.current(task.queue);
    const createdAtMs = task.nowMs ?? this.#desk.now;
    const context = JSON.stringify(task.context);
    this.#requireFits(context);
    const taskId = taskIdOf(task);
    const times = this.#timesOf(task, queue, createdAtMs);
    const item = {
      id: taskId,
      queue: queue.name,
      queueVersion: version,
      title: task.title,
      priority: task.priority ?? queue.priority,
      runId: task.runId,
      stepKey: task.stepKey,
      context,
      subject: task.subject ?? null,
      suggestion: task.suggestion === undefined ? null : JSON.stringify(task.suggestion),
      contextDigest: shownDigest(task, queue),
      createdAtMs,
      groups: task.groups,
      continues: task.continues,
      ...times,
    };
    const opening = planOpening(task, item, queue, task.suggestion);
    const { reviewed, routing, settled } = opening;
    return {
      taskId,
      writes: [...opening.tasks.map((one) => write(this.#openLane, one)), ...opening.writes],
      reviewed,
      routing,
      settled,
      deadlineAtMs: times.deadlineAtMs,
      onDeadline: queue.onDeadline,
      version,
      digest,
    };
  }

  #requireFits(context: string): void {
    const { taskBytesMax } = this.#desk.dependencies.limits;
    const bytes = Buffer.byteLength(context);
    if (bytes <= taskBytesMax) return;
    throw new AiosError('tasks.too_large', {
      detail: `The context has ${bytes} bytes.`,
      extensions: { limitName: 'taskBytesMax', limit: taskBytesMax },
    });
  }

  /** The dates of a task: its opener's, else its queue's, in the working time of the queue's calendar. */
  #timesOf({ due, deadline, followUp }: OpenTask, queue: Queue, fromMs: number) {
    const calendar = this.#desk.queues.calendarOf(queue);
    const [first] = queue.escalations;
    const length = (mine: string | undefined, ofQueue: Queue['due']) => {
      if (mine !== undefined) return whenOf(fromMs, mine, calendar);
      return ofQueue === undefined ? undefined : after(fromMs, ofQueue, calendar);
    };
    return {
      dueAtMs: length(due, queue.due),
      deadlineAtMs: length(deadline, queue.deadline),
      // A reminder is of the wall clock: people put a thing off until Monday, not for so many hours of work.
      followUpAtMs: followUp === undefined ? undefined : whenOf(fromMs, followUp, undefined),
      nextEscalationAtMs: first && after(fromMs, first.after, calendar),
    };
  }

  /**
   * The write that ends a task without an answer, for the engine to commit with what ends the wait; `reviewed`: and all that are asked about the
   * same case. What has ended stays as it is.
   */
  close(taskId: string, status: 'expired' | 'canceled', atMs = this.#desk.now, reviewed = false): Write {
    if (reviewed) return this.#counting.close(taskId, status, atMs);
    return write(changeLane, { id: taskId, action: status, atMs });
  }

  /**
   * Ends a task at its deadline, durably when it resolves. An answer that was committed first stands, and is answered, or the question that was sent back: the
   * row decides between the two.
   */
  async expire(id: string, atMs: number, reviewed = false): Promise<EndedBefore | undefined> {
    if (reviewed) return await this.#counting.expire(id, atMs);
    await this.#desk.dependencies.commit.commit([write(changeLane, { id, action: 'expired', atMs })]);
    const { status, decidedBy, result } = await this.#desk.told(id);
    if (!decidedBy) return undefined;
    if (status === 'returned')
      return { result: null, decidedBy: decidedBy.id, returned: String((result as JsonObject).message) };
    return status === 'completed' ? { result, decidedBy: decidedBy.id } : undefined;
  }

  claim(id: string, by: Person): Promise<Task> {
    return this.handing.claim(id, by);
  }

  release(id: string, by: Person): Promise<Task> {
    return this.handing.release(id, by);
  }

  /**
   * Answers a task: the change, its records and the signal to the waiting run are one commit. A task that nobody claimed is claimed by the answer.
   *
   * @throws AiosError `tasks.unknown`, `tasks.not_open`, `tasks.claimed_by_other`, `tasks.not_candidate`, `tasks.result_invalid`,
   * `tasks.context_changed`
   */
  complete(answer: CompleteTask): Promise<Task> {
    return this.#answers.complete(answer);
  }

  /**
   * Sends a task back to the requester with a question, which ends it: the run goes on with `{ returned: true, message }`.
   *
   * @throws AiosError as `complete`, and `tasks.return_not_allowed`
   */
  returnToRequester(question: ReturnTask): Promise<Task> {
    return this.#answers.returnToRequester(question);
  }

  /**
   * Puts right what a case shows: everybody is asked again, and who did it does not answer.
   *
   * @throws AiosError `tasks.unknown`, `tasks.not_open`, `tasks.not_candidate`, `tasks.not_amendable`, `tasks.context_changed`, `tasks.too_large`
   */
  amend(change: Amendment): Promise<Task> {
    this.#requireFits(JSON.stringify(change.context));
    return this.#counting.amend(change);
  }

  /** @throws AiosError `tasks.unknown` */
  get(id: string): Promise<Task> {
    return this.#desk.get(id).then(covered);
  }

  /** A page of tasks: those that wait by priority, due date and age, others by age, newest first. */
  async list(filters: ListTasks): Promise<TaskPage<Task>> {
    const page = await this.#desk.reader.list(filters);
    return { ...page, items: (await this.#desk.show(page.items)).map(covered) };
  }

  /** The filters of what waits for a person now: theirs and what is open for them, without what is put off. */
  waitingFor(person: Person): Pick<ListTasks, 'forPerson' | 'lookAgainBy'> {
    const queues = this.#desk.queues.list().filter((queue) => isQueueFor(person, queue));
    const forPerson: ForPerson = {
      id: person.id,
      roles: person.roles,
      groups: person.groups ?? [],
      queues: person.roles.includes('admin') ? undefined : queues.map(({ name }) => name),
    };
    return { forPerson, lookAgainBy: this.#desk.now };
  }

  /** What waits in each queue. */
  counts(): Promise<QueueCount[]> {
    return this.#desk.reader.counts(this.#desk.now);
  }

  /** Called after the commit that opened a task here or in which somebody changed it; returns how to stop. */
  onChanged(listener: (change: TaskChange) => void): () => void {
    return this.#desk.onChanged(listener);
  }
}

/** The id of the task that a step of a run opens. */
function taskIdOf({ runId, stepKey, attempt = 1 }: OpenTask): string {
  return derivedId('tsk', runId, attempt === 1 ? stepKey : `${stepKey}~${attempt}`);
}

/** Before a blind review is over nobody is told what the others answered. */
function covered(task: Task): Task {
  return task.review?.blind && !isOver(task.review) ? { ...task, result: null } : task;
}
