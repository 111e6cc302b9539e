import { describe, expect, it } from 'vitest';
import { toBfloat16 } from '../tensors/bfloat16.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
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

  it('is of texts and bytes by what they hold, and of brain floats by what they mean', () => {
    const texts = (...labels: (string | Uint8Array)[]): Tensor[] => [
      { name: 'label', datatype: 'BYTES', shape: [labels.length, 1], data: ByteStrings.from(labels) },
    ];
    expect(agreementOf(texts('yes', 'no'), texts('yes', 'yes'), 0)).toMatchObject({ rows: 2, agreed: 1 });
    const [one, other] = [Uint8Array.of(0xff, 1), Uint8Array.of(0xff, 2)]; // no UTF-8
    expect(agreementOf(texts(one), texts(other), 0)).toMatchObject({ agreed: 0 });
    expect(agreementOf(texts(one), texts(one), 0)).toMatchObject({ agreed: 1 });
    const brain = (...values: number[]): Tensor[] => [
      { name: 'y', datatype: 'BF16', shape: [1, values.length], data: Uint16Array.from(values, toBfloat16) },
    ];
    expect(agreementOf(brain(1), brain(1.25), 0.25)).toEqual({
      rows: 1,
      agreed: 1,
      differences: 1,
      differenceSum: 0.25,
      differenceMax: 0.25,
    });
    expect(agreementOf(brain(-1, 0.5), brain(0, 1), 0)).toMatchObject({ agreed: 1, differenceMax: 1 });
  });

  it('is none between answers of different shapes; two NaN agree', () => {
    expect(agreementOf({ a: 1 }, { b: 1 }, 9)).toMatchObject({ rows: 1, agreed: 0 });
    expect(agreementOf({ a: [1, 2] }, { a: 1 }, 9)).toMatchObject({ agreed: 0 });
    expect(agreementOf({ a: Number.NaN }, { a: Number.NaN }, 0)).toMatchObject({ agreed: 1, differences: 0 });
    expect(agreementOf({ a: Number.NaN }, { a: 1 }, 9)).toMatchObject({ agreed: 0 });
  });
});
