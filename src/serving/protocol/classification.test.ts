import { describe, expect, it } from 'vitest';
import { toBfloat16 } from '../tensors/bfloat16.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
import type { Tensor } from '../tensors/tensor.ts';
import { classesOf, classified } from './classification.ts';

const tensor = (datatype: Tensor['datatype'], shape: readonly number[], data: Tensor['data']): Tensor => ({
  name: 'y',
  datatype,
  shape,
  data,
});
const told = (output: Tensor, count: number) => {
  const { shape, datatype, data } = classified(output, count);
  expect(datatype).toBe('BYTES');
  return { shape, texts: Array.from({ length: data.length }, (_, i) => (data as ByteStrings).text(i)) };
};

describe('an output as classes', () => {
  it('gives the highest of each row, the first of equal ones first', () => {
    const scores = tensor('FP32', [2, 3], Float32Array.of(0.25, 0.75, 0.25, -1, -3, -2));
    expect(told(scores, 2)).toEqual({
      shape: [2, 2],
      texts: ['0.750000:1', '0.250000:0', '-1.000000:0', '-2.000000:2'],
    });
  });

  it('takes what is behind the first dimension as one row, and one dimension as one list', () => {
    const cube = tensor('INT64', [1, 2, 2], BigInt64Array.of(1n, 9_007_199_254_740_993n, 3n, 2n));
    expect(told(cube, 1)).toEqual({ shape: [1, 1], texts: ['9007199254740993:1'] });
    expect(told(tensor('UINT8', [3], Uint8Array.of(1, 2, 3)), 2)).toEqual({
      shape: [2],
      texts: ['3:2', '2:1'],
    });
  });

  it('has no more classes than there are, none of no rows, and NaN last', () => {
    const few = tensor('FP64', [1, 2], Float64Array.of(Number.NaN, Number.NEGATIVE_INFINITY));
    expect(told(few, 5)).toEqual({ shape: [1, 2], texts: ['NaN:0', '-Infinity:1'] });
    expect(told(tensor('FP32', [0, 3], new Float32Array()), 2)).toEqual({ shape: [0, 0], texts: [] });
  });

  it('reads 16-bit floats', () => {
    const half = tensor('FP16', [1, 2], Float16Array.of(0.5, 1.5));
    expect(told(half, 1).texts).toEqual(['1.500000:1']);
    const words = Uint16Array.of(toBfloat16(0.5), toBfloat16(-2));
    expect(told(tensor('BF16', [1, 2], words), 2).texts).toEqual(['0.500000:0', '-2.000000:1']);
  });

  it('is what sorting gives, for any scores and number', () => {
    let seed = 7;
    const next = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    for (let i = 0; i < 200; i++) {
      const width = 1 + Math.floor(next() * 40);
      const data = Float64Array.from({ length: width }, () => Math.floor(next() * 8));
      const count = 1 + Math.floor(next() * 45);
      const sorted = [...data.keys()].sort((a, b) => data[b]! - data[a]! || a - b).slice(0, count);
      const { texts } = told(tensor('FP64', [1, width], data), count);
      expect(texts.map((text) => Number(text!.split(':')[1]))).toEqual(sorted);
    }
  });

  it.each(['BYTES', 'BOOL'] as const)('is refused of %s, which has no scores', (datatype) => {
    const data = datatype === 'BYTES' ? ByteStrings.from(['a']) : Uint8Array.of(1);
    expect(() => classified(tensor(datatype, [1, 1], data), 1)).toThrow(/has classes|have classes/);
  });

  it('is asked for by a whole number of classes, in bounds', () => {
    expect(classesOf({ classification: 3 }, '/p')).toBe(3);
    expect(classesOf({ classification: 0 }, '/p')).toBeUndefined();
    expect(classesOf({}, '/p')).toBeUndefined();
    for (const classification of [101, -1, 1.5, '3', true])
      expect(() => classesOf({ classification }, '/p')).toThrow(/\/p\/classification/);
  });
});
