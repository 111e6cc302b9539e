import { describe, expect, it } from 'vitest';
import type { Signature } from '../tensors/signature.ts';
import { elementOf, type Tensor } from '../tensors/tensor.ts';
import { type EvaluationRow, evaluationRows, loggedRows } from './evaluation-rows.ts';
import { randomRows } from './random-rows.ts';

const matrix: Signature = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [],
};
const named: Signature = { ...matrix, features: ['orders', 'spend'], fill: { spend: 0 } };
const several: Signature = {
  inputs: [
    { name: 'ids', datatype: 'INT64', shape: [-1, -1] },
    { name: 'mask', datatype: 'BOOL', shape: [-1, 2] },
    { name: 'text', datatype: 'BYTES', shape: [-1, 1] },
  ],
  outputs: [],
};
const plain = ([...tensors]: EvaluationRow) =>
  tensors.map((tensor: Tensor) => [
    tensor.name,
    tensor.shape,
    Array.from({ length: tensor.data.length }, (_, i) => elementOf(tensor, i)),
  ]);

describe('rows to compare models on', () => {
  it('name features, inputs, or the columns of the one matrix', () => {
    expect(evaluationRows([{ orders: 3, label: 1 }], named, 'label').map(plain)).toEqual([
      [['x', [1, 2], [3, 0]]],
    ]);
    expect(evaluationRows([{ x: [1, 2] }], matrix).map(plain)).toEqual([[['x', [1, 2], [1, 2]]]]);
    const columns = evaluationRows([{ label: 'a', p: 1, q: '2.5' }], matrix, 'label');
    expect(columns.map(plain)).toEqual([[['x', [1, 2], [1, 2.5]]]]);
    const row = { ids: [1, '9007199254740993', 3], mask: [true, false], text: 'good' };
    expect(evaluationRows([row], several).map(plain)).toEqual([
      [
        ['ids', [1, 3], [1n, 9007199254740993n, 3n]],
        ['mask', [1, 2], [1, 0]],
        ['text', [1, 1], ['good']],
      ],
    ]);
  });

  it.each<[string, Signature, object, RegExp]>([
    [
      'other columns',
      matrix,
      { p: 1, q: 2, r: 3 },
      /rows have p, q, r; the model takes the inputs x \[-1, 2\]/,
    ],
    ['no columns', named, {}, /rows have no members; the model takes the features orders, spend/],
    ['an absent feature', named, { spend: 1 }, /\/rows\/0: .*“orders” is absent/],
    ['a text for a number', matrix, { x: [1, 'one'] }, /“x”, element 1: "one" is not a valid FP32/],
    ['nothing for a number', matrix, { x: [1, null] }, /“x”, element 1: null is not a valid FP32/],
    ['too many elements', matrix, { x: [1, 2, 3] }, /has 3 elements where the model takes \[-1, 2\]/],
    [
      'half a whole number',
      several,
      { ids: [0.5], mask: [0, 1], text: 'a' },
      /“ids”, element 0: 0.5 is not a valid INT64/,
    ],
    [
      'half a whole number as a text',
      several,
      { ids: ['1.5'], mask: [0, 1], text: 'a' },
      /0: 1.5 is not a valid INT64/,
    ],
    [
      'more than the type holds',
      several,
      { ids: ['9223372036854775808'], mask: [0, 1], text: 'a' },
      /is not a valid INT64/,
    ],
    [
      'a flag that is none',
      several,
      { ids: [1], mask: [0, 2], text: 'a' },
      /“mask”, element 1: 2 is not a valid BOOL/,
    ],
  ])('are refused with the place and the reason: %s', (_, signature, row, reason) => {
    const read = () => evaluationRows([row as never], signature);
    expect(read).toThrowError(reason);
    expect(read).toThrowError(expect.objectContaining({ code: 'models.quantization_data' }));
  });

  it('come from the request log, in whichever form, row by row; what was not kept whole gives none', () => {
    const tensor = (data: unknown, rows = 2) => ({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, 2], data }],
    });
    const logged = [
      { features: { orders: 1, spend: 2 } },
      tensor([3, 4, 5, 6]),
      { features: { orders: '[redacted]', spend: 2 } },
      tensor('[redacted]'),
      tensor([3, null, 5, 6]),
      tensor([3, 4]),
    ];
    expect(
      loggedRows(logged as never, named)
        .flatMap(plain)
        .map(([, , data]) => data),
    ).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
  });

  it('are random by the signature: the same for a seed, and inside the tables that they are looked up in', () => {
    const inputs = [
      { name: 'x', datatype: 'FP32', shape: [-1, 200] },
      { name: 'ids', datatype: 'INT64', shape: [-1, -1] },
      { name: 'flag', datatype: 'UINT8', shape: [-1, 50] },
    ] as const;
    const rows = randomRows(inputs, { ids: 7 }, 20, 1);
    expect(rows.map(plain)).toEqual(randomRows(inputs, { ids: 7 }, 20, 1).map(plain));
    expect(rows.map(plain)).not.toEqual(randomRows(inputs, { ids: 7 }, 20, 2).map(plain));
    const elements = (name: string) =>
      rows
        .flatMap(plain)
        .flatMap(([of, , data]) => (of === name ? (data as (number | bigint)[]) : []))
        .map(Number);
    expect(Math.abs(elements('x').reduce((sum, value) => sum + value, 0) / 4_000)).toBeLessThan(0.1);
    expect(elements('x').reduce((sum, value) => sum + value * value, 0) / 4_000).toBeCloseTo(1, 0);
    expect(new Set(elements('ids'))).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]));
    expect(new Set(elements('flag'))).toEqual(new Set([0, 1]));
    expect(rows[0]!.map(({ shape }) => shape)).toEqual([
      [1, 200],
      [1, 8],
      [1, 50],
    ]);
    expect(() => randomRows(several.inputs, {}, 1, 1)).toThrowError(/“text” takes texts: give rows/);
  });
});
