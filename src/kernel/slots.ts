import { AiosError } from './errors.ts';

/**
 * How many of one kind are under way at a time (calls of a model, trainings); the others wait in the order in which they came, and one that is canceled leaves
 * the line without taking a turn.
 *
 * @example const release = await slots.take({ concurrencyMax: 2, queueMax: 100 }, 'gpt', signal); try { … } finally { release(); }
 */
export class Slots {
  #used = 0;
  readonly #waiting = new Set<{ take: () => void; max: number }>();

  /** How many wait. */
  get queued(): number {
    return this.#waiting.size;
  }

  /**
   * Waits for a slot.
   *
   * @returns what gives it back; called more than once it does nothing
   * @throws AiosError `request.overloaded` when as many wait as may; what the signal was aborted with
   */
  async take(
    { concurrencyMax, queueMax }: { concurrencyMax: number; queueMax: number },
    label: string,
    signal: AbortSignal,
  ): Promise<() => void> {
    if (this.#used < concurrencyMax && this.#waiting.size === 0) {
      this.#used++;
      return this.#giver();
    }
    if (this.#waiting.size >= queueMax)
      throw new AiosError('request.overloaded', {
        detail: `${this.#used} of ${label} are under way and ${this.#waiting.size} wait, as many as may.`,
        extensions: { limitName: 'queueMax', limit: queueMax },
      });
    await new Promise<void>((resolve, reject) => {
      const cancel = () => {
        this.#waiting.delete(entry);
        reject(signal.reason);
      };
      const take = () => {
        signal.removeEventListener('abort', cancel);
        this.#used++;
        resolve();
      };
      const entry = { take, max: concurrencyMax };
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', cancel, { once: true });
      this.#waiting.add(entry);
    });
    return this.#giver();
  }

  #giver(): () => void {
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#used--;
      for (const entry of this.#waiting) {
        if (this.#used >= entry.max) return;
        this.#waiting.delete(entry);
        entry.take();
      }
    };
  }
}
