import type { Queryable } from '../store/database.ts';
import { BATCH_COUNT_MAX } from './batches.ts';

/** Told where somebody else than their owners moves groups; what these do themselves is too much to be told of. */
export const GROUPS_MOVED = 'event_consumers';

/** How far a group has come in a partition. */
export interface GroupOffset {
  partition: number;
  /** The offset of the event that comes next. */
  log_offset: number;
  /** Grows with each new owner: who comes with an older one has been replaced. */
  epoch: number;
}

/** A partition of a group as all its members see it. */
export interface GroupPartition extends GroupOffset {
  /** The next offset of the log. */
  next_offset: number;
  owner: string | null;
}

/**
 * Where the log begins and ends, so that a place which was found before a part of it was dropped is not before that: nothing is read there, and a group would stay for ever. A drop
 * waits for whoever asks (it takes the row for itself), an append does not.
 */
export const LOG_ENDS = 'select first_offsets, next_offsets from event_head for key share';

/** Gives a new group its offsets: the log's ends (`latest`), or the beginning of what is kept of it. */
export async function registerGroup(
  db: Queryable,
  group: string,
  from: 'earliest' | 'latest',
): Promise<void> {
  await db.query(
    // Epochs begin with the time: those of a group that was here before under the same name do not come again.
    `with log as materialized (${LOG_ENDS})
     insert into event_consumers (consumer_group, partition, log_offset, epoch)
     select $1, number - 1, log_offset, (extract(epoch from clock_timestamp()) * 1000)::bigint
     from log, unnest(case when $2 then next_offsets else first_offsets end) with ordinality as t(log_offset, number)
     on conflict do nothing`,
    [group, from === 'latest'],
  );
}

/** Keeps a group from being ended until the transaction is over; false when there is none of that name. */
export async function holdGroup(tx: Queryable, group: string): Promise<boolean> {
  const rows = await tx.query('select from event_consumers where consumer_group = $1 for key share', [group]);
  return rows.length > 0;
}

/**
 * A member lives while its lease runs and its session is there: that of a process that was killed ends with it, that of one that stands still ends
 * by time.
 */
const MEMBERS = `select member from event_group_members m
  where m.consumer_group = $1 and lease_until > clock_timestamp() and exists (
    select from pg_stat_get_activity(m.pid) a where a.backend_start is not distinct from m.backend_start)
  order by md5($1 || member)`;

/** The living members of a group, in one order for all. */
export async function readMembers(db: Queryable, group: string): Promise<string[]> {
  return (await db.query<{ member: string }>(MEMBERS, [group])).map(({ member }) => member);
}

/** The partitions of a group, and its living members in one order for all. */
export async function readGroup(
  db: Queryable,
  group: string,
): Promise<{ partitions: GroupPartition[]; members: string[] }> {
  const rows = await db.query<GroupPartition & { members: string[] | null }>(
    `select partition, log_offset, epoch, owner, next_offset,
       array_to_json(array(${MEMBERS})) as members
     from event_consumers join event_partitions using (partition) where consumer_group = $1 order by partition`,
    [group],
  );
  return { partitions: rows, members: rows[0]?.members ?? [] };
}

/**
 * Takes partitions that were free at a look; those that somebody took since, or whose owner has a transaction open on them, are left out. The
 * epoch is compared, not the owner: what the look knew of the living may be old by now.
 */
export function takePartitions(
  db: Queryable,
  group: string,
  member: string,
  free: readonly GroupOffset[],
): Promise<GroupOffset[]> {
  return db.query(
    `with free as (
       select c.partition from event_consumers c join unnest($3::smallint[], $4::bigint[]) as t(partition, epoch)
         on c.partition = t.partition and c.epoch = t.epoch
       where c.consumer_group = $1 for update of c skip locked)
     update event_consumers c set owner = $2, epoch = c.epoch + 1 from free
     where c.consumer_group = $1 and c.partition = free.partition
     returning c.partition, c.log_offset, c.epoch`,
    [group, member, free.map(({ partition }) => partition), free.map(({ epoch }) => epoch)],
  );
}

/** Gives partitions up, so that others may take them at once. */
export async function givePartitions(
  db: Queryable,
  group: string,
  member: string,
  partitions: readonly number[],
): Promise<void> {
  await db.query(
    `update event_consumers set owner = null, epoch = epoch + 1
     where consumer_group = $1 and owner = $2 and partition = any($3::smallint[])`,
    [group, member, partitions],
  );
}

/**
 * Locks the offsets of a group until the transaction ends; those that another process holds are left out. The transaction of a process that stands
 * still is ended by Postgres with the lease, so that its lock is not for ever.
 */
