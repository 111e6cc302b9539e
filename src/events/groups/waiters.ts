import type { LogPosition } from '../../kernel/cloudevent.ts';
import type { AiosError } from '../../kernel/errors.ts';

interface Waiter {
  readonly position: LogPosition;
  resolve(): void;
  reject(error: AiosError): void;
}

/** Callers that wait until a group has passed a position. */
export class Waiters {
  #waiting: Waiter[] = [];

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  wait(position: LogPosition): Promise<void> {
    return new Promise((resolve, reject) => void this.#waiting.push({ position, resolve, reject }));
  }

  /** Whether somebody waits for a partition that is not one of these. */
  waitsBeyond(owns: (partition: number) => boolean): boolean {
    return this.#waiting.some(({ position }) => !owns(position.partition));
  }

  /** @param offsets the next offset of the group, per partition */
  settle(offsets: readonly number[]): void {
    if (this.isEmpty) return;
    const waiting: Waiter[] = [];
    for (const waiter of this.#waiting) {
      if (offsets[waiter.position.partition]! > waiter.position.offset) waiter.resolve();
      else waiting.push(waiter);
    }
    this.#waiting = waiting;
  }

  refuse(error: AiosError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(error);
  }
}
