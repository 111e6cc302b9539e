import { PARTITIONS } from './partitions.ts';

/** What an event is known by: 16 bytes of a digest over its source and id, a character (0 to 255) a byte. */
export type EventKey = string;

export const KEY_BYTES = 16;

const WORDS = KEY_BYTES / 4;
const SLOTS_MIN = 1024;

/** Where an event stands. */
export interface Place {
  readonly partition: number;
  readonly offset: number;
}

/**
 * Keys of events and where these stand, by open addressing over arrays of numbers: 28 bytes a slot, half of the slots in use at most. A lookup reads
 * the small array of marks, which the processor's caches hold, and the others where a mark is equal. In a `Map` an
 * entry takes about 130 bytes, which the garbage collector walks, and a million of them stop the process for 50 ms when it grows.
 *
 * @example const index = new KeyIndex(); index.set(key, { partition: 3, offset: 17 }); index.get(key) // { partition: 3, offset: 17 }
 */
export class KeyIndex {
  /** A part of the key, odd; 0 is a free slot. */
  #marks: Uint32Array;
  #words: Uint32Array;
  /** As one number, exact up to an offset of 2^50. */
  #places: Float64Array;
  #size = 0;

  /** With room for so many keys, before it grows. */
  constructor(keyCount = 0) {
    const slots = Math.max(SLOTS_MIN, 2 ** Math.ceil(Math.log2(keyCount * 2 + 1)));
    this.#marks = new Uint32Array(slots);
    this.#words = new Uint32Array(slots * WORDS);
    this.#places = new Float64Array(slots);
  }

  get size(): number {
    return this.#size;
  }

  get(key: EventKey): Place | undefined {
    const slot = this.#slotOf(wordAt(key, 0), wordAt(key, 1), wordAt(key, 2), wordAt(key, 3));
    if (this.#marks[slot] === 0) return undefined;
    return this.#placeAt(slot);
  }

  set(key: EventKey, { partition, offset }: Place): void {
    if (this.#size * 2 >= this.#marks.length) this.#grow();
    const a = wordAt(key, 0);
    const b = wordAt(key, 1);
    const c = wordAt(key, 2);
    const d = wordAt(key, 3);
    this.#put(this.#slotOf(a, b, c, d), a, b, c, d, offset * PARTITIONS + partition);
  }

  /** Enters a key that is not there; where it is, answers with its place and changes nothing. One probe for both, which half of the time waits for memory. */
  claim(key: EventKey, partition: number, offset: number): Place | undefined {
    if (this.#size * 2 >= this.#marks.length) this.#grow();
    const a = wordAt(key, 0);
    const b = wordAt(key, 1);
    const c = wordAt(key, 2);
    const d = wordAt(key, 3);
    const slot = this.#slotOf(a, b, c, d);
    if (this.#marks[slot] !== 0) return this.#placeAt(slot);
    this.#put(slot, a, b, c, d, offset * PARTITIONS + partition);
    return undefined;
  }

  /** Takes a key out, if it is there. */
  delete(key: EventKey): void {
    const slot = this.#slotOf(wordAt(key, 0), wordAt(key, 1), wordAt(key, 2), wordAt(key, 3));
    if (this.#marks[slot] !== 0) this.#free(slot);
  }

  /** Takes out those that stand before their partition's offset: in place, where another index would be 28 MB for 500,000 keys. */
  deleteBefore(offsets: readonly number[]): void {
    const isBefore = (slot: number): boolean => {
      const place = this.#places[slot]!;
      return this.#marks[slot] !== 0 && Math.floor(place / PARTITIONS) < offsets[place % PARTITIONS]!;
    };
    // What moves up into a slot was not looked at yet.
    for (let slot = 0; slot < this.#marks.length; slot++) while (isBefore(slot)) this.#free(slot);
  }

  /** Those behind it in its run of slots move up, so that none of them is cut off by a free one (Knuth, TAOCP 6.4, algorithm R). */
  #free(hole: number): void {
    const [marks, words, places] = [this.#marks, this.#words, this.#places];
    const mask = marks.length - 1;
    for (let slot = (hole + 1) & mask; marks[slot] !== 0; slot = (slot + 1) & mask) {
      const isBehindHome = ((slot - words[slot * WORDS]!) & mask) >= ((slot - hole) & mask);
      if (!isBehindHome) continue;
      marks[hole] = marks[slot]!;
      places[hole] = places[slot]!;
      words.copyWithin(hole * WORDS, slot * WORDS, (slot + 1) * WORDS);
      hole = slot;
    }
    marks[hole] = 0;
    this.#size--;
  }

  #grow(): void {
    const [marks, words, places] = [this.#marks, this.#words, this.#places];
    this.#marks = new Uint32Array(marks.length * 2);
    this.#words = new Uint32Array(words.length * 2);
    this.#places = new Float64Array(places.length * 2);
    this.#size = 0;
    for (let slot = 0; slot < marks.length; slot++)
      if (marks[slot] !== 0) this.#copy(words, slot, places[slot]!);
  }

  #copy(words: Uint32Array, slot: number, place: number): void {
    const at = slot * WORDS;
    const a = words[at]!;
    const b = words[at + 1]!;
    const c = words[at + 2]!;
    const d = words[at + 3]!;
    this.#put(this.#slotOf(a, b, c, d), a, b, c, d, place);
  }

  #placeAt(slot: number): Place {
    const place = this.#places[slot]!;
    return { partition: place % PARTITIONS, offset: Math.floor(place / PARTITIONS) };
  }

  #put(slot: number, a: number, b: number, c: number, d: number, place: number): void {
    if (this.#marks[slot] === 0) this.#size++;
    this.#marks[slot] = b | 1;
    this.#places[slot] = place;
    const at = slot * WORDS;
    this.#words[at] = a;
    this.#words[at + 1] = b;
    this.#words[at + 2] = c;
    this.#words[at + 3] = d;
  }

  /** Of the key, or the free one where it would go. A digest is spread evenly by itself. */
  #slotOf(a: number, b: number, c: number, d: number): number {
    const marks = this.#marks;
    const mark = (b | 1) >>> 0;
    const mask = marks.length - 1;
    for (let slot = a & mask; ; slot = (slot + 1) & mask) {
      if (marks[slot] === 0) return slot;
      if (marks[slot] !== mark) continue;
      const [words, at] = [this.#words, slot * WORDS];
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d) return slot;
    }
  }
}

/** One of the four 32-bit words that a key is made of, little-endian. */
export function wordAt(key: EventKey, word: number): number {
  const at = word * 4;
  return (
    (key.charCodeAt(at) |
      (key.charCodeAt(at + 1) << 8) |
      (key.charCodeAt(at + 2) << 16) |
      (key.charCodeAt(at + 3) << 24)) >>>
    0
  );
}
