import type { Queryable } from './database.ts';

/** The rows of a list whose `event` may be large, in their order, without a `limit`. */
export interface LargeRows {
  readonly select: string;
  readonly values: readonly unknown[];
  readonly limit: number;
  /** A page ends with the row that reaches it, in bytes of JSON; it has one row at the least. */
  readonly bytesMax: number;
}

export interface LargePage<Row> {
  items: Row[];
  /** The id of the last row, where there are more. */
  nextCursor: string | null;
}

type Counted<Row> = Row & { bytes: number; before: number; found: number; nth: number };

/**
 * A page by number and by bytes: 500 events of a megabyte would be all the memory of a process. The texts beyond it stay in the database.
 *
 * @example await largePage<Letter>(db, { select: 'select id, event from dead_letters order by id desc', values: [], limit: 50, bytesMax: 16e6 })
 */
export async function largePage<Row extends { id: string }>(
  db: Queryable,
  { select, values, limit, bytesMax }: LargeRows,
): Promise<LargePage<Row>> {
  const [countAt, bytesAt] = [values.length + 1, values.length + 2];
  const rows = await db.query<Counted<Row>>(
    `select * from (
       select *, coalesce(sum(bytes) over (rows between unbounded preceding and 1 preceding), 0) as before, count(*) over () as found, row_number() over () as nth
       from (select *, octet_length(event::text) as bytes from (${select} limit $${countAt}) newest) measured) page
     where before < $${bytesAt} order by nth`,
    [...values, limit + 1, bytesMax],
  );
  const items = rows.slice(0, limit).map(({ bytes, before, found, nth, ...row }) => row as unknown as Row);
  const isMore = items.length < (rows[0]?.found ?? 0);
  return { items, nextCursor: isMore ? items.at(-1)!.id : null };
}
