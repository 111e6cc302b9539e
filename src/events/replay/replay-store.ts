import { tellChange } from '../../store/changes.ts';
import type { Database, Queryable } from '../../store/database.ts';
import { timestamp } from '../../store/rows.ts';
import { GROUPS_MOVED, LOG_ENDS } from '../group-offsets.ts';
import type { Selection } from '../selection.ts';

/** Who gets the events: a consumer group's handler, beside the group's own place in the log, or one flow. */
export type ReplayTarget = { readonly consumer: string } | { readonly workflow: string };

/** A part of the log that is given to somebody again. */
export interface Replay {
  readonly id: string;
  readonly target: ReplayTarget;
  readonly selection: Selection;
  /** Offsets per partition: the first one, and the one after the last. */
  readonly from: readonly number[];
  readonly until: readonly number[];
  readonly status: 'running' | 'completed' | 'canceled';
  /** Events handed over so far. */
  readonly handled: number;
  readonly createdBy: string;
  readonly createdAt: number;
  readonly endedAt: number | null;
  /** Events of the range that are still to be looked at. */
  readonly remaining: number;
}

/** The consumer group that a replay is worked off under. */
export const replayGroup = (id: string) => `replay:${id}`;

const COLUMNS = `id, target, selection, from_offsets as "from", until_offsets as "until", status, handled, created_by as "createdBy",
  created_at as "createdAt", ended_at as "endedAt",
  (select coalesce(sum(greatest(until_offsets[partition + 1] - log_offset, 0)), 0)::bigint
   from event_consumers where consumer_group = 'replay:' || id) as remaining`;

/** Adds a replay with the offsets of its group; false when it is there already. */
export async function insertReplay(
  tx: Queryable,
  {
    id,
    target,
    selection,
    from,
    until,
    createdBy,
    createdAt,
  }: Omit<Replay, 'status' | 'handled' | 'endedAt' | 'remaining'>,
): Promise<boolean> {
  const rows = await tx.query(
    `with log as materialized (${LOG_ENDS}), added as (
       insert into event_replays (id, target, selection, from_offsets, until_offsets, created_by, created_at)
       values ($1, $2, $3, $4::bigint[], $5::bigint[], $6, $7) on conflict do nothing returning id),
     grouped as (
       insert into event_consumers (consumer_group, partition, log_offset)
       select $8, number - 1, greatest(log_offset, first_offsets[number]) from added, log, unnest($4::bigint[]) with ordinality as t(log_offset, number))
     select id from added`,
    [
      id,
      JSON.stringify(target),
      JSON.stringify(selection),
      from,
      until,
      createdBy,
      timestamp(createdAt),
      replayGroup(id),
    ],
  );
  return rows.length > 0;
}

export function readReplays(db: Queryable, limit: number, before: string | undefined): Promise<Replay[]> {
  return db
    .query<ReplayRow>(
      `select ${COLUMNS} from event_replays where ($2::text is null or id < $2) order by id desc limit $1`,
      [limit, before ?? null],
    )
    .then((rows) => rows.map(fromRow));
}

export async function readReplay(db: Queryable, id: string): Promise<Replay | undefined> {
  const [row] = await db.query<ReplayRow>(`select ${COLUMNS} from event_replays where id = $1`, [id]);
  return row && fromRow(row);
}

export function readRunning(db: Queryable): Promise<Replay[]> {
  return db
    .query<ReplayRow>(`select ${COLUMNS} from event_replays where status = 'running'`)
    .then((rows) => rows.map(fromRow));
}

/**
 * Counts what was handed over.
 *
 * @param inHand what counts in place of `count` where the replay was canceled meanwhile: nobody hands it over again
 */
export async function countHandled(tx: Queryable, id: string, count: number, inHand = count): Promise<void> {
  await tx.query(
    `update event_replays set handled = handled + case status when 'canceled' then $3::bigint else $2::bigint end where id = $1`,
    [id, count, inHand],
  );
}

/** Replays that have ended. */
export const replayRecords = { table: 'event_replays', over: "status <> 'running' and ended_at < $1" };

/** Ends the replays that have come to the end of their range, with their groups. */
export async function completeReplays(db: Database): Promise<void> {
  const done = await db.query<{ id: string }>(
    `select id from event_replays r where status = 'running' and not exists (
       select from event_consumers c where c.consumer_group = 'replay:' || r.id
         and c.log_offset < r.until_offsets[c.partition + 1])`,
  );
  for (const { id } of done) await db.transaction((tx) => endReplay(tx, id, 'completed'));
}

/** Ends a replay with its group; false when it has ended already. */
export async function endReplay(
  tx: Queryable,
  id: string,
  status: 'completed' | 'canceled',
): Promise<boolean> {
  // In the order of whoever works on it: its place in the log first, then what it has handed over.
  await tx.query('select from event_consumers where consumer_group = $1 order by partition for update', [
    replayGroup(id),
  ]);
  const rows = await tx.query(
    `with ended as (
       update event_replays set status = $2, ended_at = now() where id = $1 and status = 'running' returning id),
     left_over as (delete from event_consumers using ended where consumer_group = 'replay:' || ended.id)
     select id from ended`,
    [id, status],
  );
  return rows.length > 0;
}

/** Cancels what is under way into a consumer that ends: nobody would work on it any more, and it would hold the log back for ever. */
export async function cancelReplaysInto(tx: Queryable, consumer: string): Promise<void> {
  const rows = await tx.query<{ id: string }>(
    `select id from event_replays where status = 'running' and target ->> 'consumer' = $1 order by id`,
    [consumer],
  );
  for (const { id } of rows) await endReplay(tx, id, 'canceled');
}

/** Sets the place of a group; what its owners have in hand is refused, and they go on from here. */
export async function resetGroup(tx: Queryable, group: string, offsets: readonly number[]): Promise<void> {
  await tx.query(
    `with log as materialized (${LOG_ENDS})
     update event_consumers c set log_offset = greatest(t.log_offset, first_offsets[t.number]), owner = null, epoch = epoch + 1
     from log, unnest($2::bigint[]) with ordinality as t(log_offset, number)
     where c.consumer_group = $1 and c.partition = t.number - 1`,
    [group, offsets],
  );
  await tellChange(tx, GROUPS_MOVED);
}

type ReplayRow = Omit<Replay, 'from' | 'until'> & { from: (string | number)[]; until: (string | number)[] };

/** bigint[] comes as texts. */
function fromRow({ from, until, ...row }: ReplayRow): Replay {
  return { ...row, from: from.map(Number), until: until.map(Number) };
}
