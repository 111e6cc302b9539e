import { AiosError } from '../kernel/errors.ts';
import { derivedId } from '../kernel/ids.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Person } from './candidates.ts';
import { type HistoryEntry, readEvents, recordEvent, taskEvent } from './history.ts';
import type { TaskDesk } from './task-desk.ts';
import type { TaskRow } from './task-reader.ts';

/**
 * What is said about a task and what happened to it, with what was before it was returned to the requester.
 *
 * @example await tasks.notes.comment({ id, by: ann, text: 'The receipt is missing.' })
 */
export class TaskNotes {
  readonly #desk: TaskDesk;

  constructor(desk: TaskDesk) {
    this.#desk = desk;
  }

  /**
   * A comment, also on a task that has ended. Under the same key it is the same comment.
   *
   * @throws AiosError `tasks.unknown`, `tasks.too_large`, `tasks.history_full`
   */
  async comment({ id, by, text, key }: { id: string; by: Person; text: string; key?: string | undefined }) {
    const { limits, commit } = this.#desk.dependencies;
    if (text.length > limits.taskCommentCharsMax) {
      throw new AiosError('tasks.too_large', {
        detail: `The comment has ${text.length} characters.`,
        extensions: { limitName: 'taskCommentCharsMax', limit: limits.taskCommentCharsMax },
      });
    }
    const task = await this.#desk.get(id);
    const eventId = key === undefined ? undefined : derivedId('tev', id, by.id, key);
    const earlier = await this.#desk.reader.events(id, eventId);
    if (earlier.known) return;
    if (earlier.count >= limits.taskHistoryCountMax) {
      throw new AiosError('tasks.history_full', {
        extensions: { limitName: 'taskHistoryCountMax', limit: limits.taskHistoryCountMax },
      });
    }
    await commit.commit(
      this.#desk.occurred(
        task,
        { kind: 'commented', by, detail: { text }, ...(eventId ? { id: eventId } : {}) },
        this.#desk.now,
      ),
    );
    this.#desk.tell(task);
  }

  /** That a person has looked at a task: the first time of each is kept. Reading changes nothing, so the audit log does not hold it. */
  async seen(id: string, by: Person): Promise<void> {
    const task = await this.#desk.get(id);
    const event = taskEvent({
      id: derivedId('tev', id, 'seen', by.id),
      taskId: task.id,
      kind: 'seen',
      at: this.#desk.now,
      by,
    });
    await this.#desk.dependencies.commit.commit([recordEvent(event)]);
  }

  /** Oldest first: the opening, all that happened, the end; before it that of the tasks which it continues. */
  async history(id: string): Promise<HistoryEntry[]> {
    const tasks = await this.#chain(await this.#desk.get(id));
    const { db, limits } = this.#desk.dependencies;
    const ids = tasks.map((task) => task.id);
    const events = await readEvents(db, ids, limits.taskHistoryCountMax * tasks.length);
    return tasks.flatMap((task) => {
      const happened = events.filter(({ taskId }) => taskId === task.id);
      // Stable: what was said after the end stands after it.
      return [opening(task), ...happened, ...ending(task)].sort((a, b) => a.at - b.at);
    });
  }

  /** The task and those that it continues, the first of them first. */
  async #chain(task: TaskRow): Promise<TaskRow[]> {
    const chain = [task];
    for (let at = task; at.continues !== null && chain.length < CHAIN_COUNT_MAX; ) {
      const before = await this.#desk.reader.get(at.continues);
      if (!before || chain.some(({ id }) => id === before.id)) break;
      chain.unshift(before);
      at = before;
    }
    return chain;
  }
}

/** A question that goes back and forth more often than this is read task by task. */
const CHAIN_COUNT_MAX = 50;

function opening(task: TaskRow): HistoryEntry {
  const detail: JsonObject = task.continues === null ? {} : { continues: task.continues };
  return { id: `${task.id}/opened`, taskId: task.id, kind: 'opened', at: task.createdAt, by: null, detail };
}

function ending({ id, status, endedAt, decidedBy, owner, result }: TaskRow): HistoryEntry[] {
  if (endedAt === null || status === 'open' || status === 'claimed') return [];
  const detail: { [name: string]: Json } = {};
  if (status === 'returned') detail.text = (result as JsonObject).message ?? '';
  if (owner) detail.onBehalfOf = owner.name;
  return [{ id: `${id}/${status}`, taskId: id, kind: status, at: endedAt, by: decidedBy, detail }];
}
