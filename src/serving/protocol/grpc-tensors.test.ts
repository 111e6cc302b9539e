import { expect, it } from 'vitest';
import { tensorsFromGrpc } from './grpc-tensors.ts';

it.each([
  ['a dimension past 32 bits', [1, 2 ** 40, 0]],
  ['more than 255 dimensions', new Array<number>(256).fill(0)],
  ['a dimension below 0', [-1, 2]],
])('refuses %s, which a replica could not be told, though it has no elements', (_, shape) => {
  const message = { name: 'x', datatype: 'FP32', shape };
  expect(() => tensorsFromGrpc('Input', [message], [new Uint8Array()])).toThrow(
    expect.objectContaining({ code: 'serving.tensor_shape' }),
  );
});
