/** With so many bits a key (up to twice as many: sizes are powers of two) and so many of them set by each, one of 1,700 other keys is taken for entered. */
const BITS_PER_KEY = 14;
const PROBES = 8;

/**
 * Says of a key that it was never entered, or that it may have been: a Bloom filter (Bloom, “Space/time trade-offs in hash coding with allowable errors”, CACM 13,
 * 1970). Two bytes a key, where a `KeyIndex` takes 56. A key is a digest already, so the positions of its bits follow from two of its words (Kirsch and Mitzenmacher,
 * “Less hashing, same performance”, 2006).
 *
 * @example const filter = KeyFilter.for(1000); filter.add(2, 3); filter.has(2, 3) // true
 */
export class KeyFilter {
  readonly bytes: Uint8Array;
  readonly #mask: number;

  /** Over the bytes of another one. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#mask = bytes.length * 8 - 1;
  }

  /** An empty one with room for so many keys; with more of them it says “may be” more often. */
  static for(keyCount: number): KeyFilter {
    return new KeyFilter(
      new Uint8Array(2 ** Math.ceil(Math.log2(Math.max(1, (keyCount * BITS_PER_KEY) / 8)))),
    );
  }

  /** Enters a key by its last two words (`wordAt` of `key-index.ts`). */
  add(first: number, step: number): void {
    let bit = first & this.#mask;
    for (let probe = 0; probe < PROBES; probe++) {
      this.bytes[bit >>> 3]! |= 1 << (bit & 7);
      bit = (bit + (step | 1)) & this.#mask;
    }
  }

  has(first: number, step: number): boolean {
    let bit = first & this.#mask;
    for (let probe = 0; probe < PROBES; probe++) {
      if ((this.bytes[bit >>> 3]! & (1 << (bit & 7))) === 0) return false;
      bit = (bit + (step | 1)) & this.#mask;
    }
    return true;
  }
}
