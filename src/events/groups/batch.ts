import type { LoggedEvent } from '../../kernel/cloudevent.ts';
import type { Queryable } from '../../store/database.ts';

/** What a batch holds of one partition. */
export interface Share {
  readonly partition: number;
  readonly offset: number;
  readonly events: LoggedEvent[];
  /** The offset after them: more than their number further, where a part of the log was dropped. */
  readonly next: number;
}

/** What came of a batch: what to do after its commit, and the move of the group's place, which may still be on its way. */
export interface Worked {
  after?: (() => void) | undefined;
  moved?: Promise<number> | undefined;
}

/** Definitions were changed by another process, and are not yet known here. */
export class Outdated extends Error {}

/** A transaction that tells whether anything was asked of it. */
export function watch(tx: Queryable): { tx: Queryable; isUsed(): boolean } {
  let isUsed = false;
  return {
    tx: {
      query: (text, values) => {
        isUsed = true;
        return tx.query(text, values);
      },
    },
    isUsed: () => isUsed,
  };
}
