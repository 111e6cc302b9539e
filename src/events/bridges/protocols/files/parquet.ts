import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { exactJson } from '../../../../kernel/exact-integers.ts';
import { withoutNonNumbers } from '../../../../kernel/finite-json.ts';
import type { Json } from '../../../../kernel/json.ts';
import { literal, quoted, valueForJson } from './parquet-values.ts';
import { readRow } from './read-row.ts';
import type { Row, RowOptions, RowPlace } from './row.ts';

/** What DuckDB holds of a file at once is bounded, and it takes nothing from the network. */
const OPTIONS = { memory_limit: '256MB', threads: '1', autoinstall_known_extensions: 'false' };

/** A DuckDB for one file. The library is loaded by the first. */
class DuckDb implements AsyncDisposable {
  readonly connection: DuckDBConnection;
  readonly #instance: DuckDBInstance;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance;
    this.connection = connection;
  }

  static async open(): Promise<DuckDb> {
    const { DuckDBInstance } = await import('@duckdb/node-api');
    const instance = await DuckDBInstance.create(':memory:', OPTIONS);
    const connection = await instance.connect();
    await connection.run("set TimeZone = 'UTC'");
    return new DuckDb(instance, connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.closeSync();
    this.#instance.closeSync();
  }
}

/**
 * The rows of a Parquet file from a place on, as JSON; times as RFC 3339, NaN and infinities as null, integers past 2^53 and decimals that a number does not keep as texts of their digits.
 *
 * @throws Error for a file that is no Parquet
 */
export async function* parquetRows(
  path: string,
  from: RowPlace,
  { rowBytesMax }: Pick<RowOptions, 'rowBytesMax'>,
): AsyncGenerator<Row> {
  await using duck = await DuckDb.open();
  const { connection } = duck;
  const described = await connection.run('select * from read_parquet($1) limit 0', [path]);
  const types = described.columnTypes();
  const replaced = described.columnNames().flatMap((name, at) => {
    const value = valueForJson(quoted(name), types[at]!);
    return value === undefined ? [] : [`${value} as ${quoted(name)}`];
  });
  const columns = replaced.length > 0 ? `* replace (${replaced.join(', ')})` : '*';
  // The row stands under a name that no column has.
  const result = await connection.stream(
    `select to_json("row of the file")::varchar
     from (select ${columns} from read_parquet($1) limit 9223372036854775807 offset $2) "row of the file"`,
    [path, from.line - 1],
  );
  let { line } = from;
  for await (const rows of result.yieldRowsJs())
    for (const [text] of rows) {
      const next = { byte: 0, line: line + 1 };
      const row = Buffer.from(withoutNonNumbers(String(text)));
      const bytes = Math.min(row.byteLength, rowBytesMax);
      // A whole number of a column of doubles has a point (“1.0”): what has digits alone is an integer. A column of JSON may hold 1e400.
      if (row.byteLength <= rowBytesMax) yield { ...readRow(row, wholeAsText), line, bytes, next };
      else {
        const fault = `A row of ${row.byteLength} bytes; at most ${rowBytesMax}.`;
        yield { value: row.subarray(0, rowBytesMax), line, bytes, next, fault };
      }
      line++;
    }
}

/**
 * Writes lines of JSON as a Parquet file.
 *
 * @param columns names and types of DuckDB; what the lines hold where they are left out
 */
export async function writeParquet(
  jsonLines: string,
  path: string,
  columns?: Readonly<Record<string, string>>,
): Promise<void> {
  await using duck = await DuckDb.open();
  const typed = columns
    ? `, columns = {${Object.entries(columns).map(([name, type]) => `${quoted(name)}: '${type}'`)}}`
    : '';
  await duck.connection.run(
    `copy (select * from read_json(${literal(jsonLines)}, format = 'newline_delimited'${typed}))
     to ${literal(path)} (format parquet, compression zstd)`,
  );
}

/** Every whole number past 2^53 alike: a column of integers is one of ids, and half of them as texts would be of no use. */
function wholeAsText(row: string): Json {
  return exactJson(row, () => true);
}
