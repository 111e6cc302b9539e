import { describe, expect, it } from 'vitest';
import { modelMetadata, serverMetadata } from './open-inference.ts';

describe('the Open Inference Protocol', () => {
  it('describes the server and a model', () => {
    expect(serverMetadata('0.1.0')).toEqual({
      name: 'aios',
      version: '0.1.0',
      extensions: expect.arrayContaining(['binary_tensor_data', 'statistics']),
    });
    const inputs = [{ name: 'x', datatype: 'FP32' as const, shape: [-1, 2] }];
    expect(
      modelMetadata({ name: 'm', runtime: 'onnx', signature: { inputs, outputs: inputs } }, [2, 1]),
    ).toMatchObject({
      platform: 'onnx_onnxv1',
      versions: ['2', '1'],
      inputs,
    });
  });
});
