import { setTimeout as sleep } from 'node:timers/promises';

interface Options {
  /** Works on what is there; false when there is nothing. */
  step(): Promise<boolean>;
  readonly pollMs: number;
  /** A step that throws is tried again at the next look. */
  readonly onError: ((error: unknown) => void) | undefined;
}

/**
 * Takes step after step while there is something to work on, and looks again now and then, or when it is woken.
 *
 * @example const loop = new PassLoop({ step, pollMs: 1000, onError }); loop.begin(); loop.wake(); await loop.stop()
 */
export class PassLoop {
  readonly #options: Options;
  #stopped = new AbortController();
  #running: Promise<void> | undefined;
  #wake: (() => void) | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Set by `stop`. */
  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  begin(): void {
    this.#stopped = new AbortController();
    this.#running = this.#run(this.#stopped.signal);
  }

  wake(): void {
    this.#wake?.();
  }

  /** The step under way is finished. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wake?.();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (await this.#options.step()) continue;
      } catch (error) {
        this.#options.onError?.(error); // the database is away, or a race was lost: the next look tries again
      }
      await this.#pause(signal);
    }
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const awake = new AbortController();
    this.#wake = () => awake.abort();
    const ended = AbortSignal.any([signal, awake.signal]);
    await sleep(this.#options.pollMs, undefined, { signal: ended }).catch(() => {});
    this.#wake = undefined;
  }
}
