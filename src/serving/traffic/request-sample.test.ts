import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AiosError } from '../../kernel/errors.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
import type { Signature } from '../tensors/signature.ts';
import type { Tensor } from '../tensors/tensor.ts';
import { sampleOf } from './request-sample.ts';

const signature: Signature = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3] }],
  outputs: [
    { name: 'probabilities', datatype: 'FP32', shape: [-1, 2] },
    { name: 'label', datatype: 'INT64', shape: [-1] },
  ],
  features: ['age', 'orders', 'spend'],
  results: { score: { output: 'probabilities', column: 1 }, label: { output: 'label' } },
};
const matrix = (...values: number[]): Tensor => ({
  name: 'x',
  datatype: 'FP32',
  shape: [values.length / 3, 3],
  data: Float32Array.from(values),
});
const probabilities: Tensor = {
  name: 'probabilities',
  datatype: 'FP32',
  shape: [2, 2],
  data: Float32Array.of(0.25, 0.75, 0.5, 0.5),
};
const label: Tensor = { name: 'label', datatype: 'INT64', shape: [2], data: BigInt64Array.of(2n ** 60n, 3n) };

function sample(given: Partial<Parameters<typeof sampleOf>[0]>) {
  return sampleOf({
    input: { features: { age: 41, orders: 2, spend: null, name: 'Ada' } },
    asked: signature,
    answered: signature,
    redact: [],
    bytesMax: 10_000,
    ...given,
  });
}

describe('what is kept of a sampled request', () => {
  it('is the features that the model takes, and its results', () => {
    expect(sample({ outputs: { score: 0.5, label: [1, 2] } })).toEqual({
      request: { features: { age: 41, orders: 2, spend: null } },
      answer: { outputs: { score: 0.5, label: [1, 2] } },
      error: null,
      truncated: false,
    });
  });

  it('is the tensors: no NaN, no bigint, texts for BYTES', () => {
    const words: Tensor = { name: 'w', datatype: 'BYTES', shape: [2], data: ByteStrings.from(['a', 'bc']) };
    const { request, answer } = sample({
      input: { inputs: [matrix(1, Number.NaN, 3), words] },
      outputs: [label],
    });
    expect(request).toEqual({
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [1, 3], data: [1, null, 3] },
        { name: 'w', datatype: 'BYTES', shape: [2], data: ['a', 'bc'] },
      ],
    });
    expect(answer).toEqual({
      outputs: [{ name: 'label', datatype: 'INT64', shape: [2], data: ['1152921504606846976', '3'] }],
    });
  });

  it('hides a feature also where it is a column, and a result also where it is one of an output', () => {
    const tensors = sample({
      input: { inputs: [matrix(41, 1, 2, 42, 3, 4)] },
      outputs: [probabilities, label],
      redact: ['age', 'score', 'label'],
    });
    expect(tensors.request.inputs).toMatchObject([{ data: [null, 1, 2, null, 3, 4] }]);
    expect(tensors.answer?.outputs).toMatchObject([
      { data: [0.25, null, 0.5, null] },
      { name: 'label', data: '[redacted]' },
    ]);
    const named = sample({ outputs: { score: 0.5, label: 1 }, redact: ['age', 'probabilities'] });
    expect(named.request.features).toEqual({ age: '[redacted]', orders: 2, spend: null });
    expect(named.answer?.outputs).toEqual({ score: '[redacted]', label: 1 });
    const whole = sample({ input: { inputs: [matrix(41, 1, 2)] }, redact: ['x'] });
    expect(whole.request.inputs).toMatchObject([{ data: '[redacted]' }]);
  });

  it.each<[string, Partial<Tensor>]>([
    ['of another name', { name: 'X' }],
    ['with a column more', { shape: [1, 4], data: Float32Array.of(1, 41, 2, 3) }],
    ['without rows', { shape: [3] }],
  ])('hides a tensor whole whose columns nobody knows: one %s', (_, wrong) => {
    const tensor = { ...matrix(41, 2, 3), ...wrong } as Tensor;
    const kept = (redact: string[]) => sample({ input: { inputs: [tensor] }, redact }).request;
    expect(kept(['age'])).toMatchObject({ inputs: [{ name: tensor.name, data: '[redacted]' }] });
    expect(kept([])).toMatchObject({ inputs: [{ data: [...(tensor.data as Float32Array)] }] });
  });

  it('never holds a value that is hidden, whatever else it is asked with', () => {
    const secret = 'S3CR3T-4711';
    const names = fc.subarray(['age', 'orders', 'spend'], { minLength: 1 });
    fc.assert(
      fc.property(names, fc.anything(), (hidden, other) => {
        const features: Record<string, unknown> = { age: other, orders: other, spend: other };
        for (const name of hidden) features[name] = secret;
        const error = new AiosError('serving.feature_invalid', { detail: `found ${secret}` });
        const text = JSON.stringify(sample({ input: { features }, error, redact: hidden }));
        expect(text).not.toContain(secret);
      }),
    );
  });

  it('is bounded, and says when it is not all', () => {
    const many = matrix(...Array.from({ length: 30_000 }, (_, i) => i));
    const features = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, i) => [`feature ${i}`, 'x'.repeat(i)]),
    );
    for (const input of [{ inputs: [many, many] }, { features }]) {
      const kept = sample({ input, asked: { ...signature, features: undefined }, bytesMax: 2_000 });
      expect(kept.truncated).toBe(true);
      expect(JSON.stringify(kept.request).length).toBeLessThan(4_000);
    }
  });

  it('tells an error by its code and what it said', () => {
    const error = new AiosError('serving.timeout', { detail: 'risk/1 ran longer than 5 ms.' });
    expect(sample({ error })).toMatchObject({
      answer: null,
      error: { code: 'serving.timeout', detail: 'risk/1 ran longer than 5 ms.' },
    });
    expect(sample({ error: new Error('odd') }).error).toEqual({ code: 'internal', detail: 'odd' });
  });
});
