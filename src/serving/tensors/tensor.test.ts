import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromBfloat16, toBfloat16 } from './bfloat16.ts';
import { ByteStrings } from './byte-strings.ts';
import {
  bytesOf,
  DATATYPES,
  type Datatype,
  dataOfBytes,
  elementBytes,
  elementOf,
  joinRows,
  newData,
  sliceRows,
  type Tensor,
  type TensorData,
} from './tensor.ts';

const texts = (data: ByteStrings) => Array.from(data, (_, i) => data.text(i));

function filled(datatype: Datatype, count: number, seed: number): TensorData {
  if (datatype === 'BYTES')
    return ByteStrings.from(Array.from({ length: count }, (_, i) => 'x'.repeat((seed + i) % 4)));
  const data = newData(datatype, count);
  new Uint8Array(data.buffer).set(Array.from({ length: data.byteLength }, (_, i) => (seed + i) % 2));
  return data;
}

describe('tensors', () => {
  it.each(DATATYPES)('of %s: rows that are sliced and joined again are what they were', (datatype) => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 6 }), fc.nat(3), fc.nat(50), (rows, width, seed) => {
        const data = filled(datatype, rows * width, seed);
        const whole: Tensor = { name: 'x', datatype, shape: [rows, width], data };
        const parts = [sliceRows(whole, 0, 1), sliceRows(whole, 1, rows - 2), sliceRows(whole, rows - 1, 1)];
        const [joined] = joinRows(parts.map((part) => [part]));
        expect(joined).toMatchObject({ name: 'x', datatype, shape: [rows, width] });
        expect(Buffer.from(bytesOf(joined!.data)).equals(bytesOf(data))).toBe(true);
      }),
    );
  });

  it.each(DATATYPES)('of %s are read in place where they are aligned, and right everywhere', (datatype) => {
    const data = filled(datatype, 6, 1);
    const bytes = bytesOf(data);
    const shifted = new Uint8Array(bytes.length + 8);
    for (const offset of [0, 1, 8]) {
      shifted.set(bytes, offset);
      const view = shifted.subarray(offset, offset + bytes.length);
      const read = dataOfBytes(datatype, view, 6, 'x');
      expect(read.length).toBe(6);
      expect(Buffer.from(bytesOf(read)).equals(bytes)).toBe(true);
      if (offset !== 1) expect(bytesOf(read).buffer).toBe(shifted.buffer);
    }
    expect(elementBytes(datatype) * 6).toBe(datatype === 'BYTES' ? 0 : bytes.length);
  });

  it('of BYTES are sliced without a copy', () => {
    const data = ByteStrings.from(['a', 'bc', '', 'größer']);
    expect(texts(data.subarray(1, 3))).toEqual(['bc', '']);
    expect(data.subarray(1).bytes.buffer).toBe(data.bytes.buffer);
    expect(texts(ByteStrings.join([data.subarray(3), data.subarray(2, 2), data.subarray(0, 2)]))).toEqual([
      'größer',
      'a',
      'bc',
    ]);
    expect(ByteStrings.from([Uint8Array.of(255)]).text(0)).toBeUndefined();
  });

  it.each([
    ['fewer bytes than lengths', [1, 0, 0], 1, /at least 4 bytes/],
    ['a count that no memory holds', [1, 0, 0, 0, 65], 2 ** 32, /at least 17179869184 bytes/],
    ['a length past the end', [255, 255, 255, 255, 65], 1, /past the end/],
    ['a second length past the end', [1, 0, 0, 0, 65, 9, 0, 0], 2, /past the end/],
    ['bytes that are left', [0, 0, 0, 0, 65], 1, /1 bytes are left/],
  ])('of BYTES are refused with %s', (_, bytes, count, message) => {
    expect(() => ByteStrings.read(Uint8Array.from(bytes), count, 'x')).toThrow(message);
  });

  it('tell elements as numbers and texts', () => {
    const of = (datatype: Datatype, data: TensorData) => elementOf({ datatype, data }, 0);
    expect(of('BF16', Uint16Array.of(0x3fc0))).toBe(1.5);
    expect(of('UINT16', Uint16Array.of(0x3fc0))).toBe(0x3fc0);
    expect(of('FP16', Float16Array.of(0.1))).toBeCloseTo(0.1, 3);
    expect(of('INT64', BigInt64Array.of(-1n))).toBe(-1n);
    expect(of('BYTES', ByteStrings.from(['ü']))).toBe('ü');
  });
});

describe('brain floats', () => {
  it.each([
    [1.5, 0x3fc0],
    [-0, 0x8000],
    [1 + 2 ** -8, 0x3f80], // a tie goes to the even word
    [1 + 3 * 2 ** -8, 0x3f82],
    [3.4e38, 0x7f80], // past the largest
    [Number.POSITIVE_INFINITY, 0x7f80],
    [Number.NaN, 0x7fc0],
  ])('of %d are the word %i', (value, word) => expect(toBfloat16(value)).toBe(word));

  it('are each the word that they came from', () => {
    for (let word = 0; word < 65_536; word++) {
      const value = fromBfloat16(word);
      if (!Number.isNaN(value)) expect(toBfloat16(value)).toBe(word);
    }
  });
});
