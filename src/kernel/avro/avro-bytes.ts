/** Why bytes are no value of a schema, or a value is none, and where. */
export class AvroFault extends Error {
  /** JSON Pointer into the value, as far as it is known. */
  readonly path: string;

  constructor(message: string, path = '') {
    super(message);
    this.name = 'AvroFault';
    this.path = path;
  }
}

/** What a reading may cost, whoever wrote the bytes. */
export interface AvroBounds {
  /** Bytes of JSON that may come of it: a few bytes of Avro may stand for any number of nulls. */
  readonly jsonBytesMax: number;
  /** Records, arrays and maps in one another. */
  readonly depthMax: number;
}

/**
 * Bytes in Avro's binary encoding, read from the front. Nothing is read past their end, no length is believed before it was held to what is there, and what comes of
 * them is counted while it is made: 6 bytes can say “200 million nulls”.
 */
export class AvroBytes {
  readonly #bytes: Buffer;
  #at = 0;
  #left: number;
  #deeper: number;

  constructor(bytes: Uint8Array, { jsonBytesMax, depthMax }: AvroBounds) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#left = jsonBytesMax;
    this.#deeper = depthMax;
  }

  /** Counts what a value takes as JSON. */
  spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw new AvroFault('the value is larger than an event may be');
  }

  /** Reads what stands in a record, an array or a map. */
  within<Value>(read: () => Value): Value {
    if (--this.#deeper < 0) throw new AvroFault('the value is nested too deep');
    const value = read();
    this.#deeper++;
    return value;
  }

  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw new AvroFault(`${left} bytes are left over`);
  }

  boolean(): boolean {
    const byte = this.#byte();
    if (byte > 1) throw new AvroFault(`${byte} is not a boolean`);
    return byte === 1;
  }

  int(): number {
    const value = this.long();
    if (typeof value === 'bigint' || value !== (value | 0))
      throw new AvroFault(`${value} is not a valid int`);
    return value;
  }

  /** Zigzag and 7 bits a byte, at most 64 of them; a bigint where a number would not be exact. */
  long(): number | bigint {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (low >>> 1) ^ -(low & 1);
    }
    let sum = low;
    for (let unit = 2 ** 28; unit < 2 ** 49; unit *= 128) {
      const byte = this.#byte();
      sum += (byte & 0x7f) * unit;
      if (byte < 0x80) return sum % 2 === 0 ? sum / 2 : -(sum + 1) / 2;
    }
    let large = BigInt(sum);
    for (let shift = 49n; shift <= 63n; shift += 7n) {
      const byte = this.#byte();
      large |= BigInt(byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      if (large >= 1n << 64n) break;
      const value = (large >> 1n) ^ -(large & 1n);
      return Number.isSafeInteger(Number(value)) ? Number(value) : value;
    }
    throw new AvroFault('a number has more than 64 bits');
  }

  float(): number {
    return this.#bytes.readFloatLE(this.#take(4));
  }

  double(): number {
    return this.#bytes.readDoubleLE(this.#take(8));
  }

  bytes(): Buffer {
    return this.fixed(this.#length());
  }

  fixed(size: number): Buffer {
    const at = this.#take(size);
    return this.#bytes.subarray(at, at + size);
  }

  string(): string {
    const bytes = this.bytes();
    const text = bytes.toString('utf8');
    // What is no UTF-8 comes out as U+FFFD.
    if (text.includes('\ufffd') && !Buffer.from(text).equals(bytes))
      throw new AvroFault('a text is no UTF-8');
    return text;
  }

  /** How many items the next block of an array or a map has; 0 behind the last. */
  blockCount(): number {
    const count = this.long();
    if (count < 0) this.#length(); // the bytes of the block, by which it could be skipped
    const items = count < 0 ? -count : count;
    if (typeof items === 'bigint') throw new AvroFault(`a block of ${items} items`);
    return items;
  }

  #length(): number {
    const length = this.long();
    if (typeof length === 'bigint' || length < 0) throw new AvroFault(`${length} is not a valid length`);
    return length;
  }

  #byte(): number {
    return this.#bytes[this.#take(1)]!;
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.length - at) throw new AvroFault('the bytes end in the middle of a value');
    this.#at += count;
    return at;
  }
}
