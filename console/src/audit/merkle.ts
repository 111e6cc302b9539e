/*
 * What a verifier needs of RFC 6962 (section 2.1) and C2SP tlog-tiles, with the browser's own cryptography. It is written apart from the
 * server's code on purpose: a fault in one shows in the other.
 */

export const TILE_WIDTH = 256;
export type Bytes = Uint8Array<ArrayBuffer>;

async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}

function prefixed(prefix: number, ...parts: Bytes[]): Bytes {
  const whole = new Uint8Array(1 + parts.reduce((sum, { length }) => sum + length, 0));
  whole[0] = prefix;
  let at = 1;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** SHA-256(0x00 ‖ entry). */
export function leafHash(entry: Bytes): Promise<Bytes> {
  return sha256(prefixed(0, entry));
}

/** SHA-256(0x01 ‖ left ‖ right). */
function nodeHash(left: Bytes, right: Bytes): Promise<Bytes> {
  return sha256(prefixed(1, left, right));
}

/**
 * Roots of the first n leaves as they come: one hash for each full subtree, largest first. Leaves are given many at a time, so that a level
 * is hashed side by side.
 */
export class Roots {
  #subtrees: { size: number; hash: Bytes }[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  async add(leaf: Bytes): Promise<void> {
    let top = { size: 1, hash: leaf };
    while (this.#subtrees.at(-1)?.size === top.size) {
      const left = this.#subtrees.pop()!;
      top = { size: 2 * top.size, hash: await nodeHash(left.hash, top.hash) };
    }
    this.#subtrees.push(top);
    this.#size++;
  }

  /** Adds a full subtree of `size` leaves (a power of two) whose root is known. */
  async addSubtree(size: number, hash: Bytes): Promise<void> {
    let top = { size, hash };
    while (this.#subtrees.at(-1)?.size === top.size) {
      const left = this.#subtrees.pop()!;
      top = { size: 2 * top.size, hash: await nodeHash(left.hash, top.hash) };
    }
    this.#subtrees.push(top);
    this.#size += size;
  }

  async root(): Promise<Bytes> {
    let root: Bytes | undefined;
    for (const { hash } of this.#subtrees.toReversed()) root = root ? await nodeHash(hash, root) : hash;
    return root ?? sha256(new Uint8Array());
  }
}

/** The root of leaves whose number is a power of two. */
export async function fullRoot(leaves: readonly Bytes[]): Promise<Bytes> {
  let level = leaves;
  while (level.length > 1)
    level = await Promise.all(
      Array.from({ length: level.length / 2 }, (_, i) => nodeHash(level[2 * i]!, level[2 * i + 1]!)),
    );
  return level[0]!;
}

/** Whether a leaf is at `index` of the tree of `size` with this root (RFC 9162, section 2.1.3.2). */
export async function verifyInclusion(
  leaf: Bytes,
  index: number,
  size: number,
  proof: readonly Bytes[],
  root: Bytes,
): Promise<boolean> {
  if (index >= size) return false;
  let fn = index;
  let sn = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      hash = await nodeHash(sibling, hash);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else hash = await nodeHash(hash, sibling);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && equal(hash, root);
}

/** The entries of a bundle, each with its length before it: 16 bits, big endian. @throws Error when it is cut */
export function splitBundle(bundle: Bytes): Bytes[] {
  const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength);
  const entries: Bytes[] = [];
  for (let at = 0; at < bundle.length; ) {
    if (at + 2 > bundle.length) throw new Error('The bundle ends in the middle of a length.');
    const end = at + 2 + view.getUint16(at);
    if (end > bundle.length) throw new Error('The bundle ends in the middle of an entry.');
    entries.push(bundle.subarray(at + 2, end));
    at = end;
  }
  return entries;
}

/** `entries/x001/234.p/17`: 1234 as groups of three digits, and the width of a bundle that is not full. */
export function bundlePath(index: number, width: number): string {
  const digits = String(index).padStart(Math.ceil(String(index).length / 3) * 3, '0');
  const groups = digits.match(/\d{3}/g)!;
  const path = groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join('/');
  return `entries/${path}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

export function equal(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** @throws Error */
export function fromBase64(text: string): Bytes {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

export function toBase64(bytes: Bytes): string {
  return btoa(String.fromCharCode(...bytes));
}
