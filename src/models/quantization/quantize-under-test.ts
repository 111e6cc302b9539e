import { createOnnxRuntime } from '../../serving/runtimes/onnx-runtime.ts';
import type { Tensor } from '../../serving/tensors/tensor.ts';
import { type OnnxGraph, onnxModel } from '../../testing/onnx.ts';

/** The same numbers for the same seed, between -1 and 1. */
export function numbers(count: number, seed = 1): Float32Array<ArrayBuffer> {
  let state = seed * 2_654_435_761;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

export const constant = (shape: readonly number[], seed: number) => ({
  shape,
  data: numbers(
    shape.reduce((product, size) => product * size, 1),
    seed,
  ),
});

const floats = (name: string, ...shape: (number | string)[]) => ({ name, datatype: 'FP32' as const, shape });

/** A graph from `x` to `y`, given the nodes between and their constants. */
export function model(
  width: readonly (number | string)[],
  nodes: OnnxGraph['nodes'],
  constants: OnnxGraph['constants'],
  outputWidth: readonly (number | string)[],
): Uint8Array {
  return onnxModel({
    nodes,
    inputs: [floats('x', 'rows', ...width)],
    outputs: [floats('y', 'rows', ...outputWidth)],
    ...(constants && { constants }),
  });
}

/** Runs each file once on the same tensors, in replicas of its own; answers with the elements of the first output. */
export async function answersOf(
  files: readonly Uint8Array[],
  inputs: readonly (readonly Tensor[])[],
): Promise<Float32Array[][]> {
  const runtime = createOnnxRuntime({ startMs: 30_000 });
  return Promise.all(
    files.map(async (bytes) => {
      const replica = await runtime.start({ name: 'm', digest: 'm', load: async () => bytes });
      try {
        const answers: Float32Array[] = [];
        for (const tensors of inputs)
          answers.push((await replica.run([tensors])).outputs[0]!.data as Float32Array);
        return answers;
      } finally {
        replica.kill();
      }
    }),
  );
}

/** The greatest difference, as a share of the greatest number. */
export function differenceOf(a: Float32Array, b: Float32Array): number {
  let difference = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  let greatest = 0;
  for (let i = 0; i < a.length; i++) {
    difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
    greatest = Math.max(greatest, Math.abs(a[i]!));
  }
  return difference / (greatest || 1);
}
