import { classify, type Database, type Queryable } from '../store/database.ts';
import type { KeysRow } from './batches.ts';
import { KEY_BYTES } from './key-index.ts';
import { mergeRuns, PLACE_BYTES, putRun, writePlace } from './key-runs.ts';
import { PARTITIONS } from './partitions.ts';

/** One process at a time looks after the log; the number is of no other meaning. */
const LOCK = 0x61_69_6f_73;

/** A step of looking after the log, in a transaction of its own; left out where another process is at it or a reader is in the way. */
export function aloneWithLog<T>(db: Database, work: (tx: Queryable) => Promise<T>): Promise<T | undefined> {
  return db
    .transaction(async (tx) => {
      const [lock] = await tx.query<{ held: boolean }>('select pg_try_advisory_xact_lock($1) as held', [
        LOCK,
      ]);
      return lock!.held ? work(tx) : undefined;
    })
    .catch((error: unknown) => {
      if (classify(error) === 'race') return undefined;
      throw error;
    });
}

/**
 * Once more than so many keys are in the memory of processes, puts all but the newest half of them away, beside the appends; then makes few runs of many. Left out where another process is at it.
 */
export async function putKeysAway(db: Database, countMax: number): Promise<void> {
  await aloneWithLog(db, (tx) => putAway(tx, countMax));
  while (await aloneWithLog(db, mergeRuns));
}

/** Whole batches: of each partition up to 255 keys more stay. */
async function putAway(tx: Queryable, countMax: number): Promise<void> {
  const rows = await tx.query<{ keyed: number; next: number; end: number | null }>(
    `select keyed, next, (select max(first_offset) from event_batches b where b.partition = r.number - 1 and first_offset <= r.next - $1::bigint) as end
     from event_head cross join unnest(keyed_offsets, next_offsets) with ordinality as r(keyed, next, number) order by number`,
    [Math.floor(countMax / 2 / PARTITIONS)],
  );
  const ends = rows.map(({ keyed, end }) => Math.max(keyed, end ?? 0));
  const count = rows.reduce((sum, { keyed, next }) => sum + next - keyed, 0);
  if (count > countMax && rows.some(({ keyed }, partition) => ends[partition]! > keyed))
    await putKeysAwayBefore(tx, ends);
}

/** The same up to offsets at which batches begin. Appends wait for the last statement alone. */
export async function putKeysAwayBefore(tx: Queryable, ends: readonly number[]): Promise<void> {
  await copyKeys(tx, await keyedOffsets(tx), ends);
  await tx.query(
    `update event_head set token = gen_random_uuid(), keyed_offsets = array(
       select greatest(first, next) from unnest(keyed_offsets, $1::bigint[]) with ordinality as r(first, next, number) order by number)`,
    [ends],
  );
}

/** From these offsets on the keys are in no run. */
export async function keyedOffsets(tx: Queryable): Promise<number[]> {
  const [head] = await tx.query<{ keyed: string[] }>('select keyed_offsets as keyed from event_head');
  return head!.keyed.map(Number);
}

/** Into a run of the generation in force. */
export async function copyKeys(
  tx: Queryable,
  from: readonly number[],
  until: readonly number[],
): Promise<void> {
  const rows = await tx.query<KeysRow>(
    `select b.partition, b.first_offset, b.keys from unnest($1::bigint[], $2::bigint[]) with ordinality as r(first, next, number)
       join event_batches b on b.partition = r.number - 1 and b.first_offset >= r.first and b.first_offset < r.next`,
    [from, until],
  );
  const keys = Buffer.concat(rows.map((row) => row.keys));
  const places = Buffer.allocUnsafe((keys.length / KEY_BYTES) * PLACE_BYTES);
  let nth = 0;
  for (const { partition, first_offset: first, keys: own } of rows)
    for (let offset = first; offset < first + own.length / KEY_BYTES; offset++)
      writePlace(places, nth++, { partition, offset });
  const [head] = await tx.query<{ generation: number }>('select generation from event_head');
  await putRun(tx, head!.generation, { keys, places });
}
