import { describe, expect, it } from 'vitest';
import type { Models } from './models.ts';
import { Quantizations } from './quantizations.ts';

const by = { kind: 'key', id: 'key_1' };
const limits = { quantizationAgreementMin: 0.98, quantizationRowsMax: 2, quantizationWeightBytesMin: 0 };

/** Of models that must not be asked for anything but what they are. */
const of = (runtime: string) =>
  new Quantizations({
    models: { reload: async () => {}, version: () => ({ version: 1, runtime }) } as unknown as Models,
    measure: () => Promise.reject(new Error('measured')),
    limits,
  });

describe('a request to quantize is refused before anything is read or run', () => {
  it.each(['http', 'oip', 'openai'])('for the runtime %s', async (runtime) => {
    const refused = of(runtime).quantize({ name: 'risk', version: 1, by });
    await expect(refused).rejects.toMatchObject({
      code: 'models.not_quantizable',
      message: `risk/1 has the runtime ${runtime}: only files of onnx are rewritten.`,
    });
  });

  it.each([
    ['no rows', { rows: [] }, /1 to 2 rows are compared; these are 0/],
    ['more rows than the limit', { rows: [{}, {}, {}] }, /these are 3/],
    ['a label that a row lacks', { rows: [{ a: 1 }, { b: 1 }], label: 'a' }, /no “a”, or not all of them/],
    ['a label without rows', { label: 'a' }, /no “a”/],
  ])('for %s', async (_, wanted, reason) => {
    const refused = of('onnx').quantize({ name: 'risk', version: 1, by, ...wanted });
    await expect(refused).rejects.toMatchObject({ code: 'models.quantization_data' });
    await expect(refused).rejects.toThrow(reason);
  });

  it('and the next one is not held up by it', async () => {
    const quantizations = of('http');
    const both = await Promise.allSettled(
      [1, 2].map((version) => quantizations.quantize({ name: 'risk', version, by })),
    );
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });
});
