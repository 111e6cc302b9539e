import { classify, type Database, type Queryable } from '../store/database.ts';

interface Requested {
  id: number;
  name: string;
  meaning: string;
  status: 'requested' | 'copied';
  range_from: number;
  range_to: number;
}

/** Takes the generations that were asked for to where they are built as new versions are; each step is a transaction, and any process goes on. */
export async function beginGenerations(db: Database, group: string): Promise<void> {
  const rows = await db.query<Requested>(
    "select id, name, meaning, status, range_from, range_to from feature_views where status in ('requested', 'copied') order by id",
  );
  for (const row of rows) {
    if (row.status === 'requested') await copyOutside(db, group, row);
    await joinStream(db, group, row.id);
  }
}

/**
 * What the generation in force holds outside of the range, and the offsets that this is of: one snapshot, so that the stream need not stop. Another process
 * that does the same makes this one fail as a race, and has done it.
 */
async function copyOutside(db: Database, group: string, row: Requested): Promise<void> {
  const range = [row.range_from, row.range_to];
  try {
    await db.transaction(async (tx) => {
      await tx.query('set transaction isolation level repeatable read');
      await tx.query('set local statement_timeout = 0'); // hundreds of millions of rows take longer than a request may
      const [own] = await tx.query(
        "select from feature_views where id = $1 and status = 'requested' for update",
        [row.id],
      );
      const [old] = await tx.query<{ id: number }>(
        `select id from feature_views where name = $1 and meaning = $2 and status = 'ready' order by id desc limit 1`,
        [row.name, row.meaning],
      );
      if (!own || !old) return;
      await copyRows(tx, old.id, row.id, range);
      const offsets = await readOffsets(tx, group, '');
      // What was dropped, or is to be, is not in the copy either: a vector of a time before is refused of it, too.
      await tx.query(
        `update feature_views g set status = 'copied', copied = $2::bigint[], kept_from_ms = o.kept_from_ms, kept_announced_ms = o.kept_announced_ms
         from feature_views o where g.id = $1 and o.id = $3`,
        [row.id, offsets, old.id],
      );
    });
  } catch (error) {
    if (classify(error) !== 'race') throw error;
  }
}

async function copyRows(tx: Queryable, from: number, to: number, range: readonly number[]): Promise<void> {
  await tx.query(
    `insert into feature_contributions
     select $2, entity, time_ms, partition, log_offset, item, recorded_ms, feature_values
     from feature_contributions where view = $1 and not (time_ms >= $3 and time_ms < $4)`,
    [from, to, ...range],
  );
  await tx.query(
    `insert into feature_tiles select $2, entity, start_ms, count, n0, n1, n2, n3, n4, n5, n6, n7, floats, decimals, kept
     from feature_tiles where view = $1 and not (start_ms >= $3 and start_ms < $4)`,
    [from, to, ...range],
  );
  await tx.query(
    `insert into feature_late_events select $2, partition, log_offset, time_ms, late_ms
     from feature_late_events where view = $1 and not (time_ms >= $3 and time_ms < $4)`,
    [from, to, ...range],
  );
}

/** From here on the stream keeps it: the offset rows are locked, so that no batch is half before and half after. */
async function joinStream(db: Database, group: string, id: number): Promise<void> {
  await db.transaction(async (tx) => {
    const [own] = await tx.query("select from feature_views where id = $1 and status = 'copied' for update", [
      id,
    ]);
    if (!own) return;
    const joined = await readOffsets(tx, group, 'for update');
    await tx.query(
      `update feature_views set status = 'building', joined = $2::bigint[], built = $3::bigint[],
         join_number = nextval('feature_view_joins') where id = $1`,
      [id, joined, joined.map(() => 0)],
    );
  });
}

/** Per log partition: the offset before which the group has committed all. */
export async function readOffsets(tx: Queryable, group: string, lock: '' | 'for update'): Promise<number[]> {
  const offsets = await tx.query<{ log_offset: number }>(
    `select log_offset from event_consumers where consumer_group = $1 order by partition ${lock}`,
    [group],
  );
  return offsets.map((row) => row.log_offset);
}

/**
 * What a newer version has replaced and nobody wants, and generations that a newer one of the same meaning has replaced. Their state goes later, page by page
 * (`FeatureExpiry`): this is done under a lock that applies wait for.
 *
 * @param wanted what the newest versions mean, and those that somebody is held to
 */
export async function retireViews(
  db: Queryable,
  wanted: readonly { name: string; meaning: string }[],
): Promise<void> {
  await db.query(
    `update feature_views v set status = 'retired', retired_at = now() where status <> 'retired'
     and exists (select from feature_views n where n.name = v.name and n.status = 'ready' and (
       n.meaning = v.meaning and n.id > v.id or n.meaning <> v.meaning and n.version > v.version
         and (v.name, v.meaning) not in (select * from unnest($1::text[], $2::text[]))))`,
    [wanted.map(({ name }) => name), wanted.map(({ meaning }) => meaning)],
  );
}
