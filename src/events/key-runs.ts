import { setImmediate as pause } from 'node:timers/promises';
import type { Queryable } from '../store/database.ts';
import { KeyFilter } from './key-filter.ts';
import { type EventKey, KEY_BYTES, type Place, wordAt } from './key-index.ts';
import { PARTITIONS } from './partitions.ts';

/** Keys and the places of their events, in no order: 16 and 8 bytes each. */
export interface Entries {
  readonly keys: Buffer;
  readonly places: Buffer;
}

export const PLACE_BYTES = 8;
/** Buckets hold 32 to 64 keys, 1.5 KB at most, so that Postgres keeps them in the row itself. */
const BUCKET_KEYS = 64;
/** Every run has as many buckets at least, so that all can be read by the same parts of them. */
const BITS_MIN = 12;
const BITS_MAX = 24;
/** So many runs of one level become one of the next. */
const RUNS_MERGED = 8;
/** Of 16 million keys, where 250,000 are put away at once: larger ones would be written anew for little. */
const LEVEL_MAX = 2;
/** A merge has so many keys in memory at once. */
const PART_KEYS = 65_536;
/** Keys between two looks at what else the process has to do: 2 ms. */
const KEYS_BETWEEN_PAUSES = 8_192;

/**
 * Puts keys away as a *run*: buckets by their first bits, a row each, and a filter (`key-filter.ts`) over all of them. Runs are never changed; a few of them become a larger one
 * (`mergeRuns`), so that there are few to look into: a log-structured merge tree (O'Neil and others, Acta Informatica 33, 1996). In a b-tree over single keys, which are spread evenly
 * over it, each key was a page to be written (4 µs a key; so it is 0.4).
 */
export async function putRun(tx: Queryable, generation: number, entries: Entries): Promise<void> {
  const count = entries.keys.length / KEY_BYTES;
  if (count > 0) await writeRun(tx, { generation, level: 0, count }, [entries]);
}

interface NewRun {
  readonly generation: number;
  readonly level: number;
  readonly count: number;
}

/** The parts go by ranges of the first bits: no bucket has keys of two of them. */
async function writeRun(
  tx: Queryable,
  { generation, level, count }: NewRun,
  parts: Iterable<Entries> | AsyncIterable<Entries>,
): Promise<void> {
  const [run] = await tx.query<{ run: number }>(
    `insert into event_key_runs (generation, level, bits, count, filter) values ($1, $2, $3, $4, '') returning run`,
    [generation, level, bitsFor(count), count],
  );
  const filter = KeyFilter.for(count);
  for await (const part of parts) {
    const { buckets, keys, places } = await inBuckets(part, bitsFor(count), filter);
    await tx.query(
      `insert into event_keys (generation, run, bucket, keys, places)
       select $1, $2, bucket, keys, places from unnest($3::int[], $4::bytea[], $5::bytea[]) as t(bucket, keys, places)`,
      [generation, run!.run, buckets, keys, places],
    );
  }
  await tx.query('update event_key_runs set filter = $2 where run = $1', [
    run!.run,
    Buffer.from(filter.bytes.buffer),
  ]);
}

function bitsFor(count: number): number {
  return Math.min(BITS_MAX, Math.max(BITS_MIN, Math.ceil(Math.log2(count / BUCKET_KEYS))));
}

/** Counts what goes into each bucket, then copies each key behind the one before it (Knuth, TAOCP 5.2, algorithm D). */
async function inBuckets(entries: Entries, bits: number, filter: KeyFilter) {
  const count = entries.keys.length / KEY_BYTES;
  const bucketAt = (nth: number) => entries.keys.readUInt32BE(nth * KEY_BYTES) >>> (32 - bits);
  const ends = new Uint32Array(2 ** bits);
  for (let nth = 0; nth < count; nth++) ends[bucketAt(nth)]!++;
  const buckets: number[] = [];
  for (let bucket = 0, sum = 0; bucket < ends.length; bucket++) {
    if (ends[bucket]! > 0) buckets.push(bucket);
    sum += ends[bucket]!;
    ends[bucket] = sum;
  }
  const keys = Buffer.allocUnsafe(entries.keys.length);
  const places = Buffer.allocUnsafe(entries.places.length);
  for (let nth = count - 1; nth >= 0; nth--) {
    const to = --ends[bucketAt(nth)]!;
    entries.keys.copy(keys, to * KEY_BYTES, nth * KEY_BYTES, (nth + 1) * KEY_BYTES);
    entries.places.copy(places, to * PLACE_BYTES, nth * PLACE_BYTES, (nth + 1) * PLACE_BYTES);
    filter.add(entries.keys.readInt32LE(nth * KEY_BYTES + 8), entries.keys.readInt32LE(nth * KEY_BYTES + 12));
    if (nth % KEYS_BETWEEN_PAUSES === 0) await pause();
  }
  // What were the ends are where the buckets begin, now.
  const cut = (all: Buffer, bytes: number) =>
    buckets.map((bucket, nth) =>
      all.subarray(
        ends[bucket]! * bytes,
        (nth + 1 < buckets.length ? ends[buckets[nth + 1]!]! : count) * bytes,
      ),
    );
  return { buckets, keys: cut(keys, KEY_BYTES), places: cut(places, PLACE_BYTES) };
}

