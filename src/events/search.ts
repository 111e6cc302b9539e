import type { CloudEvent, LoggedEvent } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import { instantMs } from '../kernel/instant.ts';
import type { Database } from '../store/database.ts';
import { timestamp } from '../store/rows.ts';
import { PARTITIONS } from './partitions.ts';
import { pushedDown } from './pushed-down.ts';
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

export interface EventRow {
  partition: number;
  log_offset: number;
  recorded_at: number;
  event: CloudEvent;
}

export function fromRow({
  partition,
  log_offset: offset,
  recorded_at: recordedAtMs,
  event,
}: EventRow): LoggedEvent {
  return { partition, offset, event, timeMs: instantMs(event.time), recordedAtMs };
}

// Postgres takes \u0000 and half a surrogate pair into `json`, and then fails at every `->>` on it: they are put aside for the comparison. Parsing
// is dear (7 µs an event), so the text is searched first: events are stored as JSON.stringify writes them.
const READABLE = String.raw`regexp_replace(event::text, '\\u(0000|d[89a-f][0-9a-f]{2})', '\\ufffd', 'gi')::json`;

/** A page of a search; `scanned` are the events that a filter in CEL was tried on, with `isBounded` when they were as many as one question may read. */
export interface EventPage {
  items: LoggedEvent[];
  nextCursor: string | null;
  scanned: number;
  isBounded: boolean;
}

/** How many events are read at once for a filter in CEL. */
const SCAN_COUNT = 500;
/** Times are taken by each process when it writes, segments are closed a little later: a segment within this of a bound is read, too. */
const SKEW_MS = 60_000;

/**
 * The log backwards, page by page. Type, source, subject and time are compared in SQL, those in a filter too where it is their conjunction (`pushed-down.ts`), the time by
 * segments first; the rest of a filter is tried here, on no more than `scanMax` events: the page then says so, and its cursor goes on from there.
 *
 * @throws AiosError `request.invalid` for a cursor that is none, `expression.syntax`
 */
export async function searchEvents(db: Database, filter: EventFilter, scanMax: number): Promise<EventPage> {
  const reached = filter.before == null ? undefined : readCursor(filter.before);
  if (filter.filter === undefined) {
    const { items, nextCursor } = page(await readBackwards(db, filter, reached, filter.limit), filter.limit);
    return { items, nextCursor, scanned: items.length, isBounded: false };
  }
  const isSelected = compileSelection({ filter: filter.filter });
  const narrowed = { ...pushedDown(filter.filter), ...filter };
  const items: LoggedEvent[] = [];
  let from = reached;
  for (let scanned = 0; ; ) {
    const rows = await readBackwards(db, narrowed, from, SCAN_COUNT);
    const candidates = page(rows, SCAN_COUNT);
    for (const [index, logged] of candidates.items.entries()) {
      scanned++;
      if (isSelected(logged.event)) items.push(logged);
      if (items.length < filter.limit) continue;
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
): Promise<EventRow[]> {
  const values: unknown[] = [count + 1];
  const conditions = ['partition = p.number'];
  const where = (sql: string, value: unknown) => {
    if (value !== undefined) conditions.push(`${sql}$${values.push(value)}`);
  };
  where('type = ', filter.type);
  const whereAttribute = (name: 'source' | 'subject', value: string | undefined) => {
    if (value === undefined) return;
    const written = values.push(`"${name}":${JSON.stringify(value)}`);
    conditions.push(
      `case when strpos(event::text, $${written}) > 0 then ${READABLE}->>'${name}' = $${values.push(value)} end`,
    );
  };
  whereAttribute('source', filter.source);
  whereAttribute('subject', filter.subject);
  const { since, until } = filter;
  const segments = (aggregate: string, condition: string, ms: number) =>
    `(select ${aggregate} from event_segments where kind = 'events' and ${condition} $${values.push(timestamp(ms))})`;
  if (since !== undefined) {
    where('recorded_at >= ', timestamp(since));
    conditions.push(`segment >= ${segments('coalesce(max(number), 0) + 1', 'closed_at <', since - SKEW_MS)}`);
  }
  if (until !== undefined) {
    where('recorded_at < ', timestamp(until));
    conditions.push(
      `segment < ${segments('coalesce(min(number), 2147483647)', 'opened_at >', until + SKEW_MS)}`,
    );
  }
  if (reached) conditions.push(`log_offset < ($${values.push(reached)}::bigint[])[p.number + 1]`);
  return db.queryDynamic<EventRow>(
    `select e.* from generate_series(0, ${PARTITIONS - 1}) as p(number) cross join lateral (
       select partition, log_offset, recorded_at, event from events where ${conditions.join(' and ')}
       order by log_offset desc limit $1) e
     order by e.partition, e.log_offset desc`,
    values,
  );
}

/** Takes the newest head again and again; within a partition the order is that of the offsets, whatever its clock did. */
function page(rows: readonly EventRow[], limit: number): { items: LoggedEvent[]; nextCursor: string | null } {
  const heads: EventRow[][] = Array.from({ length: PARTITIONS }, () => []);
  for (const row of rows) heads[row.partition]!.push(row);
  // A partition that this page takes nothing from is held where it stands now: what comes later belongs to no page of this walk.
  const reached = heads.map(([head]) => (head ? head.log_offset + 1 : 0));
  const next = new Array<number>(PARTITIONS).fill(0);
  const items: LoggedEvent[] = [];
  while (items.length < limit) {
    let newest: EventRow | undefined;
    for (const [partition, run] of heads.entries()) {
      const row = run[next[partition]!];
      if (row && (!newest || row.recorded_at > newest.recorded_at)) newest = row;
    }
    if (!newest) break;
    next[newest.partition]!++;
    reached[newest.partition] = newest.log_offset;
    items.push(fromRow(newest));
  }
  return { items, nextCursor: items.length < rows.length ? reached.map(String).join('.') : null };
}

/** The offsets in a cursor. @throws AiosError `request.invalid` */
export function readCursor(text: string): number[] {
  const offsets = text.split('.').map(Number);
  if (
    offsets.length !== PARTITIONS ||
    !offsets.every((offset) => Number.isSafeInteger(offset) && offset >= 0)
  ) {
    throw new AiosError('request.invalid', {
      detail: `“${text}” is no cursor of this list: leave it out for the first page, or pass nextCursor on as it came.`,
    });
  }
  return offsets;
}
