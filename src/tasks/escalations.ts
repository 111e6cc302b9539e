import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Write } from '../store/lane.ts';
import { Poller } from '../store/poller.ts';
import { after } from './dates.ts';
import type { Queue } from './queue-kind.ts';
import type { TaskDesk } from './task-desk.ts';
import type { OpenItem } from './task-lanes.ts';
import type { TaskRow } from './task-reader.ts';
import type { WorkingCalendar } from './working-calendar.ts';

const BATCH_COUNT_MAX = 100;

/**
 * Climbs the ladders of the queues: what nobody has answered becomes more pressing, is for more people, or is told to others. The times are columns of the tasks,
 * so they outlive every process; the task's row decides which process climbs, so that each rung is climbed once.
 *
 * @example tasks.escalations.start(troubles.of('Tasks could not be escalated')); … await tasks.escalations.stop()
 */
export class TaskEscalations {
  readonly #desk: TaskDesk;
  readonly #expire: (reviewId: string, atMs: number) => Write;
  #poller: Poller | undefined;

  /** `expire` ends a case of which nobody waits for the answer. */
  constructor(desk: TaskDesk, expire: (reviewId: string, atMs: number) => Write) {
    this.#desk = desk;
    this.#expire = expire;
  }

  start(onError: (error: unknown) => void): void {
    const { limits, changes } = this.#desk.dependencies;
    this.#poller = new Poller({ look: () => this.#look(onError), pollMs: limits.taskPollMs, changes });
    this.#poller.begin();
  }

  async stop(): Promise<void> {
    await this.#poller?.stop();
  }

  /** A look must not sleep over what has just been opened and is due before the next one. */
  opened(items: readonly Pick<OpenItem, 'nextEscalationAtMs' | 'deadlineAtMs'>[]): void {
    const untilMs = this.#desk.now + this.#desk.dependencies.limits.changesPollMs;
    const isSoon = (ms: number | undefined) => ms !== undefined && ms < untilMs;
    if (items.some((item) => isSoon(item.nextEscalationAtMs) || isSoon(item.deadlineAtMs)))
      this.#poller?.wake();
  }

  /** @returns in how many milliseconds the next is due */
  async #look(onError: (error: unknown) => void): Promise<number | undefined> {
    let isFailed = false;
    const failed = (error: unknown) => {
      isFailed = true;
      onError(error);
    };
    await this.climb().catch(failed);
    await this.expireSamples().catch(failed);
    if (isFailed) return this.#desk.dependencies.limits.taskPollMs;
    const [nextAtMs, nowMs] = [await this.#desk.reader.nextDue(), this.#desk.now];
    if (nextAtMs === undefined) return undefined;
    return nextAtMs > nowMs ? nextAtMs - nowMs : this.#desk.dependencies.limits.taskPollMs;
  }

  /** Climbs every rung whose time has come. A task that cannot be climbed holds up no other; the first fault is thrown at the end. */
  async climb(): Promise<void> {
    for (;;) {
      const due = await this.#desk.reader.escalating(this.#desk.now, BATCH_COUNT_MAX);
      const faults: unknown[] = [];
      for (const task of due) await this.#climbOne(task).catch((error: unknown) => faults.push(error));
      if (faults.length > 0) throw faults[0];
      if (due.length < BATCH_COUNT_MAX) return;
    }
  }

  /** Ends the samples that nobody has looked at in time: no run waits for them, so that nothing else does. */
  async expireSamples(): Promise<void> {
    const { commit } = this.#desk.dependencies;
    for (;;) {
      const atMs = this.#desk.now;
      const ids = await this.#desk.reader.lapsedSamples(atMs, BATCH_COUNT_MAX);
      if (ids.length > 0) await commit.commit(ids.map((id) => this.#expire(id, atMs)));
      if (ids.length < BATCH_COUNT_MAX) return;
    }
  }

  async #climbOne(task: TaskRow): Promise<void> {
    const { queue } = await this.#desk.queues.of(task);
    const atMs = this.#desk.now;
    // A process that was away climbs them all, each with its entry: the last one stands.
    for (let level = task.escalationLevel + 1; ; level++) {
      const nextAtMs = escalationAt(queue, level + 1, task.createdAt, this.#desk.queues.calendarOf(queue));
      await this.#rise(task, queue, level, atMs, nextAtMs);
      if (nextAtMs === undefined || nextAtMs > atMs) return;
    }
  }

  async #rise(task: TaskRow, queue: Queue, level: number, atMs: number, nextAtMs: number | undefined) {
    const { priority, toGroups: groups = [], toRoles: roles = [], notify } = queue.escalations[level - 1]!;
    const told = notify === undefined ? undefined : this.#tell(notify, task, level);
    const detail: JsonObject = {
      level,
      ...(priority === undefined ? {} : { priority }),
      ...(groups.length > 0 ? { groups: [...groups] } : {}),
      ...(roles.length > 0 ? { roles: [...roles] } : {}),
      ...told?.detail,
    };
    const item = { id: task.id, action: 'escalate', level, priority, groups, roles, nextAtMs, atMs } as const;
    try {
      await this.#desk.change(task, item, { kind: 'escalated', by: null, detail }, told?.writes);
    } catch (error) {
      // It was answered meanwhile.
      if (!(error instanceof AiosError) || error.code !== 'tasks.not_open') throw error;
    }
  }

  /** The event of a rung; what its contract refuses must not hold up the rung itself, so the history says so instead. */
  #tell(type: string, task: TaskRow, level: number): { writes: Write[]; detail: JsonObject } {
    const { id, queue, runId, createdAt, dueAt, deadlineAt, claimedBy } = task;
    const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
    const times = { createdAt: time(createdAt), dueAt: time(dueAt), deadlineAt: time(deadlineAt) };
    const data = { taskId: id, queue, runId, level, claimedBy: claimedBy?.id ?? null, ...times };
    try {
      return { writes: [this.#desk.dependencies.notify(type, task, data)], detail: { notified: type } };
    } catch (error) {
      if (!(error instanceof AiosError)) throw error;
      return { writes: [], detail: { notNotified: type, code: error.code } };
    }
  }
}

/** When a task that was opened then climbs to a rung, from 1; undefined when there is no such rung, or its calendar has too few hours ahead: those above are never reached. */
export function escalationAt(
  queue: Queue,
  level: number,
  openedAtMs: number,
  calendar: WorkingCalendar | undefined,
): number | undefined {
  const rung = queue.escalations[level - 1];
  try {
    return rung && after(openedAtMs, rung.after, calendar);
  } catch (error) {
    if (error instanceof AiosError && error.code === 'tasks.no_working_time') return undefined;
    throw error;
  }
}
