import { describe, expect, it } from 'vitest';
import type { Tensor, TensorSpec } from '../tensors/tensor.ts';
import { embeddingForm, embeddingInputs, embeddingParts, embeddingVectors } from './embedding-tensors.ts';

const ids = (name: string): TensorSpec => ({ name, datatype: 'INT64', shape: [-1, -1] });
const hidden: TensorSpec = { name: 'last_hidden_state', datatype: 'FP32', shape: [-1, -1, 2] };
const pooled: TensorSpec = { name: 'sentence_embedding', datatype: 'FP32', shape: [-1, 2] };
const text: TensorSpec = { name: 'text', datatype: 'BYTES', shape: [-1] };
const features: TensorSpec = { name: 'features', datatype: 'FP32', shape: [-1, 3] };

describe('an embedding model with tensors', () => {
  it.each([
    ['texts', [text], [pooled]],
    ['texts', [{ ...text, shape: [-1, 1] }], [pooled]],
    ['tokens', [ids('input_ids'), ids('attention_mask')], [hidden]],
    ['tokens', [ids('input_ids'), ids('attention_mask'), ids('token_type_ids')], [hidden, pooled]],
    [undefined, [features], [pooled]],
    [undefined, [text], [{ ...text, name: 'label' }]],
    [undefined, [ids('attention_mask')], [hidden]],
    [undefined, [], []],
  ])('takes %s by %j', (form, inputs, outputs) => {
    expect(embeddingForm({ inputs, outputs })).toBe(form);
  });

  it('gets texts, or token ids filled up under a mask, and neither for the other', () => {
    const [texts] = embeddingInputs({ inputs: [text], outputs: [pooled] }, ['a', 'bc']);
    expect(texts).toMatchObject({ name: 'text', shape: [2] });
    const tokens = { inputs: [ids('input_ids'), ids('attention_mask')], outputs: [hidden] };
    const made = embeddingInputs(tokens, [[7, 8, 9], [5]]);
    expect(made.map(({ shape, data }) => [shape, [...(data as BigInt64Array)]])).toEqual([
      [
        [2, 3],
        [7n, 8n, 9n, 5n, 0n, 0n],
      ],
      [
        [2, 3],
        [1n, 1n, 1n, 1n, 0n, 0n],
      ],
    ]);
    expect(() => embeddingInputs(tokens, ['a'])).toThrow('token ids');
    expect(() => embeddingInputs({ inputs: [text], outputs: [pooled] }, [[1]])).toThrow('texts');
  });

  it('runs inputs of like lengths together: one long one does not fill up every short one to its length', () => {
    expect(embeddingParts([[1, 2, 3], [4], [5]], 2)).toEqual([[1, 2], [0]]);
    expect(embeddingParts(['long', 'a', 'b'], 2)).toEqual([[0, 1], [2]]);
    const long = new Array<number>(100_000).fill(7);
    const inputs = Array.from({ length: 5_000 }, (_, i) => (i % 50 === 0 ? long : [i]));
    const parts = embeddingParts(inputs, 64);
    expect(parts.flat().sort((a, b) => a - b)).toEqual(Array.from(inputs.keys()));
    const filled = parts.map((part) => part.length * Math.max(...part.map((place) => inputs[place]!.length)));
    const given = inputs.reduce((sum, { length }) => sum + length, 0);
    expect(filled.reduce((sum, ids) => sum + ids, 0)).toBeLessThan(1.2 * given);
    expect(Math.max(...filled)).toBeLessThanOrEqual(2 ** 20);
    expect(embeddingParts([new Array<number>(2 ** 20 + 1).fill(1), [1]], 64)).toEqual([[1], [0]]);
  });

  it('takes as many inputs as come, and token ids that the type of the tensor holds', () => {
    const tokens = { inputs: [ids('input_ids')], outputs: [hidden] };
    expect(embeddingInputs(tokens, new Array(200_000).fill([1]))[0]!.shape).toEqual([200_000, 1]);
    const narrow = { ...tokens, inputs: [{ ...ids('input_ids'), datatype: 'INT32' as const }] };
    expect([...(embeddingInputs(narrow, [[5]])[0]!.data as Int32Array)]).toEqual([5]);
    for (const [form, id, max] of [
      [tokens, 1e300, 'up to 9007199254740991'],
      [narrow, 2 ** 31, 'up to 2147483647'],
    ] as const)
      expect(() => embeddingInputs(form, [[id]])).toThrow(
        expect.objectContaining({ code: 'serving.tensor_value', message: expect.stringContaining(max) }),
      );
  });

  it('gives a vector for each input: the mean over its own tokens where there is one for each token', () => {
    const data = Float32Array.from([3, 0, 3, 8, 0, 5, 9, 9]);
    const output: Tensor = { name: 'h', datatype: 'FP32', shape: [2, 2, 2], data };
    expect(embeddingVectors([output], [[1, 2], [1]])).toEqual([
      [0.6, 0.8],
      [0, 1],
    ]);
    expect(embeddingVectors([{ ...output, shape: [4, 2] }], ['a', 'b', 'c', 'd'])[1]).toEqual([3, 8]);
  });
});
