import { AiosError } from '../../kernel/errors.ts';

const PREFIX_BYTES = 4;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * The elements of a BYTES tensor: strings of any length, kept as they travel (each behind its length, a little-endian u32), with a table of
 * where each begins. So rows are sliced without copying an element, and joined by copying the bytes in one piece.
 *
 * @example [...ByteStrings.from(['a', 'bc'])] // [Uint8Array [97], Uint8Array [98, 99]]
 */
export class ByteStrings {
  /** The number of elements. */
  readonly length: number;
  readonly #wire: Uint8Array;
  /** Where each element's length stands in `#wire`; the last entry is the end. */
  readonly #starts: Uint32Array;

  private constructor(wire: Uint8Array, starts: Uint32Array) {
    this.#wire = wire;
    this.#starts = starts;
    this.length = starts.length - 1;
  }

  /** Texts are kept as UTF-8. */
  static from(elements: readonly (string | Uint8Array)[]): ByteStrings {
    const parts = elements.map((element) =>
      typeof element === 'string' ? encoder.encode(element) : element,
    );
    const starts = new Uint32Array(parts.length + 1);
    for (const [i, part] of parts.entries()) starts[i + 1] = starts[i]! + PREFIX_BYTES + part.length;
    const wire = new Uint8Array(starts[parts.length]!);
    const view = new DataView(wire.buffer);
    for (const [i, part] of parts.entries()) {
      view.setUint32(starts[i]!, part.length, true);
      wire.set(part, starts[i]! + PREFIX_BYTES);
    }
    return new ByteStrings(wire, starts);
  }

  /**
   * Reads elements in place, as a request or a replica sends them: exactly `count` of them, and nothing after.
   *
   * @param label names the tensor in the error
   * @throws AiosError `serving.tensor_bytes` when a length lies
   */
  static read(wire: Uint8Array, count: number, label: string): ByteStrings {
    const fault = (detail: string) =>
      new AiosError('serving.tensor_bytes', { detail: `${label}: ${detail}` });
    // Checked before the table is made: what is claimed allocates nothing that the bytes do not pay for.
    if (count * PREFIX_BYTES > wire.length)
      throw fault(`${count} elements need at least ${count * PREFIX_BYTES} bytes; there are ${wire.length}.`);
    const view = new DataView(wire.buffer, wire.byteOffset, wire.byteLength);
    const starts = new Uint32Array(count + 1);
    let offset = 0;
    for (let i = 0; i < count; i++) {
      starts[i] = offset;
      const size = offset + PREFIX_BYTES <= wire.length ? view.getUint32(offset, true) : 0;
      offset += PREFIX_BYTES + size;
      if (offset > wire.length)
        throw fault(`element ${i} ends ${offset - wire.length} bytes past the end of the data.`);
    }
    starts[count] = offset;
    if (offset !== wire.length)
      throw fault(`${wire.length - offset} bytes are left after ${count} elements.`);
    return new ByteStrings(wire, starts);
  }

  /** All parts behind each other. */
  static join(parts: readonly ByteStrings[]): ByteStrings {
    const starts = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 1));
    const wire = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
    let element = 0;
    let offset = 0;
    for (const part of parts) {
      const first = part.#starts[0]!;
      for (let i = 0; i <= part.length; i++) starts[element + i] = part.#starts[i]! - first + offset;
      wire.set(part.bytes, offset);
      element += part.length;
      offset += part.byteLength;
    }
    return new ByteStrings(wire, starts);
  }

  /** The bytes on the wire, lengths included. */
  get byteLength(): number {
    return this.#starts[this.length]! - this.#starts[0]!;
  }

  /** The elements as they travel; a view. */
  get bytes(): Uint8Array {
    return this.#wire.subarray(this.#starts[0], this.#starts[this.length]);
  }

  /** One element; a view. */
  element(index: number): Uint8Array {
    return this.#wire.subarray(this.#starts[index]! + PREFIX_BYTES, this.#starts[index + 1]);
  }

  /** One element as a text, or nothing when it is no UTF-8. */
  text(index: number): string | undefined {
    try {
      return decoder.decode(this.element(index));
    } catch {
      return undefined;
    }
  }

  /** Some elements; no byte is copied. */
  subarray(first: number, end = this.length): ByteStrings {
    return new ByteStrings(this.#wire, this.#starts.subarray(first, Math.max(first, end) + 1));
  }

  *[Symbol.iterator](): Iterator<Uint8Array> {
    for (let i = 0; i < this.length; i++) yield this.element(i);
  }
}
