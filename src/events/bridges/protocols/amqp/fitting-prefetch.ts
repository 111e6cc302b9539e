/** Messages that are asked for while their size is not known. */
const FIRST = 32;
const GROWTH = 4;

/**
 * How many messages a broker may send ahead, where it counts messages and we have so many bytes for them: few at first, more while what passes is small, and no more
 * than have fitted once they were too large. It grows after four times as many have passed, so that a message is given back at most as often as a bound can be halved.
 *
 * @example const prefetch = new FittingPrefetch(500, 2_097_152); prefetch.count // 32
 */
export class FittingPrefetch {
  readonly #countMax: number;
  readonly #bytesMax: number;
  #count: number;
  #passed = 0;
  #passedBytes = 0;

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
    this.#count = Math.min(countMax, FIRST);
  }

  get count(): number {
    return this.#count;
  }

  /** So many messages of so many bytes were dealt with. Answers whether `count` has grown. */
  passed(messages: number, bytes: number): boolean {
    this.#passed += messages;
    this.#passedBytes += bytes;
    if (this.#count === this.#countMax || this.#passed < GROWTH * this.#count) return false;
    const fitting = Math.floor((this.#bytesMax * this.#passed) / Math.max(1, this.#passedBytes));
    this.#begin();
    const grown = Math.min(this.#countMax, fitting, GROWTH * this.#count);
    if (grown < Math.min(2 * this.#count, this.#countMax)) return false;
    this.#count = grown;
    return true;
  }

  /** More came than there was room for, which was for so many of them. */
  overflowed(fitted: number): void {
    this.#begin();
    this.#count = Math.max(1, Math.min(fitted, Math.floor(this.#count / 2)));
  }

  #begin(): void {
    this.#passed = 0;
    this.#passedBytes = 0;
  }
}
