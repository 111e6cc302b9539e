import { SpanKind, trace } from '@opentelemetry/api';
import { digestOf } from '../kernel/canonical.ts';
import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import { derivedId } from '../kernel/ids.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { MicroUsd } from '../kernel/money.ts';
import type { Database } from '../store/database.ts';
import type { Definition, Definitions } from '../store/definitions.ts';
import { type Committer, type Write, write } from '../store/group-commit.ts';
import { compileQueue, type Queue } from './queue-kind.ts';
import {
  type ChangeItem,
  changeLane,
  contextChanged,
  notOpen,
  openLane,
  type TaskStatus,
  unknownTask,
} from './task-lanes.ts';
import { type ListTasks, type QueueCount, type TaskPage, TaskReader, type TaskRow } from './task-reader.ts';

/** Who claims and answers. */
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly string[];
}

/** A person's task: what is asked and shown, and what came of it. Times are milliseconds since the epoch. */
export interface Task extends TaskRow {
  readonly form: JsonObject;
  readonly instructions: string | null;
  readonly queueTitle: string;
}

export type TaskChange = Readonly<{ id: string; queue: string; status: TaskStatus }>;

export interface OpenTask {
  queue: string;
  title: string;
  /** What the person is shown. */
  context: JsonObject;
  /** The person whose data is shown: what is recorded of the answer is kept under their key. */
  subject?: string | undefined;
  suggestion?: Json | undefined;
  /** Milliseconds since the epoch; the queue's deadline counted from now when left out. */
  dueAtMs?: number | undefined;
  priority?: number | undefined;
  runId: string;
  stepKey: string;
  /** Business time; the clock's when left out. */
  nowMs?: number | undefined;
}

export interface OpenedTask {
  readonly taskId: string;
  /** To be committed with the entry that makes the run wait. */
  readonly write: Write;
  readonly dueAtMs: number | undefined;
  /** The safe outcome: the answer that counts when nobody answers until then. */
  readonly onDeadline: Json;
  /** Version and digest of the queue's definition. */
  readonly version: number;
  readonly digest: string;
}

/** An answer that was checked and is about to be committed. */
export interface Answer {
  readonly by: Person;
  readonly result: Json;
  readonly atMs: number;
  /** Of a person's work. */
  readonly minutes: number;
  readonly costMicroUsd: MicroUsd;
}

/** What happens with an answer, in the transaction that records it; `app.ts` knows the ledger and the engine. */
export interface AnswerPort {
  /** The audit entry of who decided what they were shown, and the cost of their minutes. */
  record(task: Task, answer: Answer): readonly Write[];
  /** Lets the waiting run go on with the answer. */
  resume(task: Task, payload: JsonObject): Write;
  afterCommit?(task: Task): void;
}

export interface CompleteTask {
  id: string;
  by: Person;
  result: Json;
  /** `contextDigest` of the task as it was shown: the answer is bound to exactly that. */
  contextDigest: string;
  /** Minutes of work; the time since the claim, up to `taskMinutesMax`, when left out. */
  minutes?: number | undefined;
}

interface TasksDependencies {
  db: Database;
  commit: Committer;
  clock: Clock;
  limits: Limits;
  definitions: Definitions;
  answers: AnswerPort;
}

const MINUTE_MS = 60_000;
const tracer = trace.getTracer('aios.tasks');

interface QueueVersion {
  readonly version: number;
  readonly digest: string;
  readonly queue: Queue;
}

/**
 * The inbox: tasks opened by runs, claimed and answered by people.
 *
 * @example
 * const tasks = new Tasks({ db, commit, clock, limits, definitions, answers });
 * const task = await tasks.claim(id, person);
 * await tasks.complete({ id, by: person, result: { decision: 'approve' }, contextDigest: task.contextDigest });
 */
