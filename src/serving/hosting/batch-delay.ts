import type { RequestQueue } from './request-queue.ts';

/** An operator's delay: a batch that is not full waits so long for more, counted from its oldest request. */
export class BatchDelay {
  /** 0: no delay, and nothing to ask. */
  ms = 0;
  readonly #dispatch: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(dispatch: () => void) {
    this.#dispatch = dispatch;
  }

  /** True while the next batch waits; it is dispatched when its time has come. */
  holds(queue: RequestQueue, batchRows: number, nowMs: number): boolean {
    if (queue.rows >= batchRows) return false;
    const leftMs = queue.oldestAtMs() + this.ms - nowMs;
    if (leftMs <= 0) return false;
    this.#timer ??= setTimeout(
      () => {
        this.#timer = undefined;
        this.#dispatch();
      },
      Math.min(leftMs, this.ms),
    );
    return true;
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
