import { describe, expect, it } from 'vitest';
import type { Tensor } from '../tensors/tensor.ts';
import { tensorsOf, valuesOf } from './tensor-values.ts';

const fp32 = (shape: number[], ...values: number[]): Tensor => ({
  name: 'x',
  datatype: 'FP32',
  shape,
  data: Float32Array.from(values),
});
const spec = (...shape: number[]) => [{ name: 'x', datatype: 'FP32' as const, shape }];

describe('tensors as values of a flow', () => {
  it('are nested lists, row-major, and come back as they were', () => {
    const tensor = fp32([2, 1, 3], 1, 2, 3, 4, 5, 6);
    const values = valuesOf([tensor]);
    expect(values).toEqual({ x: [[[1, 2, 3]], [[4, 5, 6]]] });
    expect(tensorsOf(spec(-1, 1, 3), structuredClone(values))).toEqual([tensor]);
    expect(valuesOf([fp32([], 7)])).toEqual({ x: 7 });
  });

  it('that are handed on unread keep what JSON cannot say, under their new name', () => {
    const tensor = fp32([2], Number.NaN, Number.POSITIVE_INFINITY);
    const { x } = valuesOf([tensor]);
    expect(x).toEqual([null, null]);
    const [again] = tensorsOf([{ name: 'y', datatype: 'FP32', shape: [-1] }], { y: x! });
    expect(again).toEqual({ ...tensor, name: 'y' });
    expect(again!.data).toBe(tensor.data);
    expect(() => tensorsOf(spec(-1), { x: [null] })).toThrow('null is not a valid FP32');
  });

  it('may leave out the last dimension of a column, and have no rows', () => {
    expect(tensorsOf(spec(-1, 1), { x: [1, 2] })).toEqual([fp32([2, 1], 1, 2)]);
    expect(tensorsOf(spec(-1, 3), { x: [] })).toEqual([fp32([0, 3])]);
  });

  it('keep integers of 64 bits, as texts where numbers cannot hold them', () => {
    const data = BigInt64Array.of(5n, 2n ** 60n + 1n);
    const values = valuesOf([{ name: 'x', datatype: 'INT64', shape: [2], data }]);
    expect(values).toEqual({ x: [5, '1152921504606846977'] });
    const [again] = tensorsOf([{ name: 'x', datatype: 'INT64', shape: [2] }], structuredClone(values));
    expect(again!.data).toEqual(data);
  });

  it.each([
    [{ y: [1] }, 'There is no tensor “y”; there are x.'],
    [{}, 'The tensor “x” is missing.'],
    [{ x: [[1, 2], [3]] }, '“x” is not nested evenly: a list of 1 stands beside lists of another length.'],
    [{ x: [[1, 2], 3] }, '“x” is not nested evenly: 3 stands beside lists of another length.'],
    [{ x: [[1]] }, '“x” has the shape [-1, 2] (-1: any); [1, 1] was given.'],
    [{ x: 'a' }, '“x” has the shape [-1, 2] (-1: any); [] was given.'],
    [{ x: [['a', 1]] }, '“x”, element 0: "a" is not a valid FP32.'],
  ])('are refused by name when they do not fit: %j', (values, message) => {
    expect(() => tensorsOf(spec(-1, 2), values)).toThrow(message);
  });
});
