import { AiosError } from '../../kernel/errors.ts';
import { FOREVER_MS, type RowView, timesOf, unfit, withoutColumns } from '../row-view.ts';
import type { ValueType } from '../view-documents.ts';
import { type DuckDb, identifier, literal } from './duckdb.ts';

/**
 * The rows of a view over files as a relation of DuckDB: its keys `k0`, `k1`, …, the time of a row `t`, when it was written `c`, until when it holds
 * `e`, all in microseconds since the epoch as a table of Postgres has them, and its features `f0`, `f1`, ….
 */
export interface FileRelation {
  readonly view: RowView;
  /** In brackets, to be read from; a column that is not asked for is not read from the file. */
  readonly sql: string;
  /** Of each key: what is compared. */
  readonly keyTypes: readonly KeySql[];
  /** A row's values as a text, for two rows that are otherwise equal: the same text as a table's. */
  readonly text: string;
}

type KeySql = 'bigint' | 'varchar';

/** A key that is asked for as the files have it; null for a text that is not a number as it is written (`007`), which is nobody's online, too. */
export function asWritten(key: string, type: KeySql): string {
  if (type === 'varchar') return `${key}::varchar`;
  return `case when typeof(${key}) <> 'VARCHAR' or ${key}::bigint::varchar = ${key}::varchar then ${key}::bigint end`;
}

const INTEGERS = /^(TINYINT|SMALLINT|INTEGER|BIGINT|UTINYINT|USMALLINT|UINTEGER)$/;
const TEXTS = /^(VARCHAR|UUID|BOOLEAN|ENUM)/;
const TIMES = /^(TIMESTAMP|DATE)/;
/** What stands for `infinity`, in microseconds. */
export const FOREVER_US = FOREVER_MS * 1000;

/** What a feature of a type is in DuckDB and Parquet. */
export const SQL_TYPES: Record<ValueType, string> = {
  boolean: 'boolean',
  int64: 'bigint',
  float64: 'double',
  string: 'varchar',
  timestamp: 'timestamp with time zone',
};

/** The keys `k0`, … of a view. */
export function keysOf({ keyColumns }: Pick<RowView, 'keyColumns'>): string[] {
  return keyColumns.map((_, at) => `k${at}`);
}

/**
 * Looks at the files of a view. `path` is where they lie.
 *
 * @throws AiosError `features.source_unfit` when they are not what the view says, `features.file_not_allowed`
 */
export async function fileRelation(duck: DuckDb, view: RowView, path: string): Promise<FileRelation> {
  const from = readFiles(view, path);
  const described = await duck
    .all<{ column_name: string; column_type: string }>(`describe select * from ${from}`)
    .catch((error: unknown) => {
      throw fileError(view, error);
    });
  const types = new Map(described.map((row) => [row.column_name, row.column_type]));
  const { timestamp, created, validFrom, validTo } = timesOf(view);
  const times = [timestamp, created, validFrom, validTo].flatMap((name) => name ?? []);
  const missing = [...view.keyColumns, ...times, ...view.features.map(({ column }) => column)].filter(
    (name) => !types.has(name),
  );
  if (missing.length > 0) throw withoutColumns(view, missing, [...types.keys()]);
  const keyTypes = view.keyColumns.map((column, at) => keyType(view, column, at, types.get(column)!));
  const time = (name: string) => timeOf(view, name, types.get(name)!);
  const columns = [
    ...view.keyColumns.map((column, at) => `${identifier(column)}::${keyTypes[at]} as k${at}`),
    `${time(timestamp ?? validFrom!)} as t`,
    `${created ? time(created) : 'null::bigint'} as c`,
    `${validTo ? `nullif(${time(validTo)}, ${FOREVER_US})` : 'null::bigint'} as e`,
    ...view.features.map(
      ({ type, column }, at) => `${featureValue(view, type, column, types.get(column)!)} as f${at}`,
    ),
  ];
  return {
    view,
    sql: `(select ${columns.join(', ')} from ${from})`,
    keyTypes,
    text: textOf(view),
  };
}

/** What DuckDB says of a file that is not what its view says. */
export function fileError(view: RowView, error: unknown): unknown {
  return error instanceof AiosError && error.code === 'features.offline_failed'
    ? unfit(view, error.message.replace(/\.$/, ''), error)
    : error;
}

