import { describe, expect, it } from 'vitest';
import type { Tensor } from '../tensors/tensor.ts';
import { agreementOf } from './agreement.ts';

describe('agreement', () => {
  const tensor = (datatype: 'FP32' | 'INT32', width: number, values: number[]): Tensor => ({
    name: datatype,
    datatype,
    shape: [values.length / width, width],
    data: datatype === 'FP32' ? Float32Array.from(values) : Int32Array.from(values),
  });

  it('is of the class where there is one, else of the greatest column, else of the amount', () => {
    const labelled = (label: number) => [tensor('FP32', 2, [0.5, 0.25]), tensor('INT32', 1, [label])];
    expect(agreementOf(labelled(1), labelled(1), 0)).toMatchObject({ rows: 1, agreed: 1, differences: 2 });
    expect(agreementOf(labelled(1), labelled(2), 9)).toMatchObject({ agreed: 0, differenceSum: 0 });
    const columns = (...values: number[]) => [tensor('FP32', 2, values)];
    expect(agreementOf(columns(0.5, 0.25, 0, 1), columns(0.75, 0.5, 1, 0), 0)).toEqual({
      rows: 2,
      agreed: 1,
      differences: 4,
      differenceSum: 2.5,
      differenceMax: 1,
    });
    expect(agreementOf({ score: 0.25 }, { score: 0.5 }, 0.25)).toMatchObject({ rows: 1, agreed: 1 });
    expect(agreementOf({ score: 0.25 }, { score: 0.5 }, 0.2)).toMatchObject({
      agreed: 0,
      differenceMax: 0.25,
    });
    expect(agreementOf({ fraud: true }, { fraud: false }, 1)).toMatchObject({ agreed: 0, differences: 0 });
  });

  it('is none between answers of different shapes; two NaN agree', () => {
    expect(agreementOf({ a: 1 }, { b: 1 }, 9)).toMatchObject({ rows: 1, agreed: 0 });
    expect(agreementOf({ a: [1, 2] }, { a: 1 }, 9)).toMatchObject({ agreed: 0 });
    expect(agreementOf({ a: Number.NaN }, { a: Number.NaN }, 0)).toMatchObject({ agreed: 1, differences: 0 });
    expect(agreementOf({ a: Number.NaN }, { a: 1 }, 9)).toMatchObject({ agreed: 0 });
  });
});
