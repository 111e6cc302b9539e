import type { CloudEvent, LoggedEvent } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import { instantMs } from '../kernel/instant.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Database } from '../store/database.ts';
import { timestamp } from '../store/rows.ts';
import { PARTITIONS } from './partitions.ts';
import { pushedDown } from './pushed-down.ts';
import { firstSegmentSince, lastSegmentUntil } from './retention/segments.ts';
import { compileSelection } from './selection.ts';

/** What a search filters by; times are milliseconds of recording, `before` is the cursor of the last page. */
export interface EventFilter {
  type?: string | undefined;
  source?: string | undefined;
  subject?: string | undefined;
  since?: number | undefined;
  until?: number | undefined;
  /** CEL over the attributes of the event and its data. */
  filter?: string | undefined;
  before?: string | null | undefined;
  limit: number;
}

interface EventRow {
  partition: number;
  log_offset: number;
  recorded_at: number;
  bytes: number;
  /** Null where those before it in its partition are as many, or as much, as is read at once. */
  event: CloudEvent | null;
}

type FoundRow = EventRow & { event: CloudEvent };

function loggedOf({
  partition,
  log_offset: offset,
  recorded_at: recordedAtMs,
  event,
}: FoundRow): LoggedEvent {
  return { partition, offset, event, timeMs: instantMs(event.time), recordedAtMs };
}

// Postgres takes \u0000 and half a surrogate pair into `json`, and then fails at every `->>` on it: they are put aside for the comparison. Parsing
// is dear (7 µs an event), so the text is searched first: events are stored as JSON.stringify writes them.
const READABLE = String.raw`regexp_replace(event, '\\u(0000|d[89a-f][0-9a-f]{2})', '\\ufffd', 'gi')::json`;

/**
 * The condition that a line of a batch has this attribute. `parameter` adds a value and answers with its number.
 *
 * @example lineHas('type', 'order.placed', (value) => values.push(value)) // case when strpos(event, $1) > 0 then … end
 */
export function lineHas(
  name: 'type' | 'source' | 'subject',
  value: string,
  parameter: (value: string) => number,
): string {
  const written = parameter(`"${name}":${JSON.stringify(value)}`);
  return `case when strpos(event, $${written}) > 0 then ${READABLE}->>'${name}' = $${parameter(value)} end`;
}

/** A page of a search; `scanned` are the events that a filter in CEL was tried on, with `isBounded` when they were as many as one question may read. */
export interface EventPage {
  items: LoggedEvent[];
  nextCursor: string | null;
  scanned: number;
  isBounded: boolean;
}

type SearchLimits = Pick<Limits, 'eventScanMax' | 'eventReadBytesMax'>;

/** How many events of a partition are read at once for a filter in CEL. */
const SCAN_COUNT = 128;

/**
 * The log backwards, page by page. Type, source, subject and time are compared in SQL, those in a filter too where it is their conjunction (`pushed-down.ts`), the time by
 * segments first; the rest of a filter is tried here, on no more than `eventScanMax` events: the page then says so, and its cursor goes on from there. Where events are
 * large a page has fewer than were asked for.
 *
 * @throws AiosError `request.invalid` for an invalid cursor, `expression.syntax`, `expression.failed` where the filter is neither true nor false
 */
export async function searchEvents(
  db: Database,
  filter: EventFilter,
  { eventScanMax: scanMax, eventReadBytesMax: bytesMax }: SearchLimits,
): Promise<EventPage> {
  const reached = filter.before == null ? undefined : readCursor(filter.before);
  if (filter.filter === undefined) {
    const { found, nextCursor } = page(
      await readBackwards(db, filter, reached, filter.limit, bytesMax),
      filter.limit,
    );
    return { items: found.map(loggedOf), nextCursor, scanned: found.length, isBounded: false };
  }
  const isSelected = compileSelection({ filter: filter.filter }, { isWaiting: true });
  const narrowed = { ...pushedDown(filter.filter), ...filter };
  const items: LoggedEvent[] = [];
  let bytes = 0;
  let from = reached;
  for (let scanned = 0; ; ) {
    const rows = await readBackwards(db, narrowed, from, SCAN_COUNT, bytesMax);
    const candidates = page(rows, rows.length);
    for (const [index, row] of candidates.found.entries()) {
      scanned++;
      const logged = loggedOf(row);
      if (!isSelected(logged.event)) continue;
      items.push(logged);
      bytes += row.bytes;
      if (items.length < filter.limit && bytes < PARTITIONS * bytesMax) continue;
      const { nextCursor } = page(rows, index + 1);
      return { items, nextCursor, scanned, isBounded: false };
    }
    const { nextCursor } = candidates;
    if (nextCursor === null || scanned >= scanMax)
      return { items, nextCursor, scanned, isBounded: nextCursor !== null };
    from = readCursor(nextCursor);
  }
}

