import { AiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';

/** Gives back what a request held; a second call does nothing. */
export type Release = () => void;

/**
 * Bodies up to this many bytes are read before anybody looks at who sends them: the key of a small request is looked at once, with its body there. What is
 * larger is let in by its head, and held against the intake.
 */
export const UNASKED_BODY_BYTES_MAX = 64 * 1024;

const RETRY_MS = 1_000;
/** What one byte of deflate becomes at most (RFC 1951: 258 bytes out of two bits, hardly more than 1032:1). */
const INFLATION_MAX = 1_032;

/** The bytes that so many compressed ones may become; the limit of any body holds for what is decompressed, too. */
export function inflatedBytesMax(compressed: number, bytesMax: number): number {
  return Math.min(compressed * INFLATION_MAX, bytesMax);
}

/**
 * Bounds the bytes of large bodies under way in this process, from the first byte that is read to the answer: past it callers are asked to come again,
 * before memory grows.
 *
 * @example const release = intake.take(1_000_000); reply.once('close', release)
 */
export class BodyIntake {
  readonly #bytesMax: number;
  readonly #requestBytesMax: number;
  #bytes = 0;

  constructor({
    bodyIntakeBytesMax,
    requestBytesMax,
  }: Pick<Limits, 'bodyIntakeBytesMax' | 'requestBytesMax'>) {
    this.#bytesMax = bodyIntakeBytesMax;
    this.#requestBytesMax = requestBytesMax;
  }

  /** Bytes of large bodies that are read or wait for their answer. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Holds the bytes of a body that is about to be read. One alone is always let in.
   *
   * @param length undefined where it is not told: then the largest there may be
   * @throws AiosError `request.overloaded`
   */
  take(length: number | undefined): Release {
    const bytes = Math.min(length ?? this.#requestBytesMax, this.#requestBytesMax);
    if (this.#bytes > 0 && this.#bytes + bytes > this.#bytesMax)
      throw new AiosError('request.overloaded', {
        detail: `${this.#bytes} bytes of requests are under way.`,
        extensions: { limitName: 'bodyIntakeBytesMax', limit: this.#bytesMax, retryAfterMs: RETRY_MS },
      });
    this.#bytes += bytes;
    let isHeld = true;
    return () => {
      if (isHeld) this.#bytes -= bytes;
      isHeld = false;
    };
  }
}
