import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { JsonObject } from '../../kernel/json.ts';
import { type BlobLimits, type BlobStore, checkSize } from './blob-store.ts';
import type { BuildSource, EntitySource } from './dataset-version.ts';

/** The name under which the input of a build is kept. Files of versions are named by their digests, so that none is the other. */
export function inputOf(build: string): string {
  return `input:${build}`;
}

/** Rows of a piece of JSON lines. */
const CHUNK_ROWS = 1_000;

/**
 * Keeps what was sent with a request where every process can read it. It passes through a file, so that a slow sender holds no transaction open.
 *
 * @throws AiosError `request.too_large`
 */
export async function stageInput(
  blobs: BlobStore,
  build: string,
  source: EntitySource,
  limits: BlobLimits,
  nowMs: number,
): Promise<BuildSource> {
  const folder = await mkdtemp(join(tmpdir(), 'aios-dataset-'));
  try {
    const path = join(folder, 'input');
    const content = 'rows' in source ? linesOf(source.rows) : source.file.content;
    let sizeBytes = 0;
    await pipeline(
      Readable.from(content),
      async function* bounded(pieces: AsyncIterable<Uint8Array>) {
        for await (const piece of pieces) {
          sizeBytes += piece.length;
          checkSize('The file of entity rows', sizeBytes, limits);
          yield piece;
        }
      },
      createWriteStream(path),
    );
    await blobs.put({ path, digest: inputOf(build), sizeBytes }, nowMs);
    return 'rows' in source ? { rows: source.rows.length } : { file: source.file.format };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function* linesOf(rows: readonly JsonObject[]): Generator<Uint8Array> {
  for (let from = 0; from < rows.length; from += CHUNK_ROWS) {
    const lines = rows.slice(from, from + CHUNK_ROWS).map((row) => `${JSON.stringify(row)}\n`);
    yield Buffer.from(lines.join(''));
  }
}
