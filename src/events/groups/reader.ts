import type { Queryable } from '../../store/database.ts';
import type { EventLog } from '../log.ts';
import type { Share } from './batch.ts';

interface Ahead {
  readonly partition: number;
  readonly offset: number;
  readonly countMax: number;
  readonly share: Promise<Share | undefined>;
}

/**
 * Reads the batches of a group, and the next one while the one before it is worked on and committed: what is in the log does not change, so it may be
 * read outside of the batch's transaction. A group that is far behind then waits for its handler or the database, not for one after the other.
 */
export class BatchReader {
  readonly #log: Pick<EventLog, 'read'>;
  readonly #until: readonly number[] | undefined;
  #ahead: Ahead | undefined;

  constructor(log: Pick<EventLog, 'read'>, until: readonly number[] | undefined) {
    this.#log = log;
    this.#until = until;
  }

  /** The events of a partition from an offset on. */
  async read(partition: number, offset: number, countMax: number, tx: Queryable): Promise<Share> {
    const ahead = this.#ahead;
    if (ahead?.partition === partition && ahead.offset === offset && ahead.countMax === countMax) {
      this.#ahead = undefined;
      const share = await ahead.share;
      if (share) return share;
    }
    return this.#read(partition, offset, countMax, tx);
  }

  /** Begins to read what will be asked for next. */
  readAhead(partition: number, offset: number, countMax: number, db: Queryable): void {
    // What fails here is read again by the batch, which tells.
    const share = this.#read(partition, offset, countMax, db).catch(() => undefined);
    this.#ahead = { partition, offset, countMax, share };
  }

  async #read(partition: number, offset: number, countMax: number, db: Queryable): Promise<Share> {
    const count = Math.min(countMax, (this.#until?.[partition] ?? offset + countMax) - offset);
    const events = count > 0 ? await this.#log.read(partition, offset, count, db) : [];
    const next = (events.at(-1)?.offset ?? offset - 1) + 1;
    return { partition, offset, events, next };
  }
}
