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

/**
 * Milliseconds since the epoch of a `timestamptz` as a session in UTC writes it; what is below them is cut off. `Date.parse` of the ISO form, which other
 * forms are left to, takes ten times as long (0.9 µs), for each row of each question.
 *
 * @example parseTimestamp('2026-01-02 03:04:05.678901+00') // 1767323045678
 */
export function parseTimestamp(text: string): number {
  const { length } = text;
  const isPlain =
    length >= 22 && text.charCodeAt(0) !== ZERO && text.charCodeAt(4) === DASH && text.endsWith('+00');
  if (!isPlain) return Date.parse(text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'));
  let ms = 0;
  if (length > 22) ms = digit(text, 20) * 100;
  if (length > 24) ms += digit(text, 21) * 10;
  if (length > 25) ms += digit(text, 22);
  return Date.UTC(
    twoDigits(text, 0) * 100 + twoDigits(text, 2),
    twoDigits(text, 5) - 1,
    twoDigits(text, 8),
    twoDigits(text, 11),
    twoDigits(text, 14),
    twoDigits(text, 17),
    ms,
  );
}

const ZERO = 48;
const DASH = 45;

function digit(text: string, at: number): number {
  return text.charCodeAt(at) - ZERO;
}

function twoDigits(text: string, at: number): number {
  return digit(text, at) * 10 + digit(text, at + 1);
}
