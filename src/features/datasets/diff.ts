import { join } from 'node:path';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { type DuckDb, identifier, literal } from '../offline/duckdb.ts';
import { stabilityIndex } from '../profile.ts';
import { beginningOf, type ColumnProfile } from './column-profile.ts';
import { type DatasetColumn, SQL_TYPES } from './columns.ts';
import type { DatasetVersion } from './dataset-version.ts';
import type { Datasets } from './datasets.ts';

/** How one column lies in two versions. */
interface ColumnShift {
  readonly column: string;
  /** Population stability index: 0 when both lie alike, 0.1 is called small in the field, 0.25 large; null for what has no shares (times, or nothing at all). */
  readonly psi: number | null;
  readonly nullShare: readonly [from: number, to: number];
  readonly distinct: readonly [from: number, to: number];
  readonly mean?: readonly [from: number, to: number];
}

/** A row that is not the same: its keys and time, and for a changed one what its columns held. */
interface RowExample {
  readonly change: 'added' | 'removed' | 'changed';
  readonly key: JsonObject;
  readonly columns?: Readonly<Record<string, readonly [from: Json, to: Json]>>;
}

export interface DatasetDiff {
  readonly dataset: string;
  readonly from: { readonly version: number; readonly rows: number };
  readonly to: { readonly version: number; readonly rows: number };
  readonly schema: {
    readonly added: readonly DatasetColumn[];
    readonly removed: readonly DatasetColumn[];
    /** Another type or role. */
    readonly changed: readonly { readonly from: DatasetColumn; readonly to: DatasetColumn }[];
  };
  readonly rows: {
    readonly added: number;
    readonly removed: number;
    readonly changed: number;
    readonly unchanged: number;
    /** Of the changed rows, by column: in how many it is another value. */
    readonly columns: Readonly<Record<string, number>>;
    readonly examples: readonly RowExample[];
  };
  readonly shifts: readonly ColumnShift[];
}

const EXAMPLES = 10;

/**
 * What is not the same in two versions of a dataset. A row is known by its keys and its time; of several rows of one key and time the first is
 * compared with the first, in the order of their values.
 *
 * @throws AiosError `datasets.deleted`, `request.overloaded`
 * @example (await diffVersions(datasets, one, two)).rows // { added: 3, removed: 0, changed: 1, … }
 */
export function diffVersions(
  datasets: Datasets,
  from: DatasetVersion,
  to: DatasetVersion,
): Promise<DatasetDiff> {
  return datasets.job([], async (duck) => {
    const paths = [join(duck.folder, 'from.parquet'), join(duck.folder, 'to.parquet')] as const;
    await datasets.writeTo(paths[0], from);
    await datasets.writeTo(paths[1], to);
    await duck.run(`create view a as select * from read_parquet(${literal(paths[0])})`);
    await duck.run(`create view b as select * from read_parquet(${literal(paths[1])})`);
    const shared = from.columns.filter(({ name }) => to.columns.some((other) => other.name === name));
    return {
      dataset: from.dataset,
      from: { version: from.version, rows: from.rows },
      to: { version: to.version, rows: to.rows },
      schema: diffSchema(from.columns, to.columns),
      rows: await diffRows(duck, shared, commonTypes(from.columns, to.columns)),
      shifts: await shiftsOf(duck, from, to, shared),
    };
  });
}

function diffSchema(from: readonly DatasetColumn[], to: readonly DatasetColumn[]): DatasetDiff['schema'] {
  const named = (columns: readonly DatasetColumn[], name: string) =>
    columns.find((column) => column.name === name);
  return {
    added: to.filter(({ name }) => !named(from, name)),
    removed: from.filter(({ name }) => !named(to, name)),
    changed: from.flatMap((column) => {
      const other = named(to, column.name);
      return other && (other.type !== column.type || other.role !== column.role)
        ? [{ from: column, to: other }]
        : [];
    }),
  };
}

/** The types in which the values of two versions are compared, in SQL: an integer that became a fraction is still the same number. */
function commonTypes(from: readonly DatasetColumn[], to: readonly DatasetColumn[]): Map<string, string> {
  const isNumber = (type: string | undefined) => type === 'int64' || type === 'float64';
  return new Map(
    from.map(({ name, type }) => {
      const other = to.find((column) => column.name === name)?.type;
      if (type === other) return [name, SQL_TYPES[type]];
      return [name, isNumber(type) && isNumber(other) ? 'DOUBLE' : 'VARCHAR'];
    }),
  );
}

