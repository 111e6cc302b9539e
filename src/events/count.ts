import type { Database } from '../store/database.ts';
import { PARTITIONS } from './partitions.ts';
import { lineHas } from './search.ts';

const WHOLE = {
  from: new Array<number>(PARTITIONS).fill(0),
  until: new Array<number>(PARTITIONS).fill(Number.MAX_SAFE_INTEGER),
};

/**
 * How many events of these types the log holds, or a range of it: batches of one type are counted as they are, the others line by line.
 *
 * @param types at least one
 * @param range from these offsets, one for each partition, until those
 * @example await countEvents(db, ['order.placed']) // 1204
 */
export async function countEvents(
  db: Database,
  types: readonly string[],
  range: { readonly from: readonly number[]; readonly until: readonly number[] } = WHOLE,
): Promise<number> {
  const { from, until } = range;
  const values: unknown[] = [types, from, until];
  const isOne = types.map((type) => lineHas('type', type, (value) => values.push(value)));
  const [row] = await db.queryDynamic<{ count: number }>(
    `select coalesce(sum(case when types <@ $1::text[] and first_offset >= r.first and first_offset + count <= r.next then count
         else (select count(*) from string_to_table(events, e'\\n') with ordinality as line(event, nth)
           where first_offset + nth - 1 >= r.first and first_offset + nth - 1 < r.next and (${isOne.join(' or ')})) end), 0)::bigint as count
     from unnest($2::bigint[], $3::bigint[]) with ordinality as r(first, next, number)
       join event_batches b on b.partition = r.number - 1 and first_offset + count > r.first and first_offset < r.next
     where types && $1::text[]`,
    values,
  );
  return row!.count;
}
