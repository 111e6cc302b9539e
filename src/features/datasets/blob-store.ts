import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AiosError } from '../../kernel/errors.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Database } from '../../store/database.ts';
import { timestamp } from '../../store/rows.ts';

/** Bytes of a piece: what reading and writing hold in memory at a time. */
const CHUNK_BYTES = 1024 * 1024;
/** How long a file may wait for its version before it counts as forgotten by a process that died. */
const ORPHAN_MS = 86_400_000;

export type BlobLimits = Pick<Limits, 'datasetBytesMax'>;

/** @throws AiosError `request.too_large` */
export function checkSize(what: string, bytes: number, { datasetBytesMax: limit }: BlobLimits): void {
  if (bytes <= limit) return;
  throw new AiosError('request.too_large', {
    detail: `${what} has more than ${limit} bytes.`,
    extensions: { limitName: 'datasetBytesMax', limit },
  });
}

/**
 * Files by their digest in the database, which every process and every backup has. Each is stored once.
 *
 * @example await blobs.put({ path, digest, sizeBytes }, Date.now()); for await (const bytes of blobs.read(digest, 0, 100)) …
 */
export class BlobStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Stores a file, in one transaction; what is there already is only noted as wanted again. */
  async put(
    { path, digest, sizeBytes }: { path: string; digest: string; sizeBytes: number },
    nowMs: number,
  ): Promise<void> {
    const noted = await this.#db.query(
      'update dataset_blobs set stored_at = $2 where digest = $1 returning digest',
      [digest, timestamp(nowMs)],
    );
    if (noted.length > 0) return;
    const file = await open(path);
    try {
      await this.#db.transaction(async (tx) => {
        const [own] = await tx.query(
          'insert into dataset_blobs (digest, size_bytes, stored_at) values ($1, $2, $3) on conflict do nothing returning digest',
          [digest, sizeBytes, timestamp(nowMs)],
        );
        if (!own) return; // another process came first, and has committed
        for (let number = 0; number * CHUNK_BYTES < sizeBytes; number++) {
          const bytes = Buffer.alloc(Math.min(CHUNK_BYTES, sizeBytes - number * CHUNK_BYTES));
          await file.read(bytes, 0, bytes.length, number * CHUNK_BYTES);
          await tx.query('insert into dataset_chunks (digest, number, bytes) values ($1, $2, $3)', [
            digest,
            number,
            bytes,
          ]);
        }
      });
    } finally {
      await file.close();
    }
  }

  /** The bytes from `start` up to `end`, exclusive, piece by piece. @throws AiosError `datasets.deleted` when they are gone */
  async *read(digest: string, start: number, end: number): AsyncGenerator<Buffer> {
    for (let at = start; at < end; ) {
      const number = Math.floor(at / CHUNK_BYTES);
      const [row] = await this.#db.query<{ bytes: Buffer }>(
        'select bytes from dataset_chunks where digest = $1 and number = $2',
        [digest, number],
      );
      if (!row) throw new AiosError('datasets.deleted', { detail: `The file ${digest} is gone.` });
      const from = at - number * CHUNK_BYTES;
      const piece = row.bytes.subarray(from, Math.min(row.bytes.length, from + end - at));
      yield piece;
      at += piece.length;
    }
  }

  /** All bytes as a file. @throws AiosError `datasets.deleted` when they are gone */
  async writeTo(path: string, digest: string): Promise<void> {
    const [blob] = await this.#db.query<{ size: number }>(
      'select size_bytes as size from dataset_blobs where digest = $1',
      [digest],
    );
    if (!blob) throw new AiosError('datasets.deleted', { detail: `The file ${digest} is gone.` });
    await pipeline(Readable.from(this.read(digest, 0, blob.size)), createWriteStream(path));
  }

  /** What is not there is not missed. */
  async delete(digest: string): Promise<void> {
    await this.#db.query('delete from dataset_blobs where digest = $1', [digest]);
  }

  /** Deletes files that no version came to name, and what was sent for versions that have been made, or never were. */
  async deleteOrphans(nowMs: number): Promise<void> {
    await this.#db.query(
      `delete from dataset_blobs b where stored_at < $1
       and not exists (select from dataset_versions v where v.digest = b.digest and v.deleted_at is null)
       and not exists (select from dataset_builds w where w.status = 'running' and 'input:' || w.id = b.digest)`,
      [timestamp(nowMs - ORPHAN_MS)],
    );
  }
}