async function diffRows(
  duck: DuckDb,
  shared: readonly DatasetColumn[],
  types: ReadonlyMap<string, string>,
): Promise<DatasetDiff['rows']> {
  const keys = shared.filter(({ role }) => role === 'key' || role === 'timestamp').map(({ name }) => name);
  const others = shared.map(({ name }) => name).filter((name) => !keys.includes(name));
  // Columns get names of their own here (k0, v0, …): one of a dataset may be called “place” or “change”.
  const typed = (name: string) => `${identifier(name)}::${types.get(name)!}`;
  const key = keys.map((_, at) => `k${at}`);
  const numbered = (table: string) =>
    `(select ${[
      ...keys.map((name, at) => `${typed(name)} as k${at}`),
      ...others.map((name, at) => `${identifier(name)} as v${at}`),
    ].join(', ')},
       row_number() over (partition by ${keys.map(typed).join(', ')} order by ${shared.map(({ name }) => typed(name)).join(', ')}) as place
     from ${table})`;
  const same = [...key, 'place'].map((name) => `x.${name} is not distinct from y.${name}`).join(' and ');
  const differs = (name: string, at: number) =>
    `x.v${at}::${types.get(name)!} is distinct from y.v${at}::${types.get(name)!}`;
  const isChanged = others.length === 0 ? 'false' : `(${others.map(differs).join(' or ')})`;
  await duck.run(
    `create view joined as select case when x.place is null then 'added' when y.place is null then 'removed' when ${isChanged} then 'changed' else 'unchanged' end as change,
       ${[
         ...key.map((name) => `coalesce(x.${name}, y.${name}) as ${name}`),
         ...others.flatMap((name, at) => [
           `${differs(name, at)} as d${at}`,
           `x.v${at} as x${at}`,
           `y.v${at} as y${at}`,
         ]),
       ].join(', ')}
     from ${numbered('a')} x full outer join ${numbered('b')} y on ${same}`,
  );
  const counts = await duck.all<{ change: string; count: number }>(
    'select change, count(*)::bigint as count from joined group by 1',
  );
  const count = (change: string) => counts.find((row) => row.change === change)?.count ?? 0;
  return {
    added: count('added'),
    removed: count('removed'),
    changed: count('changed'),
    unchanged: count('unchanged'),
    columns: count('changed') === 0 ? {} : await changedColumns(duck, others),
    examples: await examplesOf(duck, keys, others),
  };
}

async function changedColumns(duck: DuckDb, others: readonly string[]): Promise<Record<string, number>> {
  const sums = others.map((_, at) => `count(*) filter (where d${at})::bigint as c${at}`);
  const [row] = await duck.all<Record<string, number>>(
    `select ${sums.join(', ')} from joined where change = 'changed'`,
  );
  return Object.fromEntries(
    others.flatMap((name, at): [string, number][] => (row![`c${at}`]! > 0 ? [[name, row![`c${at}`]!]] : [])),
  );
}

/** A few rows of each kind, the first in time. */
async function examplesOf(
  duck: DuckDb,
  keys: readonly string[],
  others: readonly string[],
): Promise<RowExample[]> {
  const examples: RowExample[] = [];
  for (const change of ['changed', 'added', 'removed'] as const) {
    const rows = await duck.all<{ row: string }>(
      `select to_json(j)::varchar as row from (select * from joined where change = $1
         order by ${keys
           .map((_, at) => `k${at}`)
           .toReversed()
           .join(', ')} limit ${EXAMPLES}) j`,
      [change],
    );
    for (const { row } of rows) {
      const found = JSON.parse(row) as JsonObject;
      const key = Object.fromEntries(keys.map((name, at) => [name, found[`k${at}`] ?? null]));
      const columns = Object.fromEntries(
        others.flatMap((name, at): [string, readonly [Json, Json]][] =>
          found[`d${at}`] === true ? [[name, [found[`x${at}`] ?? null, found[`y${at}`] ?? null]]] : [],
        ),
      );
      examples.push(change === 'changed' ? { change, key, columns } : { change, key });
    }
  }
  return examples;
}

async function shiftsOf(
  duck: DuckDb,
  from: DatasetVersion,
  to: DatasetVersion,
  shared: readonly DatasetColumn[],
): Promise<ColumnShift[]> {
  const shifts: ColumnShift[] = [];
  for (const { name } of shared) {
    const [a, b] = [from.profile[name]!, to.profile[name]!];
    const isEmpty = a.nulls === from.rows || b.nulls === to.rows;
    const bins = isEmpty ? undefined : binsOf(identifier(name), a, b);
    const psi = bins
      ? stabilityIndex(await shares(duck, 'a', name, bins), await shares(duck, 'b', name, bins))
      : null;
    shifts.push({
      column: name,
      psi,
      nullShare: [a.nulls / from.rows, b.nulls / to.rows],
      distinct: [a.distinct, b.distinct],
      ...(a.mean !== undefined && b.mean !== undefined && { mean: [a.mean, b.mean] as const }),
    });
  }
  return shifts;
}

/** SQL that names the bin of a value: between the deciles of the reference that differ, or among its most frequent values. */
function binsOf(column: string, a: ColumnProfile, b: ColumnProfile): string | undefined {
  if (a.deciles && b.deciles) {
    const bounds = [...new Set(a.deciles.slice(1, -1))];
    return `case ${bounds.map((bound, at) => `when ${column} < ${bound}::double then '${at}'`).join(' ')} else 'last' end`;
  }
  if (a.top && b.top) {
    const named = a.top.map(([value]) => literal(value)).join(', ');
    const value = beginningOf(column);
    return `case when ${value} in (${named}) then ${value} else '' end`;
  }
  return undefined;
}

async function shares(
  duck: DuckDb,
  table: string,
  name: string,
  bins: string,
): Promise<Record<string, number>> {
  const rows = await duck.all<{ bin: string; share: number }>(
    `select ${bins} as bin, (count(*) / sum(count(*)) over ())::double as share from ${table} where ${identifier(name)} is not null group by 1`,
  );
  return Object.fromEntries(rows.map(({ bin, share }) => [bin, share]));
}
