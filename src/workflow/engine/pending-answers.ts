import type { ManualClock } from '../../kernel/clock.ts';

/** Between two answers, so that what follows from one is begun, and timers that were due before it have rung. */
const PAUSE_MS = 5;

/** Answers of parallel calls that come in the order of a recording: the clock goes to each in turn. */
export class PendingAnswers {
  readonly #clock: ManualClock;
  readonly #pending: { endMs: number; answer: () => void }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  /** Resolves when its turn has come. @param endMs business time */
  async until(endMs: number): Promise<void> {
    await new Promise<void>((answer) => {
      this.#pending.push({ endMs, answer });
      this.#soon();
    });
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => this.#next(), PAUSE_MS);
  }

  #next(): void {
    this.#timer = undefined;
    const [first] = this.#pending.sort((a, b) => a.endMs - b.endMs);
    if (!first) return;
    if (first.endMs > this.#clock.now()) {
      this.#clock.advanceTo(first.endMs);
    } else {
      this.#pending.shift();
      first.answer();
    }
    if (this.#pending.length > 0) this.#soon();
  }
}
