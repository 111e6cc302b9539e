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
  #marks = new Uint32Array(SLOTS_MIN);
  #words = new Uint32Array(SLOTS_MIN * WORDS);
  /** As one number, exact up to an offset of 2^50. */
  #places = new Float64Array(SLOTS_MIN);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: EventKey): Place | undefined {
    const slot = this.#slotOf(wordAt(key, 0), wordAt(key, 1), wordAt(key, 2), wordAt(key, 3));
    if (this.#marks[slot] === 0) return undefined;
    const place = this.#places[slot]!;
    return { partition: place % PARTITIONS, offset: Math.floor(place / PARTITIONS) };
  }

  set(key: EventKey, { partition, offset }: Place): void {
    if (this.#size * 2 >= this.#marks.length) this.#grow();
    const place = offset * PARTITIONS + partition;
    this.#put(wordAt(key, 0), wordAt(key, 1), wordAt(key, 2), wordAt(key, 3), place);
  }

  /** An index of those entries that stand at their partition's offset or behind it. */
  from(offsets: readonly number[]): KeyIndex {
    const kept = new KeyIndex();
    for (let slot = 0; slot < this.#marks.length; slot++) {
      if (this.#marks[slot] === 0) continue;
      const place = this.#places[slot]!;
      if (Math.floor(place / PARTITIONS) < offsets[place % PARTITIONS]!) continue;
      if (kept.#size * 2 >= kept.#marks.length) kept.#grow();
      kept.#copy(this.#words, slot, place);
    }
    return kept;
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
    this.#put(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!, place);
  }

  #put(a: number, b: number, c: number, d: number, place: number): void {
    const slot = this.#slotOf(a, b, c, d);
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

function wordAt(key: EventKey, word: number): number {
  const at = word * 4;
  return (
    (key.charCodeAt(at) |
      (key.charCodeAt(at + 1) << 8) |
      (key.charCodeAt(at + 2) << 16) |
      (key.charCodeAt(at + 3) << 24)) >>>
    0
  );
}
