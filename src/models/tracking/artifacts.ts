import { digestOfBytes } from '../../kernel/canonical.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Write } from '../../store/lane.ts';
import { timestamp } from '../../store/rows.ts';
import type { TrackingDependencies } from './experiments.ts';
import { tracked } from './tracking-lane.ts';

export interface ArtifactFile {
  /** From the folder that was listed. */
  readonly path: string;
  readonly isFolder: boolean;
  readonly sizeBytes: number | null;
}

const SCHEME = 'mlflow-artifacts:/';

/** Files of training runs and logged models, kept by their digest: a model that is registered from them is the same bytes, not a copy. */
export class TrackingArtifacts {
  readonly #deps: TrackingDependencies;

  constructor(dependencies: TrackingDependencies) {
    this.#deps = dependencies;
  }

  /** A file that is there already is replaced. @throws AiosError `request.too_large`, `request.invalid` */
  async put(path: string, bytes: Uint8Array): Promise<void> {
    const clean = cleanPath(path);
    checkArtifactSize(clean, bytes.length, this.#deps.limits);
    const digest = digestOfBytes(bytes);
    await this.#deps.commit.commit([
      // The lock of the row keeps it while nothing names it yet.
      tracked(
        'insert into artifacts (digest, bytes) values ($1, $2) on conflict (digest) do update set digest = excluded.digest',
        [digest, bytes],
      ),
      this.named({ path: clean, digest, sizeBytes: bytes.length }),
    ]);
  }

  /** The write that gives bytes that are kept a path. */
  named({ path, digest, sizeBytes }: { path: string; digest: string; sizeBytes: number }): Write {
    return tracked(
      `insert into training_artifacts (path, digest, size_bytes, created_at) values ($1, $2, $3, $4)
       on conflict (path) do update set digest = excluded.digest, size_bytes = excluded.size_bytes, created_at = excluded.created_at`,
      [path, digest, sizeBytes, timestamp(this.#deps.clock.now())],
    );
  }

  /** A file, piece by piece. @throws AiosError `experiments.unknown` */
  async open(path: string): Promise<{ sizeBytes: number; content: AsyncIterable<Uint8Array> }> {
    const clean = cleanPath(path);
    const [row] = await this.#deps.db.query<{ digest: string; sizeBytes: number; isWhole: boolean }>(
      `select digest, size_bytes as "sizeBytes", bytes is not null as "isWhole"
       from training_artifacts join artifacts using (digest) where path = $1`,
      [clean],
    );
    if (!row) throw new AiosError('experiments.unknown', { detail: `There is no file ${clean}.` });
    return { sizeBytes: row.sizeBytes, content: this.#pieces(row.digest, row.isWhole) };
  }

  async *#pieces(digest: string, isWhole: boolean): AsyncGenerator<Uint8Array> {
    const { db } = this.#deps;
    if (isWhole) {
      const [row] = await db.query<{ bytes: Uint8Array }>('select bytes from artifacts where digest = $1', [
        digest,
      ]);
      if (row) yield row.bytes;
      return;
    }
    for (let number = 1; ; number++) {
      const [row] = await db.query<{ bytes: Uint8Array }>(
        'select bytes from artifact_chunks where digest = $1 and number = $2',
        [digest, number],
      );
      if (!row) return;
      yield row.bytes;
    }
  }

  /** The name is free again; the bytes stay, since versions may be made of them. */
  async delete(path: string): Promise<void> {
    const clean = cleanPath(path);
    await this.#deps.commit.commit([
      tracked(`delete from training_artifacts where path = $1 or (path > $1 || '/' and path < $1 || '0')`, [
        clean,
      ]),
    ]);
  }

  /** What lies in a folder, by name; a file lists itself alone under its own path. */
  async list(folder: string): Promise<ArtifactFile[]> {
    const clean = cleanPath(folder);
    // “0” is the character after “/”: the range is what lies below, along the index.
    const rows = await this.#deps.db.query<{ entry: string; isFolder: boolean; sizeBytes: number }>(
      `select entry, bool_or(rest <> '') as "isFolder", sum(size_bytes)::float8 as "sizeBytes"
       from (select split_part(substr(path, length($1) + 2), '/', 1) as entry,
                    split_part(substr(path, length($1) + 2), '/', 2) as rest, size_bytes
             from training_artifacts where path > $1 || '/' and path < $1 || '0') f
       group by entry order by entry limit $2`,
      [clean, this.#deps.limits.trackingListCountMax],
    );
    return rows.map(({ entry, isFolder, sizeBytes }) => ({
      path: entry,
      isFolder,
      sizeBytes: isFolder ? null : sizeBytes,
    }));
  }

  /** Every file below a folder with its digest, by path from it. */
  async below(folder: string): Promise<{ path: string; digest: string; sizeBytes: number }[]> {
    const clean = cleanPath(folder);
    return this.#deps.db.query(
      `select substr(path, length($1) + 2) as path, digest, size_bytes as "sizeBytes" from training_artifacts
       where path > $1 || '/' and path < $1 || '0' order by path limit $2`,
      [clean, this.#deps.limits.trackingListCountMax],
    );
  }
}

/** Where the files of a run are, as its clients are told. @example runArtifacts({ experimentId: 1, id: 'ab' }) // 'mlflow-artifacts:/1/ab/artifacts' */
export function runArtifacts({ experimentId, id }: { experimentId: number; id: string }): string {
  return `${SCHEME}${experimentId}/${id}/artifacts`;
}

/** The same as an expression of SQL over `training_runs r`. */
export const RUN_ARTIFACTS = `'${SCHEME}' || r.experiment_id || '/' || r.id || '/artifacts'`;

/** Where the files of a logged model are. */
export function modelArtifacts({ experimentId, id }: { experimentId: number; id: string }): string {
  return `${SCHEME}${experimentId}/models/${id}/artifacts`;
}

/** The path of an address of ours; nothing for an address of somewhere else. */
export function pathOfUri(uri: string): string | undefined {
  const [, path] = /^mlflow-artifacts:\/+(.+?)\/*$/.exec(uri) ?? [];
  return path;
}

/** @throws AiosError `request.too_large` */
export function checkArtifactSize(
  path: string,
  sizeBytes: number,
  { trackingArtifactBytesMax: limit }: Pick<Limits, 'trackingArtifactBytesMax'>,
): void {
  if (sizeBytes <= limit) return;
  throw new AiosError('request.too_large', {
    detail: `${path} has more than ${limit} bytes.`,
    extensions: { limitName: 'trackingArtifactBytesMax', limit },
  });
}

/** @throws AiosError `request.invalid` */
export function cleanPath(path: string): string {
  const parts = path.split('/').filter((part) => part !== '');
  if (parts.length === 0 || parts.some((part) => part === '.' || part === '..' || part.includes('\0')))
    throw new AiosError('request.invalid', { detail: `“${path}” is not a path of a file here.` });
  return parts.join('/');
}
