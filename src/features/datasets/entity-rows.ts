import type { CloudEvent, LoggedEvent } from '../../kernel/cloudevent.ts';
import { AiosError } from '../../kernel/errors.ts';
import { exactJson, losesDigits } from '../../kernel/exact-integers.ts';
import { compileExpression } from '../../kernel/expressions.ts';
import { withoutNonNumbers } from '../../kernel/finite-json.ts';
import { isoMs } from '../../kernel/instant.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { SpineRow } from '../historical.ts';
import { type DuckDb, identifier, literal } from '../offline/duckdb.ts';
import { FOREVER_MS } from '../row-view.ts';
import type { EntityEvents } from './dataset-kind.ts';

/** Files of entity rows that can be read; CSV has a heading, JSON lines an object on each line. */
export const ROW_FORMATS = ['csv', 'jsonl', 'parquet'] as const;
export type RowFormat = (typeof ROW_FORMATS)[number];

/** The events of a type, page by page, as they are in the log at the begin of the reading. */
export type ReadEvents = (selection: {
  type: string;
  filter?: string | undefined;
}) => AsyncIterable<readonly LoggedEvent[]>;

/** A range of event times in milliseconds, its end exclusive. */
export interface TimeRange {
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
}

/** Its path must lie where DuckDB may read. */
interface RowFile {
  readonly path: string;
  readonly format: RowFormat;
  /** Columns whose digits are not a number (CSV does not say it). */
  readonly texts: readonly string[];
  /** Join keys whose digits past 2^53 are as somebody wrote them. None of rows that came in a request: there they were numbers already. */
  readonly keys: readonly string[];
}

/**
 * The rows of a file, chunk by chunk.
 *
 * @throws AiosError `datasets.entity_rows`
 */
export async function* fileRows(
  duck: DuckDb,
  file: RowFile,
  recordedByMs: number | undefined,
): AsyncGenerator<readonly SpineRow[]> {
  let count = 0;
  const keys = new Set(file.keys);
  try {
    for await (const chunk of duck.chunks<{ row: string }>(await selectOf(duck, file))) {
      const from = count;
      count += chunk.length;
      yield chunk.map(({ row }, index) =>
        spineRow(rowOf(row, from + index, keys), from + index, recordedByMs),
      );
    }
  } catch (error) {
    throw unreadable(error);
  }
}

/** How many rows a file has. @throws AiosError `datasets.entity_rows` */
export async function countRows(duck: DuckDb, file: RowFile): Promise<number> {
  try {
    const [found] = await duck.all<{ count: number }>(
      `select count(*)::bigint as count from ${tableOf(file)}`,
    );
    return found!.count;
  } catch (error) {
    throw unreadable(error);
  }
}

function unreadable(error: unknown): unknown {
  if (!(error instanceof AiosError) || error.code !== 'features.offline_failed') return error;
  return new AiosError('datasets.entity_rows', { detail: error.message, cause: error });
}

function tableOf({ path, format, texts }: RowFile): string {
  const file = literal(path);
  if (format === 'jsonl') return `read_json_objects(${file}, format = 'newline_delimited')`;
  if (format === 'parquet') return `read_parquet(${file})`;
  const types = texts.map((name) => `${literal(name)}: 'VARCHAR'`).join(', ');
  // Every row is looked at for the types of its columns: a sample that has only digits says nothing about a key further down.
  return `read_csv(${file}, header = true, sample_size = -1${types === '' ? '' : `, types = {${types}}`})`;
}

/** Each row as a text of JSON, but for numbers that JSON does not have (`rowOf`). */
async function selectOf(duck: DuckDb, file: RowFile): Promise<string> {
  const table = tableOf(file);
  if (file.format === 'jsonl') return `select json::varchar as row from ${table}`;
  const texts = (await largeIntegers(duck, table)).map(identifier);
  const replaced = texts.map((name) => `${name}::varchar as ${name}`).join(', ');
  const source = replaced === '' ? table : `(select * replace (${replaced}) from ${table})`;
  return `select to_json(source)::varchar as row from ${source} source`;
}

/** Types that may hold whole numbers which a number of JSON does not tell apart. */
const LARGE = /^(U?BIGINT|U?HUGEINT|DECIMAL\(\d+,0\))$/;

