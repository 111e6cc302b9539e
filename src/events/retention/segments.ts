import { tellChange } from '../../store/changes.ts';
import type { Queryable } from '../../store/database.ts';
import { timestamp } from '../../store/rows.ts';
import { GROUPS_MOVED } from '../group-offsets.ts';
import { copyKeys, keyedOffsets } from '../keys.ts';

/** What is partitioned: the events by segment, the keys that they are known by by generation. */
export type SegmentKind = 'events' | 'keys';

/** One table of the log. */
export interface Segment {
  readonly number: number;
  readonly openedAt: number;
  /** Nothing for the one that is written to. */
  readonly closedAt: number | null;
  /** The offset after its last event, per partition, once it is closed. */
  readonly ends: readonly number[] | null;
  readonly bytes: number;
}

// Names are made of numbers that the database counted: nothing of a request is in them.
const TABLES = {
  events: { parent: 'event_batches', column: 'segment' },
  keys: { parent: 'event_keys', column: 'generation' },
} as const;

/** Times are taken by each process when it writes, segments are closed a little later: a segment within this of a bound is read, too. */
const SKEW = "interval '1 minute'";

/** The tables of a kind, the oldest first. */
export async function readSegments(db: Queryable, kind: SegmentKind): Promise<Segment[]> {
  const rows = await db.query<{
    number: number;
    openedAt: number;
    closedAt: number | null;
    ends: string[] | null;
    bytes: number;
  }>(
    `select number, opened_at as "openedAt", closed_at as "closedAt", ends,
       coalesce(pg_total_relation_size(to_regclass($2 || '_' || number)), 0) as bytes
     from event_segments where kind = $1 order by number`,
    [kind, TABLES[kind].parent],
  );
  return rows.map(({ ends, ...row }) => ({ ...row, ends: ends?.map(Number) ?? null }));
}

/** Notes the first table of each kind, which the schema made. */
export async function openFirst(db: Queryable, nowMs: number): Promise<void> {
  await db.query(
    `insert into event_segments (kind, number, opened_at) values ('events', 1, $1), ('keys', 1, $1) on conflict do nothing`,
    [timestamp(nowMs)],
  );
}

/**
 * Closes the table that is written to and opens the next one, under the lock of the head: everybody who appended before is in the old one, everybody
 * after in the new one. Appends wait for it for a millisecond or two. What a generation of keys was open for is all in it when it is closed.
 */
export async function roll(tx: Queryable, kind: SegmentKind, number: number, nowMs: number): Promise<void> {
  const { parent, column } = TABLES[kind];
  const next = number + 1;
  const recorded = kind === 'events' ? await recordedIn(tx, number) : undefined;
  await tx.query(`create table ${parent}_${next} (like ${parent} including all)`);
  await tx.query(`alter table ${parent} attach partition ${parent}_${next} for values in (${next})`);
  const ends = kind === 'keys' ? await lockKeyed(tx) : await lockHead(tx);
  await tx.query(`update event_head set ${column} = $1, token = gen_random_uuid()`, [next]);
  await tx.query(
    `update event_segments set closed_at = greatest($3::timestamptz, $5::timestamptz), opened_at = least(opened_at, $6::timestamptz), ends = $4::bigint[]
     where kind = $1 and number = $2`,
    [kind, number, timestamp(nowMs), ends, recorded?.latest ?? null, recorded?.earliest ?? null],
  );
  await tx.query('insert into event_segments (kind, number, opened_at) values ($1, $2, $3)', [
    kind,
    next,
    timestamp(nowMs),
  ]);
}

/**
 * The times between which the events of a segment were recorded. They are asked for because a clock may have been set back while it was written to: its
 * events are then later than its end. Read before anybody waits for the head; what comes meanwhile is recorded at about now.
 */
async function recordedIn(tx: Queryable, segment: number) {
  const [row] = await tx.query<{ earliest: string | null; latest: string | null }>(
    'select min(recorded_at)::text as earliest, max(recorded_at)::text as latest from event_batches where segment = $1',
    [segment],
  );
  return row;
}

/**
 * The first segment that may hold events of the time in a parameter or later, as SQL. Segments need not follow each other in time: a clock may have been set
 * back between them.
 *
 * @param parameter such as `$1`
 */
export function firstSegmentSince(parameter: string): string {
  return `(select coalesce(min(number) filter (where closed_at is null or closed_at >= ${parameter}::timestamptz - ${SKEW}), max(number) + 1, 0)
    from event_segments where kind = 'events')`;
}

/** The last segment that may hold events of before that time, as `firstSegmentSince`. */
export function lastSegmentUntil(parameter: string): string {
  return `(select coalesce(max(number) filter (where opened_at <= ${parameter}::timestamptz + ${SKEW}), min(number) - 1, 2147483647)
    from event_segments where kind = 'events')`;
}

/** Drops a table: a file is unlinked, no row is touched. Waits for readers of the log as long as `waitMs`, and fails then (SQLSTATE 55P03). */
export async function drop(tx: Queryable, kind: SegmentKind, number: number, waitMs: number): Promise<void> {
  await tx.query("select set_config('lock_timeout', $1, true)", [String(Math.ceil(waitMs))]);
  // As whoever appends: the head first, then the tables. The other way round each could hold what the other waits for.
  await lockHead(tx);
  await tx.query(`drop table ${TABLES[kind].parent}_${number}`);
  if (kind === 'keys') await tx.query('delete from event_key_runs where generation = $1', [number]);
  await tx.query('delete from event_segments where kind = $1 and number = $2', [kind, number]);
}

/** Nobody appends until the transaction ends. Answers with where the partitions end. */
async function lockHead(tx: Queryable): Promise<number[]> {
  const [head] = await tx.query<{ ends: string[] }>('select next_offsets as ends from event_head for update');
  return head!.ends.map(Number);
}

/** As `lockHead`, with all keys in runs of the generation that is to be closed: most of them are put there before anybody has to wait. */
async function lockKeyed(tx: Queryable): Promise<number[]> {
  const [head] = await tx.query<{ ends: string[] }>('select next_offsets as ends from event_head');
  const early = head!.ends.map(Number);
  await copyKeys(tx, await keyedOffsets(tx), early);
  const ends = await lockHead(tx);
  await copyKeys(tx, early, ends);
  await tx.query('update event_head set keyed_offsets = $1::bigint[]', [ends]);
  return ends;
}

/** The groups that have not passed all before these offsets. */
export async function groupsBehind(tx: Queryable, ends: readonly number[]): Promise<string[]> {
  const rows = await tx.query<{ group: string }>(
    `select distinct consumer_group as "group" from event_consumers c join unnest($1::bigint[]) with ordinality as t(log_offset, number)
       on c.partition = t.number - 1 and c.log_offset < t.log_offset order by 1`,
    [ends],
  );
  return rows.map(({ group }) => group);
}

/** The log begins at these offsets from now on; groups that were before them are moved to them. */
export async function beginAt(tx: Queryable, offsets: readonly number[]): Promise<void> {
  await tx.query('update event_head set first_offsets = $1::bigint[]', [offsets]);
  await tx.query(
    `update event_consumers c set log_offset = t.log_offset, owner = null, epoch = epoch + 1
     from unnest($1::bigint[]) with ordinality as t(log_offset, number)
     where c.partition = t.number - 1 and c.log_offset < t.log_offset`,
    [offsets],
  );
  await tellChange(tx, GROUPS_MOVED);
}
