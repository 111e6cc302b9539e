import { performance } from 'node:perf_hooks';
import { AiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import { isDatabaseAway } from '../store/database.ts';
import { type Details, log } from './logger.ts';

/** What is going wrong, from its first line in the log to its last. */
interface Trouble {
  readonly sinceMs: number;
  lastMs: number;
  /** How often it was told. */
  count: number;
  /** How often since the last line. */
  more: number;
  text: string;
  lineMs: number;
  ending: NodeJS.Timeout;
}

/** What is tried again and again, and fails. */
export interface Failing {
  /** The same for each failure of it: `The audit log could not be put in order`. */
  readonly what: string;
  /** Which of many this time: the id of a run. */
  readonly of?: string | undefined;
  readonly level?: 'warn' | 'error';
  readonly details?: Details | undefined;
}

interface Surroundings {
  readonly logger?: Pick<typeof log, 'warn' | 'error'>;
  readonly now?: () => number;
}

const TROUBLES_MAX = 200; // a text may name whatever a caller sent
const DATABASE = 'The database does not answer';
/** A connection that stands again may be the first of many that are opened. */
const SETTLED_MS = 1_000;

/**
 * What goes wrong again and again, in the log of the process: a line when it begins, one when it is over, with how often and for how long. While it lasts
 * it is silent but for another reason, told at most every `faultLogPauseMs`. It is over when it did not come again for `troubleSilenceMs`. Whatever fails because
 * the database is away is one trouble, which is over when the database is back.
 *
 * @example const failed = troubles.of('Webhooks could not be looked at'); poller.onError = failed
 */
export class Troubles {
  readonly #limits: Pick<Limits, 'faultLogPauseMs' | 'troubleSilenceMs'>;
  readonly #logger: Pick<typeof log, 'warn' | 'error'>;
  readonly #now: () => number;
  readonly #known = new Map<string, Trouble>();

  constructor(
    limits: Pick<Limits, 'faultLogPauseMs' | 'troubleSilenceMs'>,
    { logger = log, now = performance.now.bind(performance) }: Surroundings = {},
  ) {
    this.#limits = limits;
    this.#logger = logger;
    this.#now = now;
  }

  /** What a loop calls with each failure. */
  of(what: string, level: 'warn' | 'error' = 'warn'): (error: unknown) => void {
    return (error) => this.tell({ what, level }, error);
  }

  tell({ what, of, level = 'warn', details }: Failing, error: unknown): void {
    if (isDatabaseAway(error)) {
      this.#tell(DATABASE, `${DATABASE}: ${error.message}. What needs it waits, or is tried again.`, 'error');
      return;
    }
    const reason = error instanceof Error ? error.message : String(error);
    const name = of === undefined ? what : `${what} (${of})`;
    const text = name === reason ? reason : `${name}: ${reason}`;
    // Where an error of the table came from is in its message; of one that nobody foresaw it is in its stack.
    const isKnown = error instanceof AiosError && error.code !== 'internal';
    this.#tell(what, text, level, isKnown ? undefined : error, details);
  }

  /** The database answers again: its trouble is over unless something still fails by it. */
  databaseIsBack(): void {
    const trouble = this.#known.get(DATABASE);
    if (!trouble) return;
    const beforeMs = this.#now();
    clearTimeout(trouble.ending);
    trouble.ending = setTimeout(() => {
      if (trouble.lastMs <= beforeMs) this.#end(DATABASE, trouble, 'The database answers again');
      else this.#await(DATABASE, trouble);
    }, SETTLED_MS).unref();
  }

  #tell(what: string, text: string, level: 'warn' | 'error', error?: unknown, details?: Details): void {
    const nowMs = this.#now();
    const known = this.#known.get(what);
    if (!known) {
      this.#logger[level](text, error, details);
      this.#begin(what, text, nowMs);
      return;
    }
    known.count++;
    known.more++;
    known.lastMs = nowMs;
    const isOther = what !== DATABASE && text !== known.text;
    if (!isOther || nowMs - known.lineMs < this.#limits.faultLogPauseMs) return;
    this.#logger[level](`${text} (and ${known.more - 1} more like it before)`, error, details);
    Object.assign(known, { text, more: 0, lineMs: nowMs });
  }

  #begin(what: string, text: string, nowMs: number): void {
    const [oldest] = this.#known;
    if (this.#known.size >= TROUBLES_MAX && oldest) {
      clearTimeout(oldest[1].ending);
      this.#known.delete(oldest[0]);
    }
    const trouble: Trouble = {
      ...{ sinceMs: nowMs, lastMs: nowMs, lineMs: nowMs, count: 1, more: 0, text },
      ending: undefined as never, // at once
    };
    this.#known.set(what, trouble);
    this.#await(what, trouble);
  }

  /** One timer for each trouble, set again when it comes to its end too early. */
  #await(what: string, trouble: Trouble): void {
    const { troubleSilenceMs } = this.#limits;
    const leftMs = trouble.lastMs + troubleSilenceMs - this.#now();
    if (leftMs > 0) trouble.ending = setTimeout(() => this.#await(what, trouble), leftMs).unref();
    else this.#end(what, trouble, `${what}: not again for ${duration(troubleSilenceMs)}`);
  }

  #end(what: string, { sinceMs, lastMs, count }: Trouble, text: string): void {
    this.#known.delete(what);
    const times = count === 1 ? '1 try failed' : `${count} tries failed in ${duration(lastMs - sinceMs)}`;
    if (count > 1 || what === DATABASE) this.#logger.warn(`${text}. ${times}.`);
  }
}

/** As people say it, rounded. @example duration(90_000) // '90 s' */
function duration(ms: number): string {
  if (ms < 10_000) return `${Math.round(ms / 100) / 10} s`;
  return ms < 600_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
}
