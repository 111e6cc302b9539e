import { createHash, randomUUID } from 'node:crypto';
import { AiosError } from '../../kernel/errors.ts';
import { timestamp } from '../../store/rows.ts';
import { checkArtifactSize, cleanPath, type TrackingArtifacts } from './artifacts.ts';
import type { TrackingDependencies } from './experiments.ts';
import { tracked } from './tracking-lane.ts';

/** Bytes of a piece of a file that comes in one request: what is held of it at a time. */
const PIECE_BYTES = 4 * 1024 * 1024;

/** A part as its sender saw it answered. */
export interface UploadedPart {
  readonly number: number;
  readonly etag?: string | undefined;
}

/**
 * Files of training that come in pieces: those of one large request, and the parts of a multipart upload. They become a file when the last is there,
 * in one statement of the database, so that no memory holds the whole.
 *
 * @example await uploads.put('1/ab/artifacts/model.bin', request.raw)
 */
export class ArtifactUploads {
  readonly #deps: TrackingDependencies;
  readonly #artifacts: TrackingArtifacts;

  constructor(dependencies: TrackingDependencies, artifacts: TrackingArtifacts) {
    this.#deps = dependencies;
    this.#artifacts = artifacts;
  }

  /** Keeps a file as it comes; one that is there already is replaced. @throws AiosError `request.too_large`, `request.invalid` */
  async put(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const clean = cleanPath(path);
    const sha256 = createHash('sha256');
    let [upload, number, sizeBytes, heldBytes]: [string | undefined, number, number, number] = [
      undefined,
      0,
      0,
      0,
    ];
    let held: Uint8Array[] = [];
    try {
      for await (const piece of content) {
        sizeBytes += piece.length;
        heldBytes += piece.length;
        checkArtifactSize(clean, sizeBytes, this.#deps.limits);
        held.push(piece);
        if (heldBytes < PIECE_BYTES) continue;
        upload ??= await this.begin(clean);
        const bytes = Buffer.concat(held);
        sha256.update(bytes);
        await this.#keepPart(upload, ++number, bytes);
        [held, heldBytes] = [[], 0];
      }
      const rest = Buffer.concat(held);
      if (upload === undefined) return await this.#artifacts.put(clean, rest);
      if (rest.length > 0) await this.#keepPart(upload, ++number, rest);
      sha256.update(rest);
      await this.#keep(upload, { path: clean, digest: `sha256:${sha256.digest('hex')}`, sizeBytes });
    } catch (error) {
      if (upload !== undefined) await this.abort(upload);
      throw error;
    }
  }

  /** Begins a multipart upload. @returns its id @throws AiosError `request.invalid` */
  async begin(path: string): Promise<string> {
    const id = randomUUID().replaceAll('-', '');
    await this.#deps.db.query('insert into training_uploads (id, path, created_at) values ($1, $2, $3)', [
      id,
      cleanPath(path),
      timestamp(this.#deps.clock.now()),
    ]);
    return id;
  }

  /** Keeps a part; the same number again replaces it. @returns its entity tag @throws AiosError `experiments.unknown` */
  async part(upload: string, number: number, bytes: Uint8Array): Promise<string> {
    await this.#pathOf(upload);
    await this.#keepPart(upload, number, bytes);
    return etagOf(bytes);
  }

  /**
   * Makes the file of the parts.
   *
   * @throws AiosError `experiments.unknown`, `request.invalid` when a part is missing or is not what was sent, `request.too_large`
   */
  async complete(upload: string, parts: readonly UploadedPart[]): Promise<void> {
    const path = await this.#pathOf(upload);
    const sha256 = createHash('sha256');
    let sizeBytes = 0;
    for (const [at, { number, etag }] of parts.entries()) {
      const [row] = await this.#deps.db.query<{ bytes: Buffer }>(
        'select bytes from training_upload_parts where upload = $1 and number = $2',
        [upload, number],
      );
      if (number !== at + 1 || !row || (etag && etag.replaceAll('"', '') !== etagOf(row.bytes)))
        throw new AiosError('request.invalid', {
          detail: `Part ${at + 1} of ${path} is missing, or is not what was sent.`,
        });
      sizeBytes += row.bytes.length;
      checkArtifactSize(path, sizeBytes, this.#deps.limits);
      sha256.update(row.bytes);
    }
    await this.#deps.db.query('delete from training_upload_parts where upload = $1 and number > $2', [
      upload,
      parts.length,
    ]);
    await this.#keep(upload, { path, digest: `sha256:${sha256.digest('hex')}`, sizeBytes });
  }

  /** What is not there is not missed. */
  async abort(upload: string): Promise<void> {
    await this.#deps.db.query('delete from training_uploads where id = $1', [upload]);
  }

  async #pathOf(upload: string): Promise<string> {
    const [row] = await this.#deps.db.query<{ path: string }>(
      'select path from training_uploads where id = $1',
      [upload],
    );
    if (row) return row.path;
    throw new AiosError('experiments.unknown', { detail: `There is no upload ${upload}.` });
  }

  async #keepPart(upload: string, number: number, bytes: Uint8Array): Promise<void> {
    await this.#deps.db.query(
      `insert into training_upload_parts (upload, number, bytes) values ($1, $2, $3)
       on conflict (upload, number) do update set bytes = excluded.bytes`,
      [upload, number, bytes],
    );
  }

  /** Bytes that are there already, whole or in pieces of another size, stay as they are. */
  async #keep(upload: string, file: { path: string; digest: string; sizeBytes: number }): Promise<void> {
    await this.#deps.commit.commit([
      tracked(
        `with own as (insert into artifacts (digest) values ($1) on conflict (digest) do nothing returning digest)
         insert into artifact_chunks (digest, number, bytes)
         select own.digest, p.number, p.bytes from own, training_upload_parts p where p.upload = $2`,
        [file.digest, upload],
      ),
      this.#artifacts.named(file),
      tracked('delete from training_uploads where id = $1', [upload]),
    ]);
  }
}

function etagOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
