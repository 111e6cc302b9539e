import { HASH_BYTES, rootOfHashes, TILE_WIDTH, TiledTree } from '../kernel/merkle.ts';
import type { Queryable } from '../store/database.ts';

/** Reads tiles from their table. */
export function tiledTree(db: Queryable): TiledTree {
  return new TiledTree((level, index) => readTile(db, level, index));
}

export async function readTile(db: Queryable, level: number, index: number): Promise<Buffer[]> {
  const [row] = await db.query<{ hashes: Buffer }>(
    'select hashes from audit_hashes where level = $1 and number = $2',
    [level, index],
  );
  return row ? splitHashes(row.hashes) : [];
}

function splitHashes(bytes: Buffer): Buffer[] {
  return Array.from({ length: bytes.length / HASH_BYTES }, (_, i) =>
    bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
  );
}

/** Appends leaf hashes to the tree of `size` leaves: the tiles that grew are written, full ones give a hash to the level above. */
export async function appendLeaves(tx: Queryable, size: number, leaves: readonly Buffer[]): Promise<void> {
  let added: readonly Uint8Array[] = leaves;
  let first = size;
  for (let level = 0; added.length > 0; level++) {
    const parents: Uint8Array[] = [];
    for (let at = 0; at < added.length; ) {
      const index = Math.floor((first + at) / TILE_WIDTH);
      const from = (first + at) % TILE_WIDTH;
      const known = from > 0 ? await readTile(tx, level, index) : [];
      const count = Math.min(TILE_WIDTH - from, added.length - at);
      const hashes = [...known.slice(0, from), ...added.slice(at, at + count)];
      await tx.query(
        'insert into audit_hashes (level, number, hashes) values ($1, $2, $3) on conflict (level, number) do update set hashes = excluded.hashes',
        [level, index, Buffer.concat(hashes)],
      );
      if (hashes.length === TILE_WIDTH) parents.push(rootOfHashes(hashes));
      at += count;
    }
    first = Math.floor(first / TILE_WIDTH);
    added = parents;
  }
}