/** The columns with whole numbers past 2^53, which are read as text: as a number two ids would be one. */
async function largeIntegers(duck: DuckDb, table: string): Promise<string[]> {
  const described = await duck.all<{ column_name: string; column_type: string }>(
    `describe select * from ${table}`,
  );
  const names = described.flatMap((row) => (LARGE.test(row.column_type) ? [row.column_name] : []));
  if (names.length === 0) return [];
  const isLarge = names.map(
    (name, at) =>
      `bool_or(${identifier(name)} not between ${Number.MIN_SAFE_INTEGER} and ${Number.MAX_SAFE_INTEGER}) as c${at}`,
  );
  const [found] = await duck.all<Record<string, boolean | null>>(
    `select ${isLarge.join(', ')} from ${table}`,
  );
  return names.filter((_, at) => found![`c${at}`] === true);
}

/**
 * A row as DuckDB writes it; a number that JSON does not have is nothing. A whole number whose digits a number would lose (…993 becomes …992) is the text of its
 * digits, and so is one past 2^53 of a key. Others stay numbers: programs write a double such as 1e20 with all its digits.
 *
 * @throws AiosError `datasets.entity_rows` for a number past ±1.8e308
 */
function rowOf(written: string, index: number, keys: ReadonlySet<string>): JsonObject {
  const text = withoutNonNumbers(written);
  try {
    return exactJson(
      text,
      (value, digits, name) => keys.has(name) || losesDigits(value, digits),
    ) as JsonObject;
  } catch (error) {
    if (!(error instanceof AiosError)) throw error;
    throw new AiosError('datasets.entity_rows', {
      detail: `Row ${index + 1}: ${error.message}`,
      cause: error,
    });
  }
}

function spineRow(row: JsonObject, index: number, recordedByMs: number | undefined): SpineRow {
  const { timestamp, ...values } = row;
  const timeMs = timeOf(timestamp);
  if (timeMs === undefined) {
    throw new AiosError('datasets.entity_rows', {
      detail: `Row ${index + 1} has ${timestamp === undefined ? 'no timestamp' : `the timestamp ${JSON.stringify(timestamp)}`}.`,
    });
  }
  return {
    keys: values,
    request: values,
    asOf: { timeMs, ...(recordedByMs === undefined ? {} : { recordedByMs }) },
  };
}

/** A time of ISO 8601, with its zone or in UTC, or in milliseconds since the epoch; a vector is as of a whole millisecond. */
function timeOf(value: Json | undefined): number | undefined {
  if (typeof value === 'string') return isoMs(value, Math.floor);
  return typeof value === 'number' && Math.abs(value) <= FOREVER_MS ? Math.floor(value) : undefined;
}

/**
 * Events as entity rows. The vector of an event is as of its place in the log, as a flow sees it that the event starts: what the event
 * itself contributes is not in it.
 *
 * @throws AiosError `expression.failed`
 */
export async function* eventRows(
  read: ReadEvents,
  { type, filter, keys, values = {} }: EntityEvents,
  { fromMs = Number.NEGATIVE_INFINITY, toMs = Number.POSITIVE_INFINITY }: TimeRange,
  recordedByMs: number | undefined,
): AsyncGenerator<readonly SpineRow[]> {
  const columns = Object.entries({ ...keys, ...values }).map(([name, source]) => ({
    name,
    expression: compileExpression(source),
  }));
  for await (const events of read({ type, filter })) {
    yield events
      .filter(
        ({ timeMs, recordedAtMs }) =>
          timeMs >= fromMs && timeMs < toMs && (recordedByMs === undefined || recordedAtMs <= recordedByMs),
      )
      .map(({ event, timeMs, partition, offset }): SpineRow => {
        const scope = {
          event: event as unknown as Json,
          data: (event as CloudEvent).data ?? null,
          time: timeMs,
        };
        const row: JsonObject = {};
        for (const { name, expression } of columns) row[name] = expression(scope) ?? null;
        return {
          keys: row,
          request: row,
          asOf: {
            timeMs,
            position: { partition, offset },
            ...(recordedByMs === undefined ? {} : { recordedByMs }),
          },
        };
      });
  }
}
