import { AiosError } from '../kernel/errors.ts';
import { type BodyIntake, inflatedBytesMax, type Release, UNASKED_BODY_BYTES_MAX } from './body-intake.ts';

/** Of a message in gRPC's framing: whether it is compressed, and its length. */
const HEAD_BYTES = 5;
/** From the head of a large message to its last byte, as for a body of HTTP. */
const MESSAGE_MS = 120_000;
const NOTHING = Buffer.alloc(0);

export interface MessageBounds {
  /** One message, compressed and not. */
  readonly bytesMax: number;
  /** Holds large messages; undefined where none is large. */
  readonly intake: BodyIntake | undefined;
}

/**
 * The messages of one call out of the bytes that come, in the place of grpc-js' own decoder, which takes what fits its length however much is under way. A
 * large message has its place in the intake from its head on: one that is compressed as much as it may become. It is written into one buffer: the slices of a
 * client that sends byte by byte would take a hundred times its length.
 */
export class GrpcMessages {
  readonly #bounds: MessageBounds;
  readonly #refuse: (error: AiosError) => void;
  #held: { readonly message: number; readonly release: Release }[] | undefined;
  #begun = 0;
  #answered = 0;
  #isOver = false;
  /** Of a head that came in pieces. */
  #head = NOTHING;
  #message: Buffer | undefined;
  #filled = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param refuse ends the call: with `request.too_large`, `request.overloaded` or `request.timeout` */
  constructor(bounds: MessageBounds, refuse: (error: AiosError) => void) {
    this.#bounds = bounds;
    this.#refuse = refuse;
  }

  /**
   * The messages that are whole with these bytes, each behind its head.
   *
   * @example decoder.write(Buffer.from([0, 0, 0, 0, 1, 7])) // [<Buffer 00 00 00 00 01 07>]
   */
  write(data: Buffer): Buffer[] {
    const whole: Buffer[] = [];
    let rest = data;
    while (rest.length > 0 && !this.#isOver)
      rest = this.#message ? this.#fill(rest, whole) : this.#begin(rest, whole);
    return whole;
  }

  /** The next message has its answer: what it held is free. */
  answered(): void {
    this.#answered++;
    while (this.#held?.[0] && this.#held[0].message <= this.#answered) this.#held.shift()!.release();
  }

  /** The call has ended. */
  end(): void {
    this.#isOver = true;
    this.#message = undefined;
    clearTimeout(this.#timer);
    for (const { release } of this.#held ?? []) release();
    this.#held = undefined;
  }

  #begin(data: Buffer, whole: Buffer[]): Buffer {
    const bytes = this.#head.length === 0 ? data : Buffer.concat([this.#head, data]);
    if (bytes.length < HEAD_BYTES) {
      this.#head = Buffer.from(bytes);
      return NOTHING;
    }
    this.#head = NOTHING;
    const length = bytes.readUInt32BE(1);
    if (!this.#admit(length, bytes[0] === 1)) return NOTHING;
    const size = HEAD_BYTES + length;
    if (bytes.length >= size) {
      whole.push(bytes.subarray(0, size));
      return bytes.subarray(size);
    }
    this.#message = Buffer.allocUnsafeSlow(size); // of its own: a pool would stay for a small part of it
    this.#filled = bytes.copy(this.#message);
    this.#timer = setTimeout(() => this.#end(late()), MESSAGE_MS).unref();
    return NOTHING;
  }

  #fill(data: Buffer, whole: Buffer[]): Buffer {
    const message = this.#message!;
    const taken = data.copy(message, this.#filled);
    this.#filled += taken;
    if (this.#filled === message.length) {
      clearTimeout(this.#timer);
      this.#message = undefined;
      whole.push(message);
    }
    return data.subarray(taken);
  }

  #admit(length: number, isCompressed: boolean): boolean {
    const { bytesMax, intake } = this.#bounds;
    this.#begun++;
    try {
      if (length > bytesMax) throw tooLarge(length, bytesMax);
      const bytes = isCompressed ? inflatedBytesMax(length, bytesMax) : length;
      if (bytes <= UNASKED_BODY_BYTES_MAX || !intake) return true;
      this.#held ??= [];
      this.#held.push({ message: this.#begun, release: intake.take(bytes) });
      return true;
    } catch (error) {
      this.#end(error as AiosError);
      return false;
    }
  }

  #end(error: AiosError): void {
    this.end();
    this.#refuse(error);
  }
}

function tooLarge(length: number, bytesMax: number): AiosError {
  return new AiosError('request.too_large', {
    detail: `The message has ${length} bytes; ${bytesMax} are the most.`,
    extensions: { limit: bytesMax },
  });
}

function late(): AiosError {
  return new AiosError('request.timeout', {
    detail: `The message was not there ${MESSAGE_MS} ms after its head.`,
  });
}
