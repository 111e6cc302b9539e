import type { Queryable } from '../store/database.ts';

/**
 * How many events of a type the log holds; every event's type is looked at.
 *
 * @example await countEvents(db, 'order.placed') // 1204
 */
export async function countEvents(db: Queryable, type: string): Promise<number> {
  const [row] = await db.query<{ count: number }>(
    'select count(*)::bigint as count from events where type = $1',
    [type],
  );
  return row!.count;
}
