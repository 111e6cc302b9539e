import { describe, expect, it } from 'vitest';
import { modelMetadata, serverMetadata } from './open-inference.ts';

describe('the Open Inference Protocol', () => {
  it('describes the server and a model', () => {
    expect(serverMetadata('0.1.0')).toEqual({ name: 'aios', version: '0.1.0', extensions: [] });
    const inputs = [{ name: 'x', datatype: 'FP32' as const, shape: [-1, 2] }];
    expect(modelMetadata('m', [2, 1], { inputs, outputs: inputs })).toMatchObject({
      versions: ['2', '1'],
      inputs,
    });
  });
});
