import { type Changes, POLLED } from './changes.ts';

interface Options {
  /** Works on what is there: true when there may be more, or in how many milliseconds there will be, at most. */
  look(): Promise<boolean | number | undefined>;
  /** How often it looks when nobody tells it. */
  readonly pollMs: number;
  /** What tells it: without it, nobody does. */
  readonly changes?: Changes | undefined;
  /** The tables in which it finds its work. */
  readonly tables?: readonly string[] | undefined;
  /** Work comes from other processes in tables that do not tell. */
  readonly isLeftByOthers?: boolean | undefined;
  /** A look that throws is tried again at the next one. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** A timer takes no more. */
const TIMER_MS_MAX = 0x7fffffff;

/**
 * Looks for work as long as there is some, again when it is woken or its tables change, and now and then. A wake that comes during a look is kept:
 * that look may have asked already.
 *
 * @example const poller = new Poller({ look, pollMs: 1000, changes, tables: ['webhooks'], onError }); poller.begin(); poller.wake(); await poller.stop()
 */
export class Poller {
  readonly #options: Options;
  #stopped = new AbortController();
  #running: Promise<void> | undefined;
  #isWoken = false;
  #resume: (() => void) | undefined;
  #unfollow: (() => void) | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Set by `stop`. */
  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  /** The first look is at once. */
  begin(): void {
    const { changes, tables = [] } = this.#options;
    this.#stopped = new AbortController();
    this.#unfollow = changes?.follow(tables, () => this.wake());
    this.#running = this.#run(this.#stopped.signal);
  }

  wake(): void {
    this.#isWoken = true;
    this.#resume?.();
  }

  /** The look under way is finished. */
  async stop(): Promise<void> {
    this.#unfollow?.();
    this.#stopped.abort();
    this.#resume?.();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#isWoken = false;
      let next: boolean | number | undefined = false;
      try {
        next = await this.#options.look();
        if (next === true) continue;
      } catch (error) {
        this.#options.onError?.(error); // the database is away, or a race was lost: the next look tries again
        next = this.#options.pollMs;
      }
      if (!this.#isWoken && !signal.aborted) await this.#pause(this.#pauseMs(next));
    }
  }

  #pauseMs(next: boolean | number | undefined): number {
    const { changes = POLLED, pollMs, isLeftByOthers = false } = this.#options;
    const ms = changes.pauseMs({ pollMs, isLeftByOthers });
    return typeof next === 'number' ? Math.min(ms, Math.max(1, next)) : ms;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const resume = () => {
        clearTimeout(timer);
        this.#resume = undefined;
        resolve();
      };
      const timer = setTimeout(resume, Math.min(ms, TIMER_MS_MAX));
      this.#resume = resume;
    });
  }
}
