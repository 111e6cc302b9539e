import type { AiosError } from '../../kernel/errors.ts';
import { classify } from '../../store/database.ts';

const BACK_OFF_MS = 20;
const BACK_OFF_MAX_MS = 2000;
/** An error that says "later" (a model that is loading) gets ten times the tries: about 100 s at the longest back-off. */
const RETRYABLE_FACTOR = 10;

/** How long to wait after so many failures in a row, in milliseconds. */
export function backOffMs(failures: number): number {
  return Math.min(BACK_OFF_MAX_MS, BACK_OFF_MS * 2 ** Math.min(failures - 1, 8));
}

/** A partition whose events failed: it is worked on alone until the event that fails is found and handled, or put aside. */
interface Hold {
  /** The offset after the batch that failed: past it all is well again. */
  readonly until: number;
  /** How many events the next try takes. */
  countMax: number;
  /** Failures of the event that stands alone. */
  tries: number;
  dueMs: number;
}

interface FailedBatch {
  readonly partition: number;
  readonly offset: number;
  readonly count: number;
  readonly isAll: boolean;
}

/**
 * The partitions of a group that are held up by an event. Only they are: the others of the group go on. Within one, nothing passes the
 * event that fails, so that the order of each key holds; the wait is bounded by its tries.
 */
export class Retries {
  readonly #triesMax: number;
  readonly #holds = new Map<number, Hold>();

  constructor(triesMax: number) {
    this.#triesMax = triesMax;
  }

  holds(partition: number): boolean {
    return this.#holds.has(partition);
  }

  /** Partitions that may be tried again now, and how many events each. */
  due(nowMs: number): { partition: number; countMax: number }[] {
    const due: { partition: number; countMax: number }[] = [];
    for (const [partition, { dueMs, countMax }] of this.#holds)
      if (dueMs <= nowMs) due.push({ partition, countMax });
    return due;
  }

  /** Milliseconds until the next one is due; nothing when none is held. */
  waitMs(nowMs: number): number | undefined {
    if (this.#holds.size === 0) return undefined;
    return Math.max(0, Math.min(...[...this.#holds.values()].map(({ dueMs }) => dueMs)) - nowMs);
  }

  /**
   * A batch failed.
   *
   * @param batch what of the batch was of this partition; whether nothing else was in it
   * @returns how often the event was tried, when it stood alone and has no tries left; it is to be put aside
   */
  failed(
    { partition, offset, count, isAll }: FailedBatch,
    error: AiosError,
    nowMs: number,
  ): number | undefined {
    const hold = this.#holds.get(partition);
    if (!hold) {
      // The first failure may be a passing one: the batch is tried again whole.
      const tries = isAll && count === 1 ? 1 : 0;
      this.#holds.set(partition, {
        until: offset + count,
        countMax: count,
        tries,
        dueMs: nowMs + BACK_OFF_MS,
      });
      return tries > 0 && this.#isOver(tries, error) ? tries : undefined;
    }
    if (count > 1) {
      hold.countMax = Math.ceil(count / 2);
      hold.tries = 0;
      hold.dueMs = nowMs + BACK_OFF_MS;
      return undefined;
    }
    hold.tries++;
    hold.countMax = 1;
    hold.dueMs = nowMs + backOffMs(hold.tries);
    return this.#isOver(hold.tries, error) ? hold.tries : undefined;
  }

  /** Everything before `offset` is behind the group. */
  passed(partition: number, offset: number): void {
    const hold = this.#holds.get(partition);
    if (!hold) return;
    if (offset >= hold.until) {
      this.#holds.delete(partition);
      return;
    }
    hold.countMax = Math.max(1, Math.ceil((hold.until - offset) / 2));
    hold.tries = 0;
    hold.dueMs = 0;
  }

  /** The partition is another process' now. */
  forget(partition: number): void {
    this.#holds.delete(partition);
  }

  #isOver(tries: number, { retryable }: AiosError): boolean {
    return tries >= this.#triesMax * (retryable ? RETRYABLE_FACTOR : 1);
  }
}

/** The database being away, or a lost race, says nothing about the event: it is tried for as long as that lasts. */
export function isOfTheStore(error: unknown, problem: AiosError): boolean {
  const failure = classify(error);
  return failure === 'lost' || failure === 'race' || (problem.code.startsWith('store.') && problem.retryable);
}
