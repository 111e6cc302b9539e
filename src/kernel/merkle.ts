import { createHash } from 'node:crypto';

/*
 * The Merkle tree of RFC 6962, section 2.1, kept in tiles as in C2SP tlog-tiles (c2sp.org/tlog-tiles): a tile of level L holds up to 256
 * hashes, each the root of a full tile of level L - 1; a tile of level 0 holds leaf hashes.
 */

export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;
export const HASH_BYTES = 32;

/** Hash of a leaf: SHA-256(0x00 ‖ entry). */
export function leafHash(entry: Uint8Array | string): Buffer {
  return createHash('sha256').update('\0').update(entry).digest();
}

/** Hash of an inner node: SHA-256(0x01 ‖ left ‖ right). */
function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return createHash('sha256').update('\u0001').update(left).update(right).digest();
}

/** The root over no leaves at all. */
export const EMPTY_ROOT: Buffer = createHash('sha256').digest();

/** The largest power of two below `size`. */
function splitOf(size: number): number {
  let half = 1;
  while (half * 2 < size) half *= 2;
  return half;
}

/** The root of full and partial subtrees that are given as hashes, in order. */
export function rootOfHashes(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 0) return EMPTY_ROOT;
  if (hashes.length === 1) return hashes[0]!;
  const half = splitOf(hashes.length);
  return nodeHash(rootOfHashes(hashes.slice(0, half)), rootOfHashes(hashes.slice(half)));
}

/** Adds leaves one by one and knows the root: holds one hash per level. */
export class TreeFrontier {
  readonly #levels: (Buffer | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(leaf: Buffer): void {
    let hash = leaf;
    let level = 0;
    for (; this.#levels[level]; level++) {
      hash = nodeHash(this.#levels[level]!, hash);
      this.#levels[level] = undefined;
    }
    this.#levels[level] = hash;
    this.#size++;
  }

  root(): Buffer {
    let root: Buffer | undefined;
    for (const hash of this.#levels) if (hash) root = root ? nodeHash(hash, root) : hash;
    return root ?? EMPTY_ROOT;
  }
}

/** Reads the hashes of one tile, as many as there are. */
export type ReadTile = (level: number, index: number) => Promise<readonly Uint8Array[]>;

/** Root and proofs of a tree whose tiles are read on demand. */
export class TiledTree {
  readonly #read: ReadTile;
  readonly #tiles = new Map<string, Promise<readonly Uint8Array[]>>();

  constructor(read: ReadTile) {
    this.#read = read;
  }

  root(size: number): Promise<Uint8Array> {
    return this.#range(0, size);
  }

  /** The audit path of a leaf in the tree of `size` leaves (RFC 6962, section 2.1.1). */
  async inclusionProof(index: number, size: number): Promise<Uint8Array[]> {
    const path: Uint8Array[] = [];
    let low = 0;
    let high = size;
    while (high - low > 1) {
      const middle = low + splitOf(high - low);
      path.unshift(index < middle ? await this.#range(middle, high) : await this.#range(low, middle));
      if (index < middle) high = middle;
      else low = middle;
    }
    return path;
  }

  async #range(low: number, high: number): Promise<Uint8Array> {
    const size = high - low;
    if (size === 0) return EMPTY_ROOT;
    if ((size & (size - 1)) === 0 && low % size === 0) return this.#subtree(Math.log2(size), low / size);
    const middle = low + splitOf(size);
    return nodeHash(await this.#range(low, middle), await this.#range(middle, high));
  }

  async #subtree(height: number, index: number): Promise<Uint8Array> {
    const level = Math.floor(height / TILE_HEIGHT);
    const width = 2 ** (height % TILE_HEIGHT);
    const first = index * width;
    const tile = await this.#tile(level, Math.floor(first / TILE_WIDTH));
    const from = first % TILE_WIDTH;
    return rootOfHashes(tile.slice(from, from + width));
  }

  #tile(level: number, index: number): Promise<readonly Uint8Array[]> {
    const key = `${level}/${index}`;
    let tile = this.#tiles.get(key);
    if (!tile) {
      tile = this.#read(level, index);
      this.#tiles.set(key, tile);
    }
    return tile;
  }
}

/**
 * Whether a leaf is at `index` in the tree of `size` leaves with this root (RFC 9162, section 2.1.3.2).
 *
 * @example verifyInclusion(leafHash(entry), 5, 7, proof, root) // true
 */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (index >= size) return false;
  let fn = index;
  let sn = size - 1;
  let hash = leaf;
  for (const step of proof) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(step, hash);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else hash = nodeHash(hash, step);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && Buffer.compare(hash, root) === 0;
}

/**
 * A tile's path, `tile/<level>/<index>` with the index in groups of three digits, and `.p/<width>` for one that is not full.
 *
 * @example tilePath(0, 1234, 17) // 'tile/0/x001/234.p/17'
 */
export function tilePath(level: number | 'entries', index: number, width = TILE_WIDTH): string {
  const digits = String(index).padStart(Math.ceil(String(index).length / 3) * 3, '0');
  const groups = digits.match(/\d{3}/g)!;
  const path = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
  return `tile/${level}/${path}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

/** The number in the index part of a tile's path: `x001/234` is 1234. */
export function parseTileIndex(text: string): number | undefined {
  return /^(x\d{3}\/)*\d{3}$/.test(text) ? Number(text.replace(/[x/]/g, '')) : undefined;
}

/** The entries of a bundle: each with its length before it, 16 bits, big endian. */
export function splitBundle(bytes: Uint8Array): Buffer[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: Buffer[] = [];
  for (let at = 0; at < view.length; ) {
    const end = at + 2 + view.readUInt16BE(at);
    if (end > view.length) throw new RangeError('the bundle ends in the middle of an entry');
    entries.push(view.subarray(at + 2, end));
    at = end;
  }
  return entries;
}

export function joinBundle(entries: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    entries.flatMap((entry) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(entry.byteLength);
      return [length, entry];
    }),
  );
}
