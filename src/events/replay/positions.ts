import { AiosError } from '../../kernel/errors.ts';
import type { Queryable } from '../../store/database.ts';
import { timestamp } from '../../store/rows.ts';
import { PARTITIONS } from '../partitions.ts';
import { firstSegmentSince } from '../retention/segments.ts';

/** A place in the whole log: the first events recorded at a time or later, or one offset for each partition. */
export type Place = { readonly timeMs: number } | { readonly offsets: readonly number[] };

interface Ends {
  /** The offset of the oldest event that is kept; the next one where none is. */
  readonly first: number[];
  /** The offset of the event that comes next. */
  readonly next: number[];
}

/**
 * The offsets at which a range of the log begins and ends, per partition; what is kept of the log where a place is left out.
 *
 * @throws AiosError `events.position_invalid` for offsets that are none, and for an end before its beginning
 */
export async function resolveRange(
  db: Queryable,
  from: Place | undefined,
  until: Place | undefined,
): Promise<{ from: number[]; until: number[] }> {
  const ends = await logEnds(db);
  const [begin, end] = await Promise.all([
    from ? offsetsOf(db, from, ends) : ends.first,
    until ? offsetsOf(db, until, ends) : ends.next,
  ]);
  if (
    begin.some((offset, partition) => offset > end[partition]!) &&
    begin.every((offset, partition) => offset >= end[partition]!)
  )
    throw new AiosError('events.position_invalid', { detail: 'The range ends before it begins.' });
  return { from: begin, until: end.map((offset, partition) => Math.max(offset, begin[partition]!)) };
}

async function logEnds(db: Queryable): Promise<Ends> {
  const rows = await db.query<{ first_offset: number; next_offset: number }>(
    'select first_offset, next_offset from event_partitions order by partition',
  );
  return {
    first: rows.map((row) => row.first_offset),
    next: rows.map((row) => row.next_offset),
  };
}

async function offsetsOf(db: Queryable, place: Place, { first, next }: Ends): Promise<number[]> {
  if ('offsets' in place) {
    const { offsets } = place;
    if (
      offsets.length !== PARTITIONS ||
      !offsets.every((offset) => Number.isSafeInteger(offset) && offset >= 0)
    )
      throw new AiosError('events.position_invalid', { detail: `${PARTITIONS} offsets are expected.` });
    return offsets.map((offset, partition) =>
      Math.min(Math.max(offset, first[partition]!), next[partition]!),
    );
  }
  const rows = await db.query<{ log_offset: number | null }>(
    `select (select first_offset from event_batches b where b.partition = p.partition and recorded_at >= $1
         and segment >= ${firstSegmentSince('$1')}
       order by first_offset limit 1) as log_offset
     from event_partitions p order by partition`,
    [timestamp(place.timeMs)],
  );
  return rows.map((row, partition) => row.log_offset ?? next[partition]!);
}
