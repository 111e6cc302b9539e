import { describe, expect, it } from 'vitest';
import type { Signature, TensorSpec } from './signature.ts';
import { signatureMisfits } from './signature-misfits.ts';

const tensor = (name: string, shape: number[], datatype: TensorSpec['datatype'] = 'FP32'): TensorSpec => ({
  ...{ name, datatype, shape },
});
const plain: Signature = { inputs: [tensor('x', [-1, 2])], outputs: [tensor('y', [-1, 1])] };
const named: Signature = { ...plain, features: ['a', 'b'], results: { risk: { output: 'y', column: 0 } } };

describe('a challenger', () => {
  it.each<[string, Signature, Signature]>([
    ['takes the same', plain, plain],
    [
      'takes more rows and columns',
      { ...plain, inputs: [tensor('x', [1, 2])] },
      { ...plain, inputs: [tensor('x', [-1, -1])] },
    ],
    ['answers more', plain, { ...plain, outputs: [tensor('z', [-1]), tensor('y', [-1, 3])] }],
    [
      'takes more features by name',
      named,
      { ...named, inputs: [tensor('matrix', [-1, 3])], features: ['a', 'b', 'c'] },
    ],
    ['has no tensors, as language models', { inputs: [], outputs: [] }, { inputs: [], outputs: [] }],
  ])('fits that %s', (_, champion, challenger) => {
    expect(signatureMisfits(champion, challenger)).toEqual([]);
  });

  it.each<[string, Signature, Signature, string[]]>([
    ['takes another tensor', plain, { ...plain, inputs: [tensor('z', [-1, 2])] }, ['/inputs/z', '/inputs/x']],
    [
      'needs one tensor more',
      plain,
      { ...plain, inputs: [tensor('x', [-1, 2]), tensor('m', [-1])] },
      ['/inputs/m'],
    ],
    ['takes other columns', plain, { ...plain, inputs: [tensor('x', [-1, 3])] }, ['/inputs/x']],
    ['takes one row', plain, { ...plain, inputs: [tensor('x', [1, 2])] }, ['/inputs/x']],
    ['takes other dimensions', plain, { ...plain, inputs: [tensor('x', [-1])] }, ['/inputs/x']],
    ['takes another type', plain, { ...plain, inputs: [tensor('x', [-1, 2], 'FP16')] }, ['/inputs/x']],
    ['answers less', plain, { ...plain, outputs: [tensor('z', [-1, 1])] }, ['/outputs/y']],
    [
      'names its results otherwise',
      named,
      { ...named, results: { score: { output: 'y' } } },
      ['/results/risk'],
    ],
    ['has features no more', named, { ...plain, inputs: [tensor('z', [-1, 2])] }, ['/inputs/z', '/inputs/x']],
  ])('does not fit that %s', (_, champion, challenger, paths) => {
    expect(signatureMisfits(champion, challenger).map(({ path }) => path)).toEqual(paths);
  });
});