function readFiles({ files }: RowView, path: string): string {
  // Names of folders (a=1/) give no columns: a file says by itself what it holds.
  const common = 'union_by_name = true, hive_partitioning = false';
  if (files!.csv === undefined) return `read_parquet(${literal(path)}, ${common})`;
  const delimiter = literal(files!.delimiter ?? ',');
  // Every value is a text and the view says its type: what the first lines look like decides nothing.
  return `read_csv(${literal(path)}, ${common}, header = true, all_varchar = true, delim = ${delimiter}, quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false)`;
}

function keyType(view: RowView, column: string, at: number, type: string): KeySql {
  if (INTEGERS.test(type)) return 'bigint';
  if (!TEXTS.test(type)) throw unfit(view, `the key ${column} is of type ${type}`);
  return view.files!.csv !== undefined && view.keyTypes?.[view.joinKeys[at]!] === 'int64'
    ? 'bigint'
    : 'varchar';
}

/**
 * A column's time in microseconds since the epoch, rounded up where it is finer: a row counts no earlier than it says. A text is one of a CSV file: ISO
 * 8601, or milliseconds. Undefined for a type that is not a time.
 */
export function micros(name: string, type: string, isText: boolean): string | undefined {
  const column = identifier(name);
  if (type === 'TIMESTAMP_NS') return roundedUp(`epoch_ns(${column})`);
  if (TIMES.test(type)) return microsOf(type === 'DATE' ? `${column}::timestamp` : column);
  if (INTEGERS.test(type)) return `${column}::bigint * 1000`;
  if (type !== 'VARCHAR' || !isText) return undefined;
  return `case when regexp_full_match(${column}, '-?[0-9]+') then ${column}::bigint * 1000 else ${microsOf(`${column}::timestamptz`)} end`;
}

function timeOf(view: RowView, name: string, type: string): string {
  const sql = micros(name, type, view.files!.csv !== undefined);
  if (sql === undefined) throw unfit(view, `${name} is of type ${type}, no time`);
  return sql;
}

/** Of a time that may be `infinity`. */
function microsOf(time: string): string {
  return `case when isfinite(${time}) then epoch_us(${time}) when ${time} < 'epoch' then ${-FOREVER_US} when ${time} > 'epoch' then ${FOREVER_US} end`;
}

/** A thousandth, rounded up. */
function roundedUp(sql: string): string {
  return `(${sql} // 1000 + (${sql} % 1000 > 0)::int)`;
}

/** As the feature's type has it; a time in milliseconds. */
function featureValue(view: RowView, type: ValueType, name: string, found: string): string {
  const column = identifier(name);
  switch (type) {
    case 'float64': // what JSON cannot hold is nothing
      return `case when isfinite(${column}::double) then ${column}::double end`;
    case 'timestamp':
      return INTEGERS.test(found) ? `${column}::bigint` : finite(roundedUp(timeOf(view, name, found)));
    case 'int64':
      return wholeNumber(column, found);
    default:
      return `${column}::${SQL_TYPES[type]}`;
  }
}

/** Null for what has no end. */
function finite(ms: string): string {
  return `case when abs(${ms}) < ${FOREVER_MS} then ${ms} end`;
}

/** DuckDB would make 4 of 3.7, of a number as of a text. */
function wholeNumber(column: string, found: string): string {
  if (INTEGERS.test(found)) return `${column}::bigint`;
  const [isThere, isWhole] = TEXTS.test(found)
    ? [`${column} is not null`, `regexp_full_match(${column}, '\\s*[-+]?[0-9]+(\\.0*)?\\s*')`]
    : [`isfinite(${column}::double)`, `${column} = trunc(${column})`];
  return `case when ${isThere} then case when ${isWhole} then ${column}::bigint else error('it holds ' || ${column}::varchar || ', no whole number, in ' || ${literal(column)}) end end`;
}

/** `{"name" : value, …}` as json_build_object of Postgres writes it: a whole number has no “.0” there. */
function textOf({ features }: RowView): string {
  const members = features.map(({ name, type }, at) => {
    const value =
      type === 'float64' ? `regexp_replace(f${at}::varchar, '\\.0$', '')` : `to_json(f${at})::varchar`;
    return `${literal(`"${name}" : `)} || coalesce(${value}, 'null')`;
  });
  return `'{' || ${members.join(" || ', ' || ")} || '}'`;
}
