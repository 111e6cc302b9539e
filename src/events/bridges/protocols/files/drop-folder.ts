import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, mkdir, open, readdir, realpath, rename, stat, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AiosError } from '../../../../kernel/errors.ts';

/** A file as it was found: the same name with other content is another file. */
export interface DroppedFile extends FoundFile {
  readonly digest: string;
}

/** What the system says of a file: one that was changed says another size or time, one that was put in its place another inode. */
export interface FileStatus {
  readonly inode: number;
  readonly size: number;
  /** Of the last change, in milliseconds since the epoch. */
  readonly timeMs: number;
}

/** A file that is there, before its content is looked at. */
export interface FoundFile extends FileStatus {
  readonly name: string;
}

interface Look {
  readonly status: FileStatus;
  /** On the monotonic clock. */
  readonly sinceMs: number;
  digest?: string;
}

/** Where files go that were read, and those that could not be. */
const DONE = 'done';
const FAILED = 'failed';
/** Names of files that somebody is still writing. */
const UNFINISHED = /^\.|\.(tmp|part|partial|crdownload)$/i;
const DIGEST_CHARACTERS = 16;

/**
 * The folder of a bridge, where the operator allows it.
 *
 * @throws AiosError `bridges.refused`
 */
export async function allowedFolder(folder: string, allowed: readonly string[]): Promise<string> {
  const real = await realpath(folder).catch((error: Error) => {
    throw new AiosError('bridges.refused', { detail: `${folder}: ${error.message}` });
  });
  const roots = await Promise.all(allowed.map((root) => realpath(root).catch(() => undefined)));
  if (roots.some((root) => root !== undefined && (real === root || real.startsWith(join(root, sep)))))
    return real;
  throw new AiosError('bridges.refused', {
    detail: `${folder} is in no folder of AIOS_BRIDGE_FOLDERS: ${allowed.join(', ') || 'none is allowed'}.`,
  });
}

/** What the system says of a file or a folder, not what is in it: nothing is wrong with the file. */
export function isOfSystem(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'errno' in error;
}

/** What the system said, as AIOS tells it; anything else as it is. */
export function folderFailure(error: unknown): unknown {
  if (!isOfSystem(error)) return error;
  const isRefusal = ['EACCES', 'EPERM', 'EROFS'].includes(error.code ?? '');
  return new AiosError(isRefusal ? 'bridges.refused' : 'bridges.failed', {
    detail: error.message,
    cause: error,
  });
}

/** A folder that is looked at: files that nobody writes any more, in the order of their names. */
export class DropFolder {
  readonly path: string;
  readonly #pattern: RegExp;
  readonly #settleMs: number;
  #looks = new Map<string, Look>();

  /** @param pattern names with `*` and `?` */
  constructor(path: string, { pattern, settleMs }: { pattern: string; settleMs: number }) {
    this.path = path;
    this.#settleMs = settleMs;
    const source = pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.');
    this.#pattern = new RegExp(`^${source}$`, 's');
  }

  /** The files that have been as they are for as long as it takes to be sure. */
  async files(): Promise<FoundFile[]> {
    const entries = await readdir(this.path, { withFileTypes: true });
    const names = entries
      .filter((entry) => entry.isFile() && this.#pattern.test(entry.name) && !UNFINISHED.test(entry.name))
      .map(({ name }) => name)
      .sort();
    const looks = new Map<string, Look>();
    const found: FoundFile[] = [];
    const nowMs = performance.now();
    for (const name of names) {
      const status = await this.status(name);
      if (!status) continue;
      const before = this.#looks.get(name);
      const look: Look = before && isSame(before.status, status) ? before : { status, sinceMs: nowMs };
      looks.set(name, look);
      if (nowMs - look.sinceMs < this.#settleMs) continue;
      found.push({ name, ...status });
    }
    this.#looks = looks;
    return found;
  }

  /** Nothing for a file that is not there. */
  async status(name: string): Promise<FileStatus | undefined> {
    const found = await unlessGone(stat(this.pathOf(name)));
    return found && { inode: found.ino, size: found.size, timeMs: found.mtimeMs };
  }

  /** With the digest of its content; nothing when it is gone. */
  async identified(file: FoundFile): Promise<DroppedFile | undefined> {
    const look = this.#looks.get(file.name);
    const digest = look?.digest ?? (await unlessGone(digestOf(this.pathOf(file.name))));
    if (digest === undefined) return undefined;
    if (look) look.digest = digest;
    return { ...file, digest };
  }

  /**
   * Whether a file is still there.
   *
   * @throws Error of the system where it may not or cannot be opened
   */
  async isReadable(name: string): Promise<boolean> {
    const handle = await unlessGone(open(this.pathOf(name)));
    await handle?.close();
    return handle !== undefined;
  }

  pathOf(name: string): string {
    return join(this.path, name);
  }

  /**
   * Moves a file that was read. Another that was done under its name stays.
   *
   * @param end what it was when its last row was read
   * @returns false for one that was changed so that not all of it was read: it stays, as does another that was put in its place
   */
  async finish(file: DroppedFile, end: FileStatus | undefined = file): Promise<boolean> {
    const status = await this.status(file.name);
    if (!status || status.inode !== file.inode) return true;
    if (!end || !isSame(status, end)) return false;
    // What was written behind it meanwhile was read with it; what was written over it was not.
    if (!isSame(status, file) && (await this.#beginning(file)) !== file.digest) return false;
    await this.#move(file, DONE);
    return true;
  }

  /** Moves a file that cannot be read, with the reason beside it. Says whether it did: one that was changed since may be whole by now. */
  async setAside(file: DroppedFile, reason: string): Promise<boolean> {
    const status = await this.status(file.name);
    if (!status || !isSame(status, file)) return false;
    const moved = await this.#move(file, FAILED);
    if (moved) await writeFile(`${moved}.reason.txt`, `${reason}\n`);
    return moved !== undefined;
  }

  /** The digest of what was there of it when it was found. */
  #beginning({ name, size }: DroppedFile): Promise<string | undefined> {
    return unlessGone(digestOf(this.pathOf(name), size));
  }

  async #move({ name, digest }: DroppedFile, folder: string): Promise<string | undefined> {
    await mkdir(join(this.path, folder), { recursive: true });
    let target = join(this.path, folder, name);
    const isThere = await access(target).then(
      () => true,
      () => false,
    );
    if (isThere) target = join(this.path, folder, `${digest}-${name}`);
    return unlessGone(rename(this.pathOf(name), target).then(() => target));
  }
}

function isSame(one: FileStatus, other: FileStatus): boolean {
  return one.inode === other.inode && one.size === other.size && one.timeMs === other.timeMs;
}

/** Nothing for a file that is not there any more: another process has read and moved it. */
async function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isOfSystem(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** @param size bytes from its beginning; all when left out */
async function digestOf(path: string, size = Number.POSITIVE_INFINITY): Promise<string> {
  const hash = createHash('sha256');
  if (size > 0) await pipeline(createReadStream(path, { end: size - 1 }), hash);
  return hash.digest('hex').slice(0, DIGEST_CHARACTERS);
}
