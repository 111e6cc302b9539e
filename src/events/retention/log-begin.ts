import type { Queryable } from '../../store/database.ts';

/** From when on the log is whole. */
export interface LogBegin {
  /** Milliseconds since the epoch: every event that was recorded since is kept, whatever its type. */
  sinceMs: number;
  /** False while nothing has ever been dropped. */
  isDropped: boolean;
  /** The offset at which each partition begins. */
  first: number[];
}

/**
 * Where the log begins: with the oldest segment that is kept. No event has to be looked for, which would read the whole log for a type that is rare.
 *
 * @returns nothing before the log was opened for the first time
 * @example await logBegin(db) // { sinceMs: 1767225600000, isDropped: true, first: [812, …] }
 */
export async function logBegin(db: Queryable): Promise<LogBegin | undefined> {
  const [begin] = await db.query<Omit<LogBegin, 'first'> & { first: string[] }>(
    `select opened_at as "sinceMs", number > 1 as "isDropped", (select first_offsets from event_head) as first
     from event_segments where kind = 'events' order by number limit 1`,
  );
  return begin && { ...begin, first: begin.first.map(Number) };
}
