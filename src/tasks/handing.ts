import type { Person } from './candidates.ts';
import type { Task, TaskDesk } from './task-desk.ts';

/**
 * In whose hands a task is, how pressing it is and when it is looked at again: what people arrange among themselves before one of them answers.
 *
 * @example await tasks.handing.delegate(id, ann, bob.id) // Bob has it in hand, Ann stays accountable
 */
export class TaskHanding {
  readonly #desk: TaskDesk;

  constructor(desk: TaskDesk) {
    this.#desk = desk;
  }

  /** @throws AiosError `tasks.unknown`, `tasks.not_open`, `tasks.claimed_by_other`, `tasks.not_candidate` */
  async claim(id: string, by: Person): Promise<Task> {
    const task = await this.#desk.get(id);
    this.#desk.requireCandidate(task, by);
    return await this.#desk.change(
      task,
      { id, action: 'claim', by, atMs: this.#desk.now },
      { kind: 'claimed', by },
    );
  }

  /** Gives a task back: to its queue, or to its owner when it was delegated. An operator or a lead may give back the claim of another. */
  async release(id: string, by: Person): Promise<Task> {
    const anyone = ['operator', 'lead', 'admin'].some((role) => by.roles.includes(role));
    const task = await this.#desk.get(id);
    const detail = task.claimedBy === null ? {} : { from: task.claimedBy.name };
    const from = task.claimedBy?.id ?? null;
    const item = { id, action: 'release', by, from, anyone, atMs: this.#desk.now } as const;
    return await this.#desk.change(task, item, { kind: 'released', by, detail });
  }

  /**
   * Hands a task that `by` has in hand, or owns, to another, who may answer it or hand it back. Who delegated first stays its owner.
   *
   * @throws AiosError `tasks.unknown_person`, `tasks.not_candidate`, `tasks.not_claimed`, `tasks.claimed_by_other`, `tasks.not_open`
   */
  async delegate(id: string, by: Person, toId: string, message?: string): Promise<Task> {
    const task = await this.#desk.get(id);
    const to = await this.#desk.candidate(task, toId);
    const item = { id, action: 'delegate', by, to, atMs: this.#desk.now } as const;
    return await this.#desk.change(task, item, {
      kind: 'delegated',
      by,
      detail: { to: to.name, toId: to.id, ...(message ? { text: message } : {}) },
    });
  }

  /** Gives a delegated task back to its owner, who may also take it back so. */
  async handBack(id: string, by: Person, message?: string): Promise<Task> {
    const task = await this.#desk.get(id);
    const item = { id, action: 'hand-back', by, atMs: this.#desk.now } as const;
    const detail = { ...(task.owner ? { to: task.owner.name } : {}), ...(message ? { text: message } : {}) };
    return await this.#desk.change(task, item, { kind: 'handed-back', by, detail });
  }

  /** A lead puts a task into somebody's hands, whoever has it. */
  async assign(id: string, by: Person, toId: string): Promise<Task> {
    const task = await this.#desk.get(id);
    const to = await this.#desk.candidate(task, toId);
    const item = { id, action: 'assign', to, atMs: this.#desk.now } as const;
    return await this.#desk.change(task, item, {
      kind: 'assigned',
      by,
      detail: { to: to.name, toId: to.id },
    });
  }

  /** @param priority 0 to 100, higher first */
  async prioritize(id: string, by: Person, priority: number): Promise<Task> {
    const task = await this.#desk.get(id);
    const item = { id, action: 'prioritize', priority, atMs: this.#desk.now } as const;
    return await this.#desk.change(task, item, {
      kind: 'prioritized',
      by,
      detail: { from: task.priority, to: priority },
    });
  }

  /** Leaves a task out of the inbox until a time; null brings it back. */
  async putOff(id: string, by: Person, followUpAtMs: number | null): Promise<Task> {
    const task = await this.#desk.get(id);
    this.#desk.requireCandidate(task, by);
    const item = { id, action: 'follow-up', by, followUpAtMs, atMs: this.#desk.now } as const;
    const detail = { until: followUpAtMs === null ? null : new Date(followUpAtMs).toISOString() };
    return await this.#desk.change(task, item, { kind: 'put-off', by, detail });
  }

  /** Those who may have a task in hand, by name; without those whom the rules of its case exclude (four eyes, one answer each). */
  async candidates(id: string): Promise<Person[]> {
    const task = await this.#desk.get(id);
    const people = await this.#desk.dependencies.people.list();
    return people
      .filter((person) => this.#desk.isCandidate(task, person))
      .sort((a, b) => a.name.localeCompare(b.name));
  }
}
