import type { Clock } from '../kernel/clock.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Changes } from './changes.ts';
import type { Database } from './database.ts';
import type { Write } from './lane.ts';
import { Poller } from './poller.ts';
import { timestamp } from './rows.ts';
import { writeInTransaction } from './write-in-transaction.ts';

/** Rows that tell of work which is over. Nothing depends on them: people look them up. */
export interface RecordTable {
  readonly table: string;
  /** The condition of a row that may go, in SQL; `$1` is the time before which it ended. */
  readonly over: string;
  /** How long a row is kept, in milliseconds. */
  readonly keptMs: number;
}

/** What one transaction deleted. */
interface Pruned {
  readonly table: string;
  readonly count: number;
  readonly beforeMs: number;
  readonly at: number;
}

interface Dependencies {
  readonly db: Database;
  readonly clock: Pick<Clock, 'now'>;
  readonly limits: Pick<Limits, 'recordPassMs' | 'recordPruneMax'>;
  readonly tables: readonly RecordTable[];
  readonly changes?: Changes | undefined;
  readonly record: (pruned: Pruned) => Write;
  readonly onError: (error: unknown) => void;
}

/**
 * Deletes records that have been kept for long enough, so many at a time, each step with its audit entry in one transaction. Any process may: what another
 * is deleting is passed over.
 *
 * @example new RecordRetention({ db, clock, limits, tables: [{ table: 'training_logs', over: 'at < $1', keptMs: 7_776_000_000 }], record, onError }).begin()
 */
export class RecordRetention {
  readonly #dependencies: Dependencies;
  readonly #poller: Poller;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
    const { limits, changes, onError } = dependencies;
    this.#poller = new Poller({ look: () => this.#look(), pollMs: limits.recordPassMs, changes, onError });
  }

  begin(): void {
    this.#poller.begin();
  }

  stop(): Promise<void> {
    return this.#poller.stop();
  }

  /** @returns how many rows went */
  async pass(): Promise<number> {
    let gone = 0;
    for (const table of this.#dependencies.tables) {
      let count = await this.#step(table);
      for (; count === this.#dependencies.limits.recordPruneMax; count = await this.#step(table))
        gone += count;
      gone += count;
    }
    return gone;
  }

  async #look(): Promise<undefined> {
    await this.pass();
  }

  async #step({ table, over, keptMs }: RecordTable): Promise<number> {
    const { db, clock, limits, record } = this.#dependencies;
    const at = clock.now();
    const beforeMs = at - keptMs;
    const [count, committed] = await db.transaction(async (tx) => {
      const gone = await tx.query(
        `delete from ${table} where ctid = any(array(select ctid from ${table} where ${over} limit $2 for update skip locked)) returning 1`,
        [timestamp(beforeMs), limits.recordPruneMax],
      );
      if (gone.length === 0) return [0, undefined] as const;
      const write = record({ table, count: gone.length, beforeMs, at });
      return [gone.length, await writeInTransaction(tx, [write])] as const;
    });
    committed?.();
    return count;
  }
}
