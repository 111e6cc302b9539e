import type { CloudEvent, LoggedEvent } from '../kernel/cloudevent.ts';
import type { Limits } from '../kernel/limits.ts';
import type { EventLog } from './log.ts';

/** An event for a reader, a part of the log that was dropped before it, or only how far it has come; and where it goes on after it. */
export interface FeedItem {
  readonly logged?: LoggedEvent | undefined;
  readonly dropped?: DroppedPart | undefined;
  /** The next offset of each partition. */
  readonly cursor: readonly number[];
}

/** Events that retention took out of the log before the reader came to them. */
export interface DroppedPart {
  readonly partition: number;
  /** The offset of the first of them, and that of the first event which is kept. */
  readonly from: number;
  readonly until: number;
}

const READ_COUNT = 200;
/** A reader whose filter takes nothing is told so often how far it has come, so that it need not begin anew after a break. */
const SKIPPED_MAX = 1000;

/**
 * The log for readers who follow it: each is pulled along by itself, from memory where that reaches, so that a slow one costs no more memory than a
 * fast one. One question a look tells all of them what other processes have appended.
 *
 * @example for await (const { logged } of feed.follow(await log.head(), () => true, signal)) console.log(logged?.event.id)
 */
export class EventFeed {
  readonly #log: EventLog;
  readonly #limits: Pick<Limits, 'consumerPollMs'>;
  readonly #wakes = new Set<() => void>();
  #heads: number[] = [];
  #stop: (() => void) | undefined;
  #readers = 0;

  constructor(log: EventLog, limits: Pick<Limits, 'consumerPollMs'>) {
    this.#log = log;
    this.#limits = limits;
  }

  /** The events from these offsets on, without an end, in the order of each partition; ends with the signal. */
  async *follow(
    from: readonly number[],
    isSelected: (event: CloudEvent) => boolean,
    signal: AbortSignal,
  ): AsyncGenerator<FeedItem> {
    const cursor = [...from];
    const wake = () => this.#wakeAll();
    signal.addEventListener('abort', wake, { once: true });
    try {
      await this.#begin();
      let skipped = 0;
      while (!signal.aborted) {
        const arrival = this.#arrival();
        try {
          let isAny = false;
          for (const partition of cursor.keys()) {
            if (cursor[partition]! >= (this.#heads[partition] ?? 0)) continue;
            const { dropped, events } = await this.#read(partition, cursor[partition]!);
            if (dropped) {
              isAny = true;
              cursor[partition] = dropped.until;
              yield { dropped, cursor };
            }
            for (const logged of events) {
              isAny = true;
              cursor[partition] = logged.offset + 1;
              if (isSelected(logged.event)) yield { logged, cursor };
              else skipped++;
              if (signal.aborted) return;
            }
          }
          if (skipped >= SKIPPED_MAX || (skipped > 0 && !isAny)) {
            skipped = 0;
            yield { cursor };
          }
          if (!isAny) await arrival.happened;
        } finally {
          arrival.forget();
        }
      }
    } finally {
      signal.removeEventListener('abort', wake);
      this.#end();
    }
  }

  /** What comes next of a partition, and what of it is not there any more: a place in a part that was dropped would never be left otherwise. */
  async #read(
    partition: number,
    from: number,
  ): Promise<{ dropped: DroppedPart | undefined; events: readonly LoggedEvent[] }> {
    const events = await this.#log.read(partition, from, READ_COUNT);
    const until = events[0]?.offset ?? (await this.#log.begin())[partition]!;
    return { dropped: until > from ? { partition, from, until } : undefined, events };
  }

  /** Asked for before the log is read: what comes meanwhile is not slept over. */
  #arrival(): { happened: Promise<void>; forget(): void } {
    let wake: () => void = () => {};
    const happened = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#wakes.add(wake);
    return { happened, forget: () => void this.#wakes.delete(wake) };
  }

  async #begin(): Promise<void> {
    this.#readers++;
    if (this.#readers === 1) {
      const stopListening = this.#log.onCommitted((events) => {
        for (const { partition, offset } of events)
          this.#heads[partition] = Math.max(this.#heads[partition] ?? 0, offset + 1);
        this.#wakeAll();
      });
      const timer = setInterval(() => void this.#look().catch(() => {}), this.#limits.consumerPollMs).unref();
      this.#stop = () => {
        stopListening();
        clearInterval(timer);
      };
    }
    await this.#look();
  }

  #end(): void {
    this.#readers--;
    if (this.#readers === 0) this.#stop?.();
  }

  /** The database being away for a moment is no reason to end a stream: the next look tells. */
  async #look(): Promise<void> {
    const heads = await this.#log.head();
    const isNew = heads.some((head, partition) => head > (this.#heads[partition] ?? 0));
    this.#heads = heads.map((head, partition) => Math.max(head, this.#heads[partition] ?? 0));
    if (isNew) this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wake of this.#wakes) wake();
  }
}
