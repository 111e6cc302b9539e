/**
 * The columns of many rows, for `unnest($1::text[], $2::json[], …)`: one statement writes them all.
 *
 * @example columns(rows, (row) => [row.id, JSON.stringify(row.body)]) // [['a', 'b'], ['{}', '{}']]
 */
export function columns<Row>(rows: readonly Row[], values: (row: Row) => readonly unknown[]): unknown[][] {
  const lists: unknown[][] = [];
  for (const row of rows) {
    const cells = values(row);
    for (let i = 0; i < cells.length; i++) {
      const list = lists[i];
      if (list) list.push(cells[i]);
      else lists[i] = [cells[i]];
    }
  }
  return lists;
}

/** A time for a `timestamptz` parameter. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString();
}
