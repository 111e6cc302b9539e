import type { CloudEvent, LoggedEvent } from '../../kernel/cloudevent.ts';
import { AiosError } from '../../kernel/errors.ts';
import { compileExpression } from '../../kernel/expressions.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { SpineRow } from '../historical.ts';
import { type DuckDb, literal } from '../offline/duckdb.ts';
import type { EntityEvents } from './dataset-kind.ts';

/** Files of entity rows that can be read; CSV has a heading, JSON lines an object on each line. */
export const ROW_FORMATS = ['csv', 'jsonl', 'parquet'] as const;
export type RowFormat = (typeof ROW_FORMATS)[number];

/** Timestamps as files have them, without a zone: they are in UTC. */
const PLAIN_TIME = /^\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?$/;

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

/** Its path must lie where DuckDB may read; `texts` are columns whose digits are not a number (CSV does not say it). */
interface RowFile {
  readonly path: string;
  readonly format: RowFormat;
  readonly texts: readonly string[];
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
  const rows = duck.chunks<{ row: string }>(selectOf(file));
  try {
    for await (const chunk of rows) {
      const from = count;
      count += chunk.length;
      yield chunk.map(({ row }, index) =>
        spineRow(JSON.parse(row) as JsonObject, from + index, recordedByMs),
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
      `select count(*)::bigint as count from (${selectOf(file)})`,
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

function selectOf({ path, format, texts }: RowFile): string {
  const file = literal(path);
  if (format === 'jsonl')
    return `select json::varchar as row from read_json_objects(${file}, format = 'newline_delimited')`;
  const types = texts.map((name) => `${literal(name)}: 'VARCHAR'`).join(', ');
  const table =
    format === 'parquet'
      ? `read_parquet(${file})`
      : // Every row is looked at for the types of its columns: a sample that has only digits says nothing about a key further down.
        `read_csv(${file}, header = true, sample_size = -1${types === '' ? '' : `, types = {${types}}`})`;
  return `select to_json(source)::varchar as row from ${table} source`;
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

/** A time as text, with its zone or in UTC, or in milliseconds since the epoch. */
function timeOf(value: Json | undefined): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return undefined;
  const text = value.replace(' ', 'T').replace(/(T.*[+-]\d\d)$/, '$1:00');
  const timeMs = Date.parse(PLAIN_TIME.test(value) && text.includes('T') ? `${text}Z` : text);
  return Number.isNaN(timeMs) ? undefined : timeMs;
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
