import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { AiosClient } from '../client/client.ts';
import { AiosError } from '../kernel/errors.ts';
import { HASH_BYTES, splitBundle, TILE_WIDTH, TiledTree, tilePath } from '../kernel/merkle.ts';
import { openCheckpoint } from '../kernel/signed-note.ts';

/** Where the parts of a log are read: a server, or a folder that `writeLog` wrote. Paths are those of C2SP tlog-tiles. */
export interface LogSource {
  verifier(): Promise<string>;
  checkpoint(): Promise<string>;
  bytes(path: string): Promise<Uint8Array>;
  /** The hashes that prove an entry in the tree of a size, from the leaf up. */
  proof(index: number, size: number): Promise<readonly Uint8Array[]>;
}

const KEY_FILE = 'log.vkey';
const CHECKPOINT = 'checkpoint';

/** @example const note = await serverLog(client).checkpoint() */
export function serverLog(client: AiosClient): LogSource {
  return {
    verifier: async () => (await client.request<{ publicKey: string }>('GET', '/api/v1/audit/key')).publicKey,
    checkpoint: () => client.request<string>('GET', '/api/v1/audit/checkpoint'),
    bytes: (path) => client.bytes(`/api/v1/audit/${path}`),
    async proof(index, size) {
      const query = { index, size };
      const { hashes } = await client.request<{ hashes: string[] }>('GET', '/api/v1/audit/proof', { query });
      return hashes.map((text) => Buffer.from(text, 'base64'));
    },
  };
}

/** @throws AiosError `client.file` for a folder that holds no log */
export function folderLog(folder: string): LogSource {
  const read = async (path: string) => {
    try {
      return await readFile(join(folder, path));
    } catch (cause) {
      const detail = `${join(folder, path)}: there is no such part of a log (${(cause as NodeJS.ErrnoException).code}).`;
      throw new AiosError('client.file', { detail, cause });
    }
  };
  return {
    verifier: async () => (await read(KEY_FILE)).toString().trim(),
    checkpoint: async () => (await read(CHECKPOINT)).toString(),
    bytes: read,
    proof: (index, size) => {
      const tree = new TiledTree(async (level, number) =>
        hashesIn(await read(partPath(level, number, size))),
      );
      return tree.inclusionProof(index, size);
    },
  };
}

/** The bytes of every entry of a tree of a size, in their order. */
export async function* entriesOf(log: LogSource, size: number): AsyncGenerator<Uint8Array> {
  for (let number = 0; number * TILE_WIDTH < size; number++)
    yield* splitBundle(await log.bytes(partPath('entries', number, size)));
}

export async function entryOf(log: LogSource, index: number, size: number): Promise<Uint8Array> {
  const bundle = await log.bytes(partPath('entries', Math.floor(index / TILE_WIDTH), size));
  return splitBundle(bundle)[index % TILE_WIDTH]!;
}

/** The key that somebody kept, or the one that comes with the log and proves no more than it. */
export async function verifierOf(log: LogSource, keyFile: string | undefined): Promise<string> {
  return keyFile === undefined ? log.verifier() : (await readFile(keyFile, 'utf8')).trim();
}

function hashesIn(tile: Uint8Array): Uint8Array[] {
  return Array.from({ length: tile.length / HASH_BYTES }, (_, i) =>
    tile.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
  );
}

/** A tile or a bundle of a tree, as wide as it is there. */
function partPath(level: 'entries' | number, number: number, size: number): string {
  const hashes = Math.floor(size / TILE_WIDTH ** (level === 'entries' ? 0 : level));
  return tilePath(level, number, Math.min(TILE_WIDTH, hashes - number * TILE_WIDTH));
}

/**
 * Copies the log of a server into a folder, in the layout of C2SP tlog-tiles: `checkpoint`, `tile/…`, `tile/entries/…`, beside them the key as `log.vkey`. It is
 * all that verifiers need, ours or others'.
 *
 * @returns how many entries the checkpoint counts
 */
export async function writeLog(
  client: AiosClient,
  folder: string,
  onProgress: (told: string) => void,
): Promise<{ folder: string; size: number }> {
  const source = serverLog(client);
  const put = async (path: string, bytes: string | Uint8Array) => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  };
  const [verifier, note] = [await source.verifier(), await source.checkpoint()];
  const { size } = openCheckpoint(note, verifier);
  let toldMs = performance.now();
  for (const path of partsOf(size)) {
    await put(path, await source.bytes(path));
    if (performance.now() - toldMs < PROGRESS_MS) continue;
    onProgress(`· ${path}`);
    toldMs = performance.now();
  }
  await put(KEY_FILE, `${verifier}\n`);
  // Last: a copy that was cut off is none.
  await put(CHECKPOINT, note);
  return { folder, size };
}

const PROGRESS_MS = 1000;

/** Bundles of entries, and the tiles of hashes of every level. */
function* partsOf(size: number): Generator<string> {
  for (let number = 0; number * TILE_WIDTH < size; number++) yield partPath('entries', number, size);
  for (let level = 0, hashes = size; hashes > 0; level++, hashes = Math.floor(hashes / TILE_WIDTH))
    for (let number = 0; number * TILE_WIDTH < hashes; number++) yield partPath(level, number, size);
}