export function lockOffsets(
  tx: Queryable,
  group: string,
  partitions: readonly number[],
  leaseMs: number,
): Promise<GroupOffset[]> {
  return tx.query(
    `select partition, log_offset, epoch, set_config('idle_in_transaction_session_timeout', $3, true)
     from event_consumers where consumer_group = $1 and partition = any($2::smallint[])
     order by partition for update skip locked`,
    [group, partitions, String(Math.ceil(leaseMs))],
  );
}

/**
 * Moves the offsets of a group whose rows are locked. Answers with the revision of the definitions: read after the events, it counts all that was
 * applied before one of them was sent.
 */
export async function moveOffsets(
  tx: Queryable,
  group: string,
  moved: readonly { partition: number; next: number }[],
): Promise<number> {
  const [row] = await tx.query<{ revision: number }>(
    `with moved as (
       update event_consumers c set log_offset = t.log_offset from unnest($2::smallint[], $3::bigint[]) as t(partition, log_offset)
       where c.consumer_group = $1 and c.partition = t.partition)
     select revision from definitions_revision`,
    [group, moved.map(({ partition }) => partition), moved.map(({ next }) => next)],
  );
  return row!.revision;
}

/**
 * Moves the offsets of a group, all or none, in a transaction of its own: only where they stand as they were read and belong to who took them, and the
 * definitions are not newer than `revision`. Its commit does not wait for the disk: what a crash of the database forgets is that events were looked
 * at of which nothing came.
 */
export async function moveHeld(
  db: Queryable,
  group: string,
  held: readonly { partition: number; offset: number; next: number; epoch: number }[],
  revision: number | undefined,
): Promise<{ revision: number; isMoved: boolean }> {
  const [row] = await db.query<{ revision: number; count: number }>(
    `with held as materialized (
       select c.partition, t.next from event_consumers c
       join unnest($2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[]) as t(partition, log_offset, next, epoch)
         on c.partition = t.partition and c.log_offset = t.log_offset and c.epoch = t.epoch
       where c.consumer_group = $1 order by c.partition for update of c),
     moved as (
       update event_consumers c set log_offset = held.next from held, definitions_revision d
       where c.consumer_group = $1 and c.partition = held.partition
         and (select count(*) from held) = cardinality($2::smallint[]) and d.revision <= coalesce($6::bigint, d.revision)
       returning 1)
     select revision, (select count(*) from moved)::int as count, set_config('synchronous_commit', 'off', true) from definitions_revision`,
    [
      group,
      held.map(({ partition }) => partition),
      held.map(({ offset }) => offset),
      held.map(({ next }) => next),
      held.map(({ epoch }) => epoch),
      revision ?? null,
    ],
  );
  return { revision: row!.revision, isMoved: row!.count === held.length };
}

/** Moves a group over one event; false when another process has moved it, or owns the partition, meanwhile. */
export async function passEvent(
  tx: Queryable,
  group: string,
  { partition, offset, epoch }: { partition: number; offset: number; epoch: number },
): Promise<boolean> {
  const rows = await tx.query(
    `update event_consumers set log_offset = log_offset + 1
     where consumer_group = $1 and partition = $2 and log_offset = $3 and epoch = $4 returning partition`,
    [group, partition, offset, epoch],
  );
  return rows.length > 0;
}

/** How far each group has come, as people look at it. */
export interface GroupProgress {
  group: string;
  lag: number;
  partitions: { partition: number; offset: number; lag: number; owner: string | null }[];
}

/** All groups by name, with what they have not passed and who works on what. */
export async function readGroups(db: Queryable): Promise<GroupProgress[]> {
  return db.query<GroupProgress>(
    `select consumer_group as "group", sum(next_offset - log_offset)::bigint as lag,
       json_agg(json_build_object('partition', partition, 'offset', log_offset, 'lag', next_offset - log_offset, 'owner', owner)
         order by partition) as partitions
     from event_consumers join event_partitions using (partition) group by consumer_group order by consumer_group`,
  );
}

/**
 * When the first event that a group has not passed was recorded, in milliseconds since the epoch: all that was recorded before, it has handled.
 *
 * @returns nothing when it has passed all there is
 * @example (await unpassedSince(db, 'contract-quality')) ?? clock.now()
 */
export async function unpassedSince(db: Queryable, group: string): Promise<number | undefined> {
  const [first] = await db.query<{ at: number | null }>(
    `select min(batch.recorded_at) as at from event_consumers c join event_partitions using (partition) cross join lateral (
       select recorded_at from event_batches b
       where b.partition = c.partition and first_offset > c.log_offset - ${BATCH_COUNT_MAX} and first_offset + count > c.log_offset
       order by first_offset limit 1) batch
     where consumer_group = $1 and log_offset < next_offset`,
    [group],
  );
  return first?.at ?? undefined;
}