/**
 * Each partition is read down its primary key and the heads are merged by time of recording, so that no second index is needed (the hot path would
 * pay for it) and a page costs the same at any length of the log. The cursor is the offset reached in each partition: events that come meanwhile
 * shift nothing.
 */
function readBackwards(
  db: Database,
  filter: EventFilter,
  reached: readonly number[] | undefined,
  count: number,
  bytesMax: number,
): Promise<EventRow[]> {
  const values: unknown[] = [count, bytesMax];
  const parameter = (value: unknown) => values.push(value);
  // Of a batch, and of an event in it.
  const batch = ['partition = p.number'];
  const line: string[] = [];
  const { since, until, type, source, subject } = filter;
  // By `coalesce` it is taken to hold for half of the batches: of a segment that Postgres has not counted yet it took it for one in a hundred, and read and sorted all of them (1.5 s for 200,000 events).
  if (type !== undefined) batch.push(`coalesce($${parameter(type)} = any(types), false)`);
  for (const [name, value] of Object.entries({ type, source, subject }))
    if (value !== undefined) line.push(lineHas(name as 'type', value, parameter));
  if (since !== undefined) {
    const bound = `$${parameter(timestamp(since))}`;
    batch.push(`recorded_at >= ${bound}`, `segment >= ${firstSegmentSince(bound)}`);
  }
  if (until !== undefined) {
    const bound = `$${parameter(timestamp(until))}`;
    batch.push(`recorded_at < ${bound}`, `segment <= ${lastSegmentUntil(bound)}`);
  }
  if (reached) {
    const end = `($${parameter(reached)}::bigint[])[p.number + 1]`;
    batch.push(`first_offset < ${end}`);
    line.push(`first_offset + nth - 1 < ${end}`);
  }
  return db.queryDynamic<EventRow>(
    `select e.partition, e.log_offset, e.recorded_at, octet_length(e.event) as bytes, case when e.place <= $1 and e.before < $2 then e.event::json end as event from generate_series(0, ${PARTITIONS - 1}) as p(number) cross join lateral (
       select *, row_number() over (order by log_offset desc) as place, sum(octet_length(event)) over (order by log_offset desc) - octet_length(event) as before from (
       select partition, first_offset + nth - 1 as log_offset, recorded_at, event
       from (select * from event_batches where ${batch.join(' and ')}) b
         cross join lateral string_to_table(events, e'\\n') with ordinality as line(event, nth)
       where ${['true', ...line].join(' and ')} order by first_offset desc, nth desc limit $1 + 1) newest) e
     order by e.partition, e.log_offset desc`,
    values,
  );
}

/** Takes the newest head again and again; within a partition the order is that of the offsets, whatever its clock did. */
function page(rows: readonly EventRow[], limit: number): { found: FoundRow[]; nextCursor: string | null } {
  const heads: EventRow[][] = Array.from({ length: PARTITIONS }, () => []);
  for (const row of rows) heads[row.partition]!.push(row);
  // A partition that this page takes nothing from is held where it stands now: what comes later belongs to no page of this walk.
  const reached = heads.map(([head]) => (head ? head.log_offset + 1 : 0));
  const next = new Array<number>(PARTITIONS).fill(0);
  const found: FoundRow[] = [];
  while (found.length < limit) {
    let newest: EventRow | undefined;
    for (const [partition, run] of heads.entries()) {
      const row = run[next[partition]!];
      if (row && (!newest || row.recorded_at > newest.recorded_at)) newest = row;
    }
    if (!newest?.event) break;
    next[newest.partition]!++;
    reached[newest.partition] = newest.log_offset;
    found.push(newest as FoundRow);
  }
  return { found, nextCursor: found.length < rows.length ? reached.map(String).join('.') : null };
}

/** The offsets in a cursor. @throws AiosError `request.invalid` */
export function readCursor(text: string): number[] {
  const offsets = text.split('.').map(Number);
  if (
    offsets.length !== PARTITIONS ||
    !offsets.every((offset) => Number.isSafeInteger(offset) && offset >= 0)
  ) {
    throw new AiosError('request.invalid', {
      detail: `“${text}” is not a cursor of this list: leave it out for the first page, or pass nextCursor on as it came.`,
    });
  }
  return offsets;
}
