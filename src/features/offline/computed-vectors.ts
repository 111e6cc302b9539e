import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { HISTORICAL_CHUNK, type HistoricalReader, type SpineRow } from '../historical.ts';
import type { RowView } from '../row-view.ts';
import type { Reading } from '../service-views.ts';
import { typedValue } from '../values.ts';
import type { FeatureValue } from '../windows/state.ts';
import { type DuckDb, type DuckRow, literal } from './duckdb.ts';
import { SQL_TYPES } from './file-relation.ts';
import { ColumnType, outputColumn } from './output-columns.ts';
import type { GivenEntities } from './spine-file.ts';

/** The views over files that were joined: the table of the rows that count, by `idx`. */
export type JoinedViews = ReadonlyMap<Reading<RowView>, string>;

/** Each joined view beside the entities `g`: by the row's number alone, since a second condition would make a nested loop of it. */
export function leftJoins(joined: JoinedViews): string {
  return [...joined.values()].map((table) => `left join ${table} on ${table}.idx = g.aios_row`).join(' ');
}

interface Given {
  given: GivenEntities;
  recordedByMs: number | undefined;
  progress: ((rows: number, total: number) => void) | undefined;
}

/**
 * Computes the vectors of entities in this process, in bounded memory: rows come from DuckDB a chunk at a time, and vectors go to a file of the job, from
 * which the output takes them.
 *
 * @returns what the output selects after the columns of the entities `g`
 */
export async function selectComputed(
  duck: DuckDb,
  reader: HistoricalReader,
  joined: JoinedViews,
  rows: Given,
): Promise<string> {
  const { names } = reader.service;
  const types = names.map((name) => new ColumnType(reader.service.types.get(name)));
  const file = join(duck.folder, 'vectors.jsonl');
  await pipeline(lines(duck, reader, joined, rows, types), createWriteStream(file));
  const columns = names.map((_, at) => {
    const { type } = types[at]!;
    return `v${at}: ${literal(type === 'timestamp' ? 'bigint' : SQL_TYPES[type])}`;
  });
  const read = `read_json(${literal(file)}, format = 'newline_delimited', columns = {idx: 'bigint', ${columns.join(', ')}})`;
  const select = names.map((name, at) => outputColumn(`v.v${at}`, name, types[at]!.type, null));
  return `${select.join(', ')} from given g join ${read} v on v.idx = g.aios_row`;
}

async function* lines(
  duck: DuckDb,
  reader: HistoricalReader,
  joined: JoinedViews,
  { given, recordedByMs, progress }: Given,
  types: readonly ColumnType[],
): AsyncGenerator<string> {
  const fromFiles = [...joined].flatMap(
    ([
      {
        view: { features },
      },
      table,
    ]) => features.map((_, at) => `${table}.f${at} as aios_${table}_f${at}`),
  );
  const chunks = duck.chunks(
    `select ${['g.*', ...fromFiles].join(', ')} from given g ${leftJoins(joined)} order by g.aios_row`,
  );
  let done = 0;
  for await (const rows of chunks) {
    const spine = rows.map((row) => spineRow(row, given, recordedByMs));
    let text = '';
    for (let from = 0; from < rows.length; from += HISTORICAL_CHUNK) {
      const chunk = rows.slice(from, from + HISTORICAL_CHUNK);
      const known = new Map(
        [...joined].map(([reading, table]) => [reading, valuesOf(reading.view, table, chunk)]),
      );
      const place = { before: done + from, count: given.rows };
      const vectors = await reader.vectors(spine.slice(from, from + HISTORICAL_CHUNK), place, known);
      for (const [index, vector] of vectors.entries())
        text += line(chunk[index]!.aios_row as number, vector, types);
    }
    done += rows.length;
    progress?.(done, given.rows);
    yield text;
  }
}

function line(idx: number, vector: readonly FeatureValue[], types: readonly ColumnType[]): string {
  const row: Record<string, FeatureValue> = { idx };
  for (const [at, value] of vector.entries()) {
    types[at]!.note(value);
    if (value !== null) row[`v${at}`] = value;
  }
  return `${JSON.stringify(row)}\n`;
}

function valuesOf({ features }: RowView, table: string, rows: readonly DuckRow[]): FeatureValue[][] {
  return rows.map((row) =>
    features.map(({ name, type }, at) => {
      const value = row[`aios_${table}_f${at}`];
      // One that is still a bigint is past 2^53: refused, as by every other door.
      return typeof value === 'bigint' ? typedValue(name, type, Number(value)) : (value as FeatureValue);
    }),
  );
}

/** What a row holds beside its time are its keys and what the request would bring. */
function spineRow(
  row: DuckRow,
  { columns, timestamp }: GivenEntities,
  recordedByMs: number | undefined,
): SpineRow {
  const values: JsonObject = {};
  for (const name of columns) if (name !== timestamp) values[name] = jsonOf(row[name]);
  const timeUs = row.aios_time as number | bigint; // a bigint past the year 2255; whole milliseconds
  const timeMs = typeof timeUs === 'bigint' ? Number(timeUs / 1000n) : timeUs / 1000;
  return { keys: values, request: values, asOf: { timeMs, recordedByMs } };
}

function jsonOf(value: unknown): Json {
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'bigint' ? String(value) : (value as Json);
}
