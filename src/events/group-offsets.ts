import type { Queryable } from '../store/database.ts';

/** How far a group has come in a partition. */
export interface GroupOffset {
  partition: number;
  /** The offset of the event that comes next. */
  log_offset: number;
}

/** Gives a new group its offsets: the log's ends (`latest`), or its beginning. */
export async function registerGroup(
  db: Queryable,
  group: string,
  from: 'earliest' | 'latest',
): Promise<void> {
  await db.query(
    `insert into event_consumers select $1, partition, case when $2 then next_offset else 0 end from event_partitions on conflict do nothing`,
    [group, from === 'latest'],
  );
}

/** The offsets of a group, and beside each the next one of the log. */
export function readOffsets(
  db: Queryable,
  group: string,
): Promise<(GroupOffset & { next_offset: number })[]> {
  return db.query(
    `select partition, log_offset, next_offset from event_consumers join event_partitions using (partition) where consumer_group = $1`,
    [group],
  );
}

/** Locks the offsets of a group until the transaction ends; those that another process holds are left out. */
export function lockOffsets(
  tx: Queryable,
  group: string,
  partitions: readonly number[],
): Promise<GroupOffset[]> {
  return tx.query(
    `select partition, log_offset from event_consumers where consumer_group = $1 and partition = any($2::smallint[])
     order by partition for update skip locked`,
    [group, partitions],
  );
}

/**
 * Moves the offsets of a group. Answers with the revision of the definitions: read after the events, it counts all that was applied before one of
 * them was sent.
 */
export async function moveOffsets(
  tx: Queryable,
  group: string,
  moved: readonly { partition: number; offset: number; events: readonly unknown[] }[],
): Promise<number> {
  const [row] = await tx.query<{ revision: number }>(
    `with moved as (
       update event_consumers c set log_offset = t.log_offset from unnest($2::smallint[], $3::bigint[]) as t(partition, log_offset)
       where c.consumer_group = $1 and c.partition = t.partition)
     select revision from definitions_revision`,
    [
      group,
      moved.map(({ partition }) => partition),
      moved.map(({ offset, events }) => offset + events.length),
    ],
  );
  return row!.revision;
}

/** Moves a group over one event; false when another process has moved it meanwhile. */
export async function passEvent(
  tx: Queryable,
  group: string,
  { partition, offset }: { partition: number; offset: number },
): Promise<boolean> {
  const rows = await tx.query(
    `update event_consumers set log_offset = log_offset + 1
     where consumer_group = $1 and partition = $2 and log_offset = $3 returning partition`,
    [group, partition, offset],
  );
  return rows.length > 0;
}
