import { open } from 'node:fs/promises';
import { exactJson } from '../../../../kernel/exact-integers.ts';
import type { Json } from '../../../../kernel/json.ts';
import { csvFields } from './csv.ts';
import { parquetRows } from './parquet.ts';
import { readRow, textOf } from './read-row.ts';
import { FILE_START, type Row, type RowOptions, type RowPlace } from './row.ts';
import { textRecords } from './text-records.ts';

/**
 * The rows of a file from a place on.
 *
 * @throws Error for a file that is not of its format: no header, no Parquet
 */
export async function* rowsOf(path: string, from: RowPlace, options: RowOptions): AsyncGenerator<Row> {
  if (options.format === 'parquet') yield* parquetRows(path, from, options);
  else if (options.format === 'csv') yield* csvRows(path, from, options);
  else yield* jsonLines(path, from, options);
}

async function* jsonLines(path: string, from: RowPlace, { rowBytesMax }: RowOptions): AsyncGenerator<Row> {
  const handle = await open(path);
  try {
    const reading = { delimiter: undefined, bytesMax: rowBytesMax };
    for await (const { text, line, end, nextLine, fault } of textRecords(handle, from, reading)) {
      if (text.length === 0) continue;
      const next = { byte: end, line: nextLine };
      const bytes = text.byteLength;
      if (fault !== undefined) yield { value: text, line, bytes, next, fault };
      else yield { ...readRow(text, exactJson), line, bytes, next };
    }
  } finally {
    await handle.close();
  }
}

async function* csvRows(path: string, from: RowPlace, options: RowOptions): AsyncGenerator<Row> {
  const { delimiter, rowBytesMax } = options;
  const handle = await open(path);
  try {
    const reading = { delimiter: delimiter.charCodeAt(0), bytesMax: rowBytesMax };
    const start = await csvHeader(textRecords(handle, FILE_START, reading), options);
    if (!start) return;
    const { columns } = start;
    const place = from.byte > start.byte ? from : start;
    for await (const { text, line, end, nextLine, fault } of textRecords(handle, place, reading)) {
      if (text.length === 0) continue;
      const next = { byte: end, line: nextLine };
      const bytes = text.byteLength;
      if (fault !== undefined) yield { value: text, line, bytes, next, fault };
      else
        yield { ...readRow(text, (one) => recordOf(columns, csvFields(one, delimiter))), line, bytes, next };
    }
  } finally {
    await handle.close();
  }
}

/** The names of the columns, and where the rows begin; nothing for an empty file. */
async function csvHeader(
  records: ReturnType<typeof textRecords>,
  { columns, delimiter }: RowOptions,
): Promise<(RowPlace & { columns: readonly string[] }) | undefined> {
  if (columns) return { columns, ...FILE_START };
  for await (const { text, end, nextLine, fault } of records) {
    if (fault !== undefined) throw new Error(`The header: ${fault}`);
    const names = csvFields(textOf(text), delimiter);
    const missing = names.indexOf(null);
    if (missing >= 0) throw new Error(`The header has no name for column ${missing + 1}.`);
    if (new Set(names).size < names.length) throw new Error('The header names a column twice.');
    return { columns: names as string[], byte: end, line: nextLine };
  }
  return undefined;
}

function recordOf(columns: readonly string[], fields: readonly (string | null)[]): Json {
  if (fields.length !== columns.length)
    throw new Error(`${fields.length} fields; the header has ${columns.length}.`);
  return Object.fromEntries(columns.map((name, index) => [name, fields[index]!]));
}
