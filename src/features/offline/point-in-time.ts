import type { DuckDb } from './duckdb.ts';
import { type FileRelation, FOREVER_US, keysOf } from './file-relation.ts';

/**
 * The entities and times that a join is for, as a table of DuckDB: `idx` (whole numbers, each once), the keys `k0`, …, the time `t` and, null where
 * there is no cut-off, the time `r` by which a row must have been written; both in microseconds.
 */
type SpineTable = string;

/** Up to here the rows of other entities are left out before they are sorted; past it that costs more than it saves. */
const SPINE_SMALL = 50_000;

/** In microseconds, those past the year 2255 as bigints. */
interface Times {
  rows: number;
  first: number | bigint | null;
  last: number | bigint | null;
  /** How many rows have a cut-off, and the first and the last of them. */
  cutoffs: number;
  earliest: number | bigint | null;
  latest: number | bigint | null;
}

/**
 * Joins each row of a spine with the newest row of its entity that is not after its time: into a table `out` of `idx`, `t`, `c`, `e` and the
 * features, without the spine's rows that have none.
 *
 * First only keys and times are matched, which keeps the sorted side narrow; the values follow by an equal join, in which two rows of one
 * time show as two. Those are told apart as a table tells them: the one that holds longer counts, then the later written, then the greater text. Measured against
 * six other forms: decisions/0023.
 */
export async function joinAsOf(
  duck: DuckDb,
  relation: FileRelation,
  { spine, out, ttlUs }: { spine: SpineTable; out: string; ttlUs: number | undefined },
): Promise<void> {
  const times = await timesOf(duck, spine);
  const { sql, condition } = await match(duck, relation, { spine, times, ttlUs });
  const keys = keysOf(relation.view);
  const values = ['t', 'c', 'e', ...relation.view.features.map((_, at) => `f${at}`)];
  await duck.run(`create or replace temp table matched as ${sql}`);
  await duck.run(
    `create or replace temp table ${out} as select m.idx, ${values.map((name) => `b.${name}`).join(', ')}
     from ${relation.sql} b join matched m on ${[...keys, 't'].map((key) => `b.${key} = m.${key}`).join(' and ')}${condition}`,
  );
  const [{ found, wanted } = { found: 0, wanted: 0 }] = await duck.all<{ found: number; wanted: number }>(
    `select (select count(*) from ${out}) as found, (select count(*) from matched) as wanted`,
  );
  await duck.run('drop table matched');
  if (found > wanted) await breakTies(duck, relation, out, values);
}

async function timesOf(duck: DuckDb, spine: string): Promise<Times> {
  const [times] = await duck.all<Times>(
    `select count(*) as rows, min(t) as first, max(t) as last, count(r) as cutoffs, min(r) as earliest, max(r) as latest from ${spine}`,
  );
  return times!;
}

/** Which row is the one, by its time (and, where each row has a cut-off of its own, by when it was written). */
async function match(
  duck: DuckDb,
  { view, sql }: FileRelation,
  { spine, times, ttlUs }: { spine: string; times: Times; ttlUs: number | undefined },
): Promise<{ sql: string; condition: string }> {
  const { rows, first, last, cutoffs, earliest, latest } = times;
  const keys = keysOf(view);
  const same = keys.map((key) => `s.${key} = b.${key}`).join(' and ');
  const within = ttlUs === undefined ? '' : ` and b.t >= s.t - ${ttlUs}`;
  // Bounds that Parquet skips groups of rows by.
  const bounds = [
    ...(rows <= SPINE_SMALL ? [`(${keys.join(', ')}) in (select (${keys.join(', ')}) from ${spine})`] : []),
    `t <= ${last ?? 0}`,
    ...(ttlUs === undefined ? [] : [`t >= ${first ?? 0} - ${ttlUs}`]),
  ];
  if (cutoffs === 0 || (cutoffs === rows && earliest === latest)) {
    const written = cutoffs === 0 ? '' : ` and c <= ${earliest}`;
    const narrow = `(select ${keys.join(', ')}, t from ${sql} where ${bounds.join(' and ')}${written})`;
    return {
      sql: `select s.idx, ${keys.map((key) => `s.${key}`).join(', ')}, b.t from ${spine} s asof join ${narrow} b on ${same} and s.t >= b.t${within ? ` where ${within.slice(5)}` : ''}`,
      condition: written.replace(' c ', ' b.c '),
    };
  }
  // A second inequality is more than ASOF takes: both times as one number, the later written one above, one without that time below all.
  const packed = '(b.t::hugeint * 18446744073709551616 + coalesce(b.c, -9223372036854775807)::hugeint)';
  await duck.run(
    `create or replace temp table packed as select s.idx, ${keys.map((key) => `any_value(s.${key}) as ${key}`).join(', ')}, max(${packed}) as p
     from (select * from ${sql} where ${bounds.join(' and ')}) b join ${spine} s on ${same} and b.t <= s.t and (s.r is null or b.c <= s.r)${within} group by s.idx`,
  );
  return {
    // The lower half holds a number below zero as well: half of the upper half's unit is added before it is cut off.
    sql: `select *, ((p + 9223372036854775808) >> 64)::bigint as t from packed`,
    condition: ` and ${packed} = m.p`,
  };
}

async function breakTies(
  duck: DuckDb,
  { text }: FileRelation,
  out: string,
  values: readonly string[],
): Promise<void> {
  const row = `struct_pack(${values.map((name) => `${name} := ${name}`).join(', ')})`;
  const order = `struct_pack(e := coalesce(e, ${FOREVER_US}), c := coalesce(c, -9223372036854775807), text := ${text})`;
  await duck.run(
    `create or replace temp table tied as select idx, arg_max(${row}, ${order}) as best from ${out}
     where idx in (select idx from ${out} group by idx having count(*) > 1) group by idx`,
  );
  await duck.run(`delete from ${out} where idx in (select idx from tied)`);
  await duck.run(
    `insert into ${out} select idx, ${values.map((name) => `best.${name}`).join(', ')} from tied`,
  );
  await duck.run('drop table tied');
}
