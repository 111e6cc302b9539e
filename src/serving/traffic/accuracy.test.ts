import { expect, it } from 'vitest';
import { ByteStrings } from '../tensors/byte-strings.ts';
import type { Tensor } from '../tensors/tensor.ts';
import { accuracyOf } from './accuracy.ts';

const floats = (name: string, width: number, ...values: number[]): Tensor => ({
  name,
  datatype: 'FP32',
  shape: [values.length / width, width],
  data: Float32Array.from(values),
});
const texts = (...values: string[]): Tensor => ({
  name: 'label',
  datatype: 'BYTES',
  shape: [values.length],
  data: ByteStrings.from(values),
});
const plain = { inputs: [], outputs: [] };

it('binary labels with a score: the area under the ROC curve, equal scores counted half', () => {
  const good = [floats('score', 1, 0.1, 0.4, 0.35, 0.8)];
  const flat = [floats('score', 1, 0.5, 0.5, 0.5, 0.5)];
  expect(accuracyOf([0, 0, 1, 1], good, flat, plain, 'binary classification')).toEqual({
    metric: 'auc',
    rows: 4,
    parent: 0.75,
    child: 0.5,
  });
  const named = { ...plain, results: { risk: { output: 'p', column: 0 } } };
  const columns = [texts('a', 'b'), floats('p', 2, 0.9, 0.1, 0.2, 0.8)];
  expect(accuracyOf([true, false], columns, columns, named, undefined)).toMatchObject({
    metric: 'auc',
    parent: 1,
  });
});

it('classes, by name or by the greatest column: the share that is right', () => {
  const parent = [texts('a', 'b', 'c'), floats('p', 3, 1, 0, 0, 0, 1, 0, 0, 0, 1)];
  const child = [texts('a', 'b', 'b'), floats('p', 3, 1, 0, 0, 0, 1, 0, 0, 1, 0)];
  const ofNames = accuracyOf(['a', 'b', 'c'], parent, child, plain, 'classification');
  expect(ofNames).toEqual({ metric: 'accuracy', rows: 3, parent: 1, child: 2 / 3 });
  const ofColumns = accuracyOf([0, 1, 2], parent.slice(1), child.slice(1), plain, undefined);
  expect(ofColumns).toEqual({ metric: 'accuracy', rows: 3, parent: 1, child: 2 / 3 });
});

it('amounts, and what the task calls a regression: the mean absolute error', () => {
  const [parent, child] = [[floats('y', 1, 10, 20)], [floats('y', 1, 11, 23)]];
  expect(accuracyOf([10, 20], parent, child, plain, undefined)).toEqual({
    metric: 'mae',
    rows: 2,
    parent: 0,
    child: 2,
  });
  const zeros = [floats('y', 1, 0, 1)];
  expect(accuracyOf([0, 1], zeros, zeros, plain, 'Regression of amounts')).toMatchObject({
    metric: 'mae',
    parent: 0,
  });
});

it('nothing, where labels and outputs do not go together', () => {
  const many = [floats('embedding', 3, 1, 2, 3, 4, 5, 6)];
  expect(accuracyOf(['x', 'y'], many, many, plain, undefined)).toBeUndefined();
});
