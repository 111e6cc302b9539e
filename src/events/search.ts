import type { CloudEvent, LoggedEvent } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Database } from '../store/database.ts';
import { timestamp } from '../store/rows.ts';
import { PARTITIONS } from './partitions.ts';

/** What a search filters by; times are milliseconds of recording, `before` is the cursor of the last page. */
export interface EventFilter {
  type?: string | undefined;
  source?: string | undefined;
  subject?: string | undefined;
  since?: number | undefined;
  until?: number | undefined;
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
  return { partition, offset, event, timeMs: Date.parse(event.time), recordedAtMs };
}

// Postgres takes \u0000 and half a surrogate pair into `json`, and then fails at every `->>` on it: they are put aside for the comparison. Parsing
// is dear (7 µs an event), so the text is searched first: events are stored as JSON.stringify writes them.
const READABLE = String.raw`regexp_replace(event::text, '\\u(0000|d[89a-f][0-9a-f]{2})', '\\ufffd', 'gi')::json`;

/**
 * The log backwards. Each partition is read down its primary key and the heads are merged by time of recording, so that no second
 * index is needed (the hot path would pay for it) and a page costs the same at any length of the log. The cursor is the offset
 * reached in each partition: events that come meanwhile shift nothing.
 *
 * @throws AiosError `request.invalid` for a cursor that is none
 */
export async function searchEvents(
  db: Database,
  filter: EventFilter,
): Promise<{ items: LoggedEvent[]; nextCursor: string | null }> {
  const reached = filter.before == null ? undefined : readCursor(filter.before);
  const values: unknown[] = [filter.limit + 1];
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
  where('recorded_at >= ', filter.since === undefined ? undefined : timestamp(filter.since));
  where('recorded_at < ', filter.until === undefined ? undefined : timestamp(filter.until));
  if (reached) conditions.push(`log_offset < ($${values.push(reached)}::bigint[])[p.number + 1]`);
  const rows = await db.queryDynamic<EventRow>(
    `select e.* from generate_series(0, ${PARTITIONS - 1}) as p(number) cross join lateral (
       select partition, log_offset, recorded_at, event from events where ${conditions.join(' and ')}
       order by log_offset desc limit $1) e
     order by e.partition, e.log_offset desc`,
    values,
  );
  return page(rows, filter.limit);
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

function readCursor(text: string): number[] {
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