/** Makes one run of the oldest eight of a level, where there are as many; answers whether there were. Whoever looks keys up meanwhile finds them in those or in the new one. */
export async function mergeRuns(tx: Queryable): Promise<boolean> {
  const [merged] = await tx.query<{
    generation: number;
    level: number;
    runs: number[];
    bits: number[];
    count: number;
  }>(
    `select generation, level, (array_agg(run order by run))[:${RUNS_MERGED}] as runs, (array_agg(bits order by run))[:${RUNS_MERGED}] as bits,
       (select sum(count) from unnest((array_agg(count order by run))[:${RUNS_MERGED}]) as count)::bigint as count
     from event_key_runs where level < ${LEVEL_MAX} group by 1, 2 having count(*) >= ${RUNS_MERGED} order by level limit 1`,
  );
  if (!merged) return false;
  const { generation, level, runs, bits, count } = merged;
  const partBits = Math.min(BITS_MIN, Math.max(0, Math.ceil(Math.log2(count / PART_KEYS))));
  const parts = async function* () {
    for (let part = 0; part < 2 ** partBits; part++) {
      const rows = await tx.query<Entries>(
        `select keys, places from unnest($1::int[], $2::int[]) as r(run, bits)
         cross join lateral (select keys, places from event_keys e where e.generation = $3 and e.run = r.run
           and bucket >= $4::int << (r.bits - $5::int) and bucket < ($4::int + 1) << (r.bits - $5::int) offset 0) as k`,
        [runs, bits, generation, part, partBits],
      );
      yield {
        keys: Buffer.concat(rows.map(({ keys }) => keys)),
        places: Buffer.concat(rows.map(({ places }) => places)),
      };
    }
  };
  await writeRun(tx, { generation, level: level + 1, count }, parts());
  await tx.query('delete from event_keys where generation = $2 and run = any($1::int[])', [runs, generation]);
  await tx.query('delete from event_key_runs where run = any($1::int[])', [runs]);
  return true;
}

/** The bucket of a key in a run. */
const BUCKET = '(((get_byte(key, 0) << 16) + (get_byte(key, 1) << 8) + get_byte(key, 2)) >> (24 - bits))';

/**
 * Those of the keys (`$n::bytea[]`) that are in a run, as rows of `key` and `place` (8 bytes). Each is looked for by itself: a join that the planner may turn round made a prepared
 * plan read the whole table. What is found across the border of two keys is none: digests do not do that.
 */
export const foundKeys = (parameter: string): string =>
  `(select key, substring(places from at / 2 + 1 for ${PLACE_BYTES}) as place
    from unnest(${parameter}::bytea[]) as key cross join event_key_runs r
      cross join lateral (select places, position(key in keys) - 1 as at from event_keys e
        where e.run = r.run and e.generation = r.generation and e.bucket = ${BUCKET} limit 1) as in_run
    where at >= 0 and at % ${KEY_BYTES} = 0)`;

/** Where the events of keys stand, of those that are in a run. */
export async function placesIn(tx: Queryable, keys: readonly EventKey[]): Promise<Map<EventKey, Place>> {
  if (keys.length === 0) return new Map();
  const rows = await tx.query<{ key: Buffer; place: Buffer }>(
    `select key, place from ${foundKeys('$1')} as found`,
    [keys.map(bytesOf)],
  );
  return new Map(rows.map(({ key, place }) => [key.toString('latin1'), placeOf(place)]));
}

export const bytesOf = (key: EventKey): Buffer => Buffer.from(key, 'latin1');

/** Writes a place as one number, exact up to an offset of 2^50. */
export function writePlace(places: Buffer, nth: number, { partition, offset }: Place): void {
  const place = offset * PARTITIONS + partition;
  places.writeUInt32BE(Math.floor(place / 2 ** 32), nth * PLACE_BYTES);
  places.writeUInt32BE(place % 2 ** 32, nth * PLACE_BYTES + 4);
}

function placeOf(bytes: Buffer): Place {
  const place = bytes.readUInt32BE(0) * 2 ** 32 + bytes.readUInt32BE(4);
  return { partition: place % PARTITIONS, offset: Math.floor(place / PARTITIONS) };
}

/** What a process knows of the runs: their filters. */
export class OldKeys {
  #filters = new Map<number, KeyFilter>();

  /** Brings it up to the runs that are there. One that was merged since would still be right: what it may have, the larger one has. */
  async read(tx: Queryable): Promise<void> {
    const rows = await tx.query<{ run: number; filter: Buffer | null }>(
      'select run, case when run = any($1::int[]) then null else filter end as filter from event_key_runs',
      [[...this.#filters.keys()]],
    );
    this.#filters = new Map(
      rows.map(({ run, filter }) => [run, filter ? new KeyFilter(filter) : this.#filters.get(run)!]),
    );
  }

  get isEmpty(): boolean {
    return this.#filters.size === 0;
  }

  /** Those of the keys that may be in a run: all that are, and one of 1,700 others for each run. */
  among(keys: readonly EventKey[]): EventKey[] {
    const filters = [...this.#filters.values()];
    return keys.filter((key) => {
      const [first, step] = [wordAt(key, 2) | 0, wordAt(key, 3) | 0];
      for (let nth = 0; nth < filters.length; nth++) if (filters[nth]!.has(first, step)) return true;
      return false;
    });
  }
}
