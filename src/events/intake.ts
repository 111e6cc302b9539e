import { AiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';

/** Gives back what a request held, once. */
type Release = () => void;

const RETRY_MAX_MS = 30_000;

/**
 * Bounds what producers have under way in this process, from the first byte of a body to the commit of its events: past it they are asked to come
 * again, before memory grows. Parsed events take a few times the bytes of their JSON.
 *
 * @example const release = intake.take(contentLength); response.once('close', release)
 */
export class Intake {
  readonly #bytesMax: number;
  readonly #requestBytesMax: number;
  #bytes = 0;
  #count = 0;
  /** What has been done lately, for a guess of when there is room. */
  #doneBytes = 0;
  #sinceMs = performance.now();
  #bytesPerMs = 0;

  constructor({
    eventIntakeBytesMax,
    requestBytesMax,
  }: Pick<Limits, 'eventIntakeBytesMax' | 'requestBytesMax'>) {
    this.#bytesMax = eventIntakeBytesMax;
    this.#requestBytesMax = requestBytesMax;
  }

  /** Bytes of bodies that are read or wait for their commit. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Holds the bytes of a body that is about to be read. One alone is always let in.
   *
   * @param length the content length; the largest there may be where it is not told
   * @throws AiosError `request.overloaded`
   */
  take(length: number | undefined): Release {
    const bytes = Math.min(length ?? this.#requestBytesMax, this.#requestBytesMax);
    if (this.#count > 0 && this.#bytes + bytes > this.#bytesMax) {
      throw new AiosError('request.overloaded', {
        detail: `${this.#bytes} bytes of events wait for the database.`,
        extensions: {
          limitName: 'eventIntakeBytesMax',
          limit: this.#bytesMax,
          retryAfterMs: this.#waitMs(this.#bytes + bytes - this.#bytesMax),
        },
      });
    }
    if (this.#count === 0) this.#measure(); // while nobody sends anything nothing says how fast it would be
    this.#bytes += bytes;
    this.#count++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#bytes -= bytes;
      this.#count--;
      this.#doneBytes += bytes;
    };
  }

  #measure(): void {
    this.#doneBytes = 0;
    this.#sinceMs = performance.now();
  }

  /** When so many bytes more will have been written, at the pace of the last seconds in which there was something to do; a second, where nothing is known of it. */
  #waitMs(bytes: number): number {
    const elapsedMs = performance.now() - this.#sinceMs;
    if (elapsedMs > 1000) {
      this.#bytesPerMs = this.#doneBytes / elapsedMs;
      this.#measure();
    }
    return this.#bytesPerMs > 0 ? Math.min(RETRY_MAX_MS, Math.ceil(bytes / this.#bytesPerMs)) : 1000;
  }
}
