import { type DuckDb, identifier, literal } from '../offline/duckdb.ts';
import type { ColumnType, DatasetColumn } from './columns.ts';

/** How the values of one column lie. Numbers have a distribution, all others their most frequent values. */
export interface ColumnProfile {
  readonly nulls: number;
  /** Different values; estimated (HyperLogLog) past a million rows. */
  readonly distinct: number;
  /** Of a timestamp, in RFC 3339; nothing of a column without a value. */
  readonly min?: number | string;
  readonly max?: number | string;
  readonly mean?: number;
  readonly stddev?: number;
  /** Eleven numbers, from the smallest value to the largest. */
  readonly deciles?: readonly number[];
  /** Bins of equal width from the smallest value to the largest: 20 counts. */
  readonly histogram?: readonly number[];
  /** The most frequent values as text, with their counts; long ones by their first 200 characters. */
  readonly top?: readonly (readonly [value: string, count: number])[];
}

/** By column. */
export type DatasetProfile = Readonly<Record<string, ColumnProfile>>;

const BINS = 20;
const TOP = 20;
/** Exact counts of different values hold all of them in memory. */
const EXACT_ROWS_MAX = 1_000_000;
/** The square of a larger number is none: such a column is measured in units of its largest number. */
const SQUARED_MAX = 1e150;
const DECILES = '[0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]';

/**
 * How the columns of a Parquet file lie, one after the other, so that memory holds one column at most.
 *
 * @example (await profileFile(duck, path, 3, [{ name: 'score', type: 'float64', role: 'feature' }])).score.mean // 0.5
 */
export async function profileFile(
  duck: DuckDb,
  path: string,
  rows: number,
  columns: readonly DatasetColumn[],
): Promise<DatasetProfile> {
  const profiles: [string, ColumnProfile][] = [];
  for (const { name, type, role } of columns) {
    const source = { table: `read_parquet(${literal(path)})`, column: identifier(name) };
    profiles.push([name, await profileColumn(duck, source, rows, role === 'key' ? 'key' : type)]);
  }
  return Object.fromEntries(profiles);
}

interface Source {
  readonly table: string;
  readonly column: string;
}

async function profileColumn(
  duck: DuckDb,
  source: Source,
  rows: number,
  type: ColumnType | 'key',
): Promise<ColumnProfile> {
  const { table, column } = source;
  const distinct = rows > EXACT_ROWS_MAX ? `approx_count_distinct(${column})` : `count(distinct ${column})`;
  const [counted] = await duck.all<{ nulls: number; distinct: number }>(
    `select (count(*) - count(${column}))::bigint as nulls, ${distinct}::bigint as "distinct" from ${table}`,
  );
  const common = { nulls: counted!.nulls, distinct: counted!.distinct };
  // A profile is told to more people than the rows: whose they are is not in it.
  if (common.nulls === rows || type === 'key') return common;
  if (type === 'int64' || type === 'float64') return { ...common, ...(await distribution(duck, source)) };
  if (type === 'timestamp') {
    const [range] = await duck.all<{ min: Date; max: Date }>(
      `select min(${column}) as min, max(${column}) as max from ${table}`,
    );
    return { ...common, min: range!.min.toISOString(), max: range!.max.toISOString() };
  }
  return { ...common, top: await topOf(duck, source) };
}

async function distribution(
  duck: DuckDb,
  { table, column }: Source,
): Promise<Pick<ColumnProfile, 'min' | 'max' | 'mean' | 'stddev' | 'deciles' | 'histogram'>> {
  const [range] = await duck.all<{ min: number; max: number }>(
    `select min(${column}::double) as min, max(${column}::double) as max from ${table}`,
  );
  const { min, max } = range!;
  const largest = Math.max(Math.abs(min), Math.abs(max));
  const unit = largest > SQUARED_MAX ? largest : 1;
  const [row] = await duck.all<{ mean: number; stddev: number | null; deciles: number[] }>(
    `select avg(x) as mean, stddev_samp(x) as stddev, quantile_cont(x, ${DECILES}) as deciles
     from (select ${column}::double / ${double(unit)} as x from ${table})`,
  );
  const { mean, stddev, deciles } = row!;
  const width = (max / unit - min / unit) / BINS;
  const place = `(${column}::double / ${double(unit)} - ${double(min / unit)}) / ${double(width)}`;
  const bins = await duck.all<{ bin: number; count: number }>(
    `select ${width > 0 ? `least(floor(${place}), ${BINS - 1})::int` : 0} as bin, count(*)::bigint as count
     from ${table} where ${column} is not null group by 1`,
  );
  const histogram = new Array<number>(BINS).fill(0);
  for (const { bin, count } of bins) histogram[bin] = count;
  const spread = Math.min((stddev ?? 0) * unit, Number.MAX_VALUE); // of the largest doubles it may be larger than these
  return {
    min,
    max,
    mean: mean * unit,
    stddev: spread,
    deciles: deciles.map((each) => each * unit),
    histogram,
  };
}

/** Written out: a whole number that is bound is a bigint, which 1e20 is too large for. */
function double(value: number): string {
  return `'${value}'::double`;
}

async function topOf(duck: DuckDb, { table, column }: Source): Promise<[string, number][]> {
  const rows = await duck.all<{ value: string; count: number }>(
    `select ${beginningOf(column)} as value, count(*)::bigint as count from ${table} where ${column} is not null
     group by 1 order by 2 desc, 1 limit ${TOP}`,
  );
  return rows.map(({ value, count }) => [value, count]);
}

const VALUE_CHARACTERS = 200;

/** SQL for a value as a profile tells it: texts by their first characters. */
export function beginningOf(column: string): string {
  return `left(${column}::varchar, ${VALUE_CHARACTERS})`;
}
