import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { MicroUsd } from '../kernel/money.ts';
import type { Changes } from '../store/changes.ts';
import type { Database } from '../store/database.ts';
import type { Definitions } from '../store/definitions.ts';
import type { Committer } from '../store/group-commit.ts';
import { type Write, write } from '../store/lane.ts';
import { type Person, requireCandidate } from './candidates.ts';
import { recordEvent, type TaskEvent, taskEvent } from './history.ts';
import { Queues } from './queues.ts';
import { type Review, type ReviewSummary, requireEligible } from './review.ts';
import { ReviewReader } from './review-reader.ts';
import type { ReviewRules } from './review-rules.ts';
import { changeLane } from './task-lanes.ts';
import { TaskReader, type TaskRow } from './task-reader.ts';
import { AlreadySo, type ChangeItem, type TaskStatus, unknownTask } from './task-states.ts';

/** A person's task: what is asked and shown, and what came of it. Times are milliseconds since the epoch. */
export interface Task extends TaskRow {
  readonly form: JsonObject;
  readonly instructions: string | null;
  readonly queueTitle: string;
  /** Whether it may be sent back with a question. */
  readonly mayReturn: boolean;
  /** Of a case that several people answer, or where rules say who may answer. */
  readonly review: Review | null;
  readonly rules: ReviewRules;
}

export type TaskChange = Readonly<{ id: string; queue: string; status: TaskStatus }>;

/** An answer that was checked and is about to be committed. */
interface Answer {
  readonly by: Person;
  readonly result: Json;
  readonly atMs: number;
  /** Of a person's work. */
  readonly minutes: number;
  readonly costMicroUsd: MicroUsd;
  /** The step that it is charged to; a step is charged once for a resource, so the work of each further person of a case has a key under it. */
  readonly chargedTo: string;
  /** Of the version of the queue that the task was opened under: its form is the one that the answer was held to. */
  readonly queueDigest: string;
  /** A question back to the requester is no answer: `result` holds it as `{ message }`. */
  readonly returned?: boolean;
}

/** What happens with an answer, in the transaction that records it; `app.ts` knows the ledger and the engine. */
export interface AnswerPort {
  /** The audit entry of who decided what they were shown, and the cost of their minutes. */
  record(task: Task, answer: Answer, review?: ReviewSummary): readonly Write[];
  /** Lets the waiting run go on with the answer. */
  resume(task: Task, payload: JsonObject): Write;
  afterCommit?(task: Task): void;
}

/** The people who may act on tasks; `app.ts` knows where they are kept. */
interface PeoplePort {
  find(id: string): Promise<Person | undefined>;
  list(): Promise<readonly Person[]>;
}

export interface TasksDependencies {
  db: Database;
  commit: Committer;
  clock: Clock;
  limits: Limits;
  definitions: Definitions;
  changes?: Changes;
  answers: AnswerPort;
  people: PeoplePort;
  /** The audit entry of what somebody did to a task, for the transaction in which it is done. */
  audit(task: TaskRow, event: TaskEvent): Write;
  /** The event that tells of an escalation, for its transaction; throws when its contract does not take it. */
  notify(type: string, task: TaskRow, data: JsonObject): Write;
}

type Occurrence = Pick<TaskEvent, 'kind' | 'by'> & Partial<Pick<TaskEvent, 'detail' | 'id'>>;

/** What the acts on tasks share: reading them, changing them with their history and audit entry in one commit, telling who listens. */
export class TaskDesk {
  readonly dependencies: TasksDependencies;
  readonly reader: TaskReader;
  readonly queues: Queues;
  readonly reviews: ReviewReader;
  readonly #listeners = new Set<(task: TaskChange) => void>();

  constructor(dependencies: TasksDependencies) {
    this.dependencies = dependencies;
    this.reader = new TaskReader(dependencies.db);
    this.reviews = new ReviewReader(dependencies.db);
    this.queues = new Queues(dependencies.definitions, dependencies.limits);
  }

  get now(): number {
    return this.dependencies.clock.now();
  }

  /** @throws AiosError `tasks.unknown` */
  async get(id: string): Promise<Task> {
    const row = await this.reader.get(id);
    if (!row) throw unknownTask(id);
    return (await this.show([row]))[0]!;
  }

  /** Rows as people see them, in their order. */
  async show(rows: readonly TaskRow[]): Promise<Task[]> {
    const reviews = await this.reviews.of(rows.map(({ id }) => id));
    return await Promise.all(
      rows.map(async (row) => {
        const { queue } = await this.queues.of(row);
        const { form, instructions, title: queueTitle, allowReturn, rules } = queue;
        const review = reviews.get(row.id) ?? null;
        const mayReturn = allowReturn && review?.form !== 'sample';
        return { ...row, form, instructions, queueTitle, mayReturn, review, rules };
      }),
    );
  }

  /** @throws AiosError `tasks.not_candidate`, `tasks.requester_excluded`, `tasks.one_answer_each` */
  requireCandidate(task: Task, person: Person): void {
    const queue = this.queues.find(task.queue);
    const adjudicatorRoles = task.review?.role === 'adjudicator' ? queue?.rules.adjudicatorRoles : undefined;
    requireCandidate(
      person,
      adjudicatorRoles ? { ...task, candidateGroups: null } : task,
      queue && adjudicatorRoles
        ? { ...queue, candidateRoles: adjudicatorRoles, candidateGroups: undefined }
        : queue,
    );
    if (task.review) requireEligible(task.review, task.id, person);
  }

  /** As `requireCandidate`. */
  isCandidate(task: Task, person: Person): boolean {
    try {
      this.requireCandidate(task, person);
      return true;
    } catch (error) {
      if (error instanceof AiosError) return false;
      throw error;
    }
  }

  /** @throws AiosError `tasks.unknown_person`, `tasks.not_candidate` of somebody who is to have a task in hand */
  async candidate(task: Task, personId: string): Promise<Person> {
    const person = await this.dependencies.people.find(personId);
    if (!person)
      throw new AiosError('tasks.unknown_person', {
        detail: `Nobody with the id “${personId}” answers tasks.`,
      });
    this.requireCandidate(task, person);
    return person;
  }

  /** Commits a change with what belongs to it. A change that was made already changes nothing and is told as success. */
  async change(task: TaskRow, item: ChangeItem, occurrence: Occurrence, more: readonly Write[] = []) {
    try {
      await this.dependencies.commit.commit([
        write(changeLane, item),
        ...this.occurred(task, occurrence, item.atMs),
        ...more,
      ]);
    } catch (error) {
      if (!(error instanceof AlreadySo)) throw error;
    }
    return await this.told(task.id);
  }

  /** The writes of something that happened to a task: its history, and its audit entry. */
  occurred(task: TaskRow, occurrence: Occurrence, at: number): Write[] {
    const event = taskEvent({ taskId: task.id, at, ...occurrence });
    return [recordEvent(event), this.dependencies.audit(task, event)];
  }

  async told(id: string): Promise<Task> {
    const task = await this.get(id);
    this.tell(task);
    return task;
  }

  tell(change: TaskChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  /** Called after the commit that opened a task here or in which somebody changed it; returns how to stop. */
  onChanged(listener: (change: TaskChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
