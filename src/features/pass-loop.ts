interface Options {
  /** Works on what is there; false when there is nothing. */
  step(): Promise<boolean>;
  readonly pollMs: number;
  /** A step that throws is tried again at the next look. */
  readonly onError: ((error: unknown) => void) | undefined;
}

/**
 * Takes step after step while there is something to work on, and looks again now and then, or when it is woken. A wake that comes while
 * a step is under way is kept: that step may have looked already at what it is about.
 *
 * @example const loop = new PassLoop({ step, pollMs: 1000, onError }); loop.begin(); loop.wake(); await loop.stop()
 */
export class PassLoop {
  readonly #options: Options;
  #stopped = new AbortController();
  #running: Promise<void> | undefined;
  #isWoken = false;
  #resume: (() => void) | undefined;

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
    this.#isWoken = true;
    this.#resume?.();
  }

  /** The step under way is finished. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#resume?.();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#isWoken = false;
      try {
        if (await this.#options.step()) continue;
      } catch (error) {
        this.#options.onError?.(error); // the database is away, or a race was lost: the next look tries again
      }
      if (!this.#isWoken && !signal.aborted) await this.#pause();
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const resume = () => {
        clearTimeout(timer);
        this.#resume = undefined;
        resolve();
      };
      const timer = setTimeout(resume, this.#options.pollMs);
      this.#resume = resume;
    });
  }
}
