/**
 * Where time comes from. `now` is the business time in milliseconds since the epoch, `monotonicMs` never goes back
 * and measures durations (leases, latencies): the two must not be mixed.
 */
export interface Clock {
  now(): number;
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/**
 * A clock that stands still until it is moved: for tests, and for replays, whose time is that of their events.
 * It never goes back: a late event does not rewind it.
 *
 * @example const clock = new ManualClock(0); clock.advanceTo(5); clock.now() // 5
 */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #listeners = new Set<(nowMs: number) => void>();

  constructor(nowMs = 0) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return performance.now();
  }

  advanceTo(nowMs: number): void {
    if (nowMs <= this.#nowMs) return;
    this.#nowMs = nowMs;
    for (const listener of this.#listeners) listener(nowMs);
  }

  advanceBy(ms: number): void {
    this.advanceTo(this.#nowMs + ms);
  }

  /** Called with the new time at each move; returns how to stop. */
  onAdvance(listener: (nowMs: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
