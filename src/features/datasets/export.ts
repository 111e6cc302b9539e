import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosError } from '../../kernel/errors.ts';
import { literal } from '../offline/duckdb.ts';
import type { DatasetVersion } from './dataset-version.ts';
import type { Datasets } from './datasets.ts';

/** Forms in which the data of a version is handed out; Parquet is the one that its digest is of. */
export const EXPORT_FORMATS = ['parquet', 'csv', 'jsonl'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export const MEDIA_TYPES: Readonly<Record<ExportFormat, string>> = {
  parquet: 'application/vnd.apache.parquet',
  csv: 'text/csv; charset=utf-8; header=present',
  jsonl: 'application/x-ndjson',
};

/** A range of bytes, the end exclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Options of the writers: times in RFC 3339, in UTC. */
const WRITERS = {
  csv: "format csv, header true, timestampformat '%Y-%m-%dT%H:%M:%S.%fZ', preserve_order true",
  jsonl: "format json, array false, timestampformat '%Y-%m-%dT%H:%M:%S.%fZ', preserve_order true",
} as const;

/**
 * Hands out the data of a version: `send` gets the size of all, says which range it wants, and is given its bytes. Parquet is read piece by piece from
 * the store; the other forms are written into a file first, which goes when `send` is done.
 *
 * @throws AiosError `datasets.deleted`, `request.overloaded`
 * @example await exportData(datasets, version, 'csv', (size, read) => pipeline(read({ start: 0, end: size }), file))
 */
export async function exportData(
  datasets: Datasets,
  version: DatasetVersion,
  format: ExportFormat,
  send: (sizeBytes: number, read: (range: ByteRange) => AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<void> {
  const { dataset, version: number, digest, sizeBytes, deletedAt } = version;
  if (deletedAt !== null)
    throw new AiosError('datasets.deleted', { detail: `${dataset} ${number} was deleted.` });
  if (format === 'parquet') {
    await send(sizeBytes, ({ start, end }) => datasets.blobs.read(digest, start, end));
    return;
  }
  await datasets.job([], async (duck) => {
    const from = join(duck.folder, 'data.parquet');
    const to = join(duck.folder, `data.${format}`);
    await datasets.writeTo(from, version);
    // Rows keep the order that they have in the file.
    await duck.run(
      `copy (select * from read_parquet(${literal(from)})) to ${literal(to)} (${WRITERS[format]})`,
    );
    const { size } = await stat(to);
    await send(size, ({ start, end }) => createReadStream(to, { start, end: end - 1 }));
  });
}