export class Tasks {
  readonly #dependencies: TasksDependencies;
  readonly #reader: TaskReader;
  readonly #queues = new Map<string, QueueVersion>();
  /** Earlier versions, for tasks opened under them; by `name@version`. */
  readonly #earlier = new Map<string, QueueVersion>();
  readonly #listeners = new Set<(task: TaskChange) => void>();
  readonly #openLane = openLane((items) => {
    for (const { id, queue } of items) this.#tell({ id, queue, status: 'open' });
  });

  constructor(dependencies: TasksDependencies) {
    this.#dependencies = dependencies;
    this.#reader = new TaskReader(dependencies.db);
    const { definitions } = dependencies;
    for (const definition of definitions.list('queue')) this.#compile(definition);
    definitions.onChange((changed) => {
      for (const definition of changed) if (definition.kind === 'queue') this.#compile(definition);
    });
  }

  /**
   * Prepares a task; it exists once its write is committed. The id follows from run and step.
   *
   * @throws AiosError `tasks.unknown_queue`, `tasks.too_large`
   */
  open(task: OpenTask): OpenedTask {
    const { clock, limits } = this.#dependencies;
    const current = this.#queues.get(task.queue);
    if (!current)
      throw new AiosError('tasks.unknown_queue', { detail: `There is no queue “${task.queue}”.` });
    const { queue, version, digest } = current;
    const createdAtMs = task.nowMs ?? clock.now();
    const dueAtMs =
      task.dueAtMs ?? (queue.deadlineMs === undefined ? undefined : createdAtMs + queue.deadlineMs);
    const context = JSON.stringify(task.context);
    if (context.length > limits.taskBytesMax) {
      throw new AiosError('tasks.too_large', {
        detail: `The context has ${context.length} characters.`,
        extensions: { limitName: 'taskBytesMax', limit: limits.taskBytesMax },
      });
    }
    const taskId = taskIdOf(task.runId, task.stepKey);
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
      dueAtMs,
    };
    return {
      taskId,
      write: write(this.#openLane, item),
      dueAtMs,
      onDeadline: queue.onDeadline,
      version,
      digest,
    };
  }

  /** The write that ends a task without an answer, for the engine to commit with what ends the wait. A task that has ended stays as it is. */
  close(taskId: string, status: 'expired' | 'canceled', atMs = this.#dependencies.clock.now()): Write {
    return write(changeLane, { id: taskId, action: status, atMs });
  }

  /**
   * Ends a task at its deadline, durably when it resolves. An answer that was committed first stands, and is answered: the row decides
   * between the two.
   */
  async expire(id: string, atMs: number): Promise<{ result: Json; decidedBy: string } | undefined> {
    await this.#dependencies.commit.commit([write(changeLane, { id, action: 'expired', atMs })]);
    const task = await this.#told(id);
    return task.status === 'completed' && task.decidedBy
      ? { result: task.result, decidedBy: task.decidedBy.id }
      : undefined;
  }

  /** @throws AiosError `tasks.unknown`, `tasks.not_open`, `tasks.claimed_by_other`, `tasks.not_candidate` */
  async claim(id: string, by: Person): Promise<Task> {
    this.#requireCandidate(await this.get(id), by);
    return await this.#change({ id, action: 'claim', by, atMs: this.#dependencies.clock.now() });
  }

  /** Gives a task back. An operator may give back the claim of another. */
  async release(id: string, by: Person): Promise<Task> {
    const anyone = by.roles.includes('operator') || by.roles.includes('admin');
    return await this.#change({ id, action: 'release', by, anyone, atMs: this.#dependencies.clock.now() });
  }

  /**
   * Answers a task: the change, its records and the signal to the waiting run are one commit. A task that nobody claimed is claimed by the answer.
   *
   * @throws AiosError `tasks.unknown`, `tasks.not_open`, `tasks.claimed_by_other`, `tasks.not_candidate`, `tasks.result_invalid`,
   * `tasks.context_changed`
   */
  complete(answer: CompleteTask): Promise<Task> {
    return tracer.startActiveSpan('task answer', { kind: SpanKind.INTERNAL }, async (span) => {
      try {
        return await this.#complete(answer);
      } finally {
        span.end();
      }
    });
  }

  async #complete({ id, by, result, contextDigest, minutes }: CompleteTask): Promise<Task> {
    const { clock, limits, commit, answers } = this.#dependencies;
    const task = await this.get(id);
    this.#requireCandidate(task, by);
    if (task.status !== 'open' && task.status !== 'claimed') throw notOpen(id, task.status);
    if (task.contextDigest !== contextDigest) throw contextChanged(id);
    const { queue } = await this.#queueOf(task);
    const issues = queue.validate(result);
    if (issues.length > 0) throw new AiosError('tasks.result_invalid', { issues });
    const atMs = clock.now();
    const measured = task.claimedAt === null ? 0 : Math.max(0, atMs - task.claimedAt) / MINUTE_MS;
    const worked = Math.min(minutes ?? measured, limits.taskMinutesMax);
    const costMicroUsd = Math.round(worked * queue.costPerMinuteMicroUsd);
    const item: ChangeItem = { id, action: 'complete', by, atMs, contextDigest, result, minutes: worked };
    const payload = { taskId: id, result, decidedBy: by.id, decidedAtMs: atMs, minutes: worked };
    await commit.commit([
      write(changeLane, item),
      ...answers.record(task, { by, result, atMs, minutes: worked, costMicroUsd }),
      answers.resume(task, payload),
    ]);
    answers.afterCommit?.(task);
    return await this.#told(id);
  }

  /** @throws AiosError `tasks.unknown` */
  async get(id: string): Promise<Task> {
    const row = await this.#reader.get(id);
    if (!row) throw unknownTask(id);
    return await this.#show(row);
  }

  /** A page of tasks: those that wait by priority and age, others by age, newest first. */
  async list(filters: ListTasks): Promise<TaskPage<Task>> {
    const page = await this.#reader.list(filters);
    return { ...page, items: await Promise.all(page.items.map((row) => this.#show(row))) };
  }

  /** What waits in each queue. */
  counts(): Promise<QueueCount[]> {
    return this.#reader.counts(this.#dependencies.clock.now());
  }

  /** Called after the commit that opened a task here or in which a person changed it; returns how to stop. */
  onChanged(listener: (change: TaskChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #change(item: ChangeItem): Promise<Task> {
    await this.#dependencies.commit.commit([write(changeLane, item)]);
    return await this.#told(item.id);
  }

  async #told(id: string): Promise<Task> {
    const task = await this.get(id);
    this.#tell(task);
    return task;
  }

  #tell(change: TaskChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  #requireCandidate(task: Task, by: Person): void {
    const candidates = this.#queues.get(task.queue)?.queue.candidateRoles;
    if (!candidates || candidates.some((role) => by.roles.includes(role)) || by.roles.includes('admin'))
      return;
    throw new AiosError('tasks.not_candidate', {
      detail: `${task.queue} is for ${candidates.join(', ')}; ${by.name} has ${by.roles.join(', ') || 'no role'}.`,
    });
  }

  async #show(row: TaskRow): Promise<Task> {
    const { queue } = await this.#queueOf(row);
    return { ...row, form: queue.form, instructions: queue.instructions, queueTitle: queue.title };
  }

  /** The queue as it was when the task was opened: the form that was shown is the form that the answer is held to. */
  async #queueOf(row: TaskRow): Promise<QueueVersion> {
    const current = this.#queues.get(row.queue);
    if (current?.version === row.queueVersion) return current;
    const key = `${row.queue}@${row.queueVersion}`;
    const known = this.#earlier.get(key);
    if (known) return known;
    const definition = await this.#dependencies.definitions.version('queue', row.queue, row.queueVersion);
    if (!definition) throw new AiosError('tasks.unknown_queue', { detail: `There is no queue ${key}.` });
    const compiled = compileVersion(definition);
    this.#earlier.set(key, compiled);
    return compiled;
  }

  #compile(definition: Definition): void {
    this.#queues.set(definition.name, compileVersion(definition));
  }
}

/** The id of the task that a step of a run opens. */
function taskIdOf(runId: string, stepKey: string): string {
  return derivedId('tsk', runId, stepKey);
}

function compileVersion({ version, digest, body }: Definition): QueueVersion {
  return { version, digest, queue: compileQueue(body) };
}

/** Over everything that the person sees: an answer to something else must not count. */
function shownDigest({ title, context, suggestion }: OpenTask, { form, instructions }: Queue): string {
  return digestOf({ title, context, suggestion: suggestion ?? null, form, instructions });
}
