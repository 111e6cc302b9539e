import { type Replica, RunFailed } from '../runtimes/runtime.ts';
import { elementCount, newData, type Tensor, type TensorData } from '../tensors/tensor.ts';

const TOLERANCE = 1e-4; // relative: BLAS kernels may round differently for one row and for two

/**
 * Runs a fresh replica before it gets traffic, and finds out whether it may be batched: its inputs and outputs must grow with the
 * rows, and two rows together must give what each gives alone (a model that normalises over the batch does not).
 */
export async function warmUp(replica: Replica): Promise<{ batchable: boolean }> {
  const zeros = filled(replica, 0);
  const alone = await replica.run([zeros]);
  if (!replica.inputs.every(({ shape }) => shape[0] === -1)) return { batchable: false };
  let other = filled(replica, 1);
  try {
    const otherAlone = await replica.run([other]).catch((error: unknown) => {
      if (!(error instanceof RunFailed)) throw error;
      other = zeros; // ones are out of range for this model
      return alone;
    });
    const together = await replica.run([zeros, other]);
    const batchable = together.outputs.every((output, position) =>
      isBoth(output, alone.outputs[position], otherAlone.outputs[position]),
    );
    return { batchable };
  } catch (error) {
    if (error instanceof RunFailed) return { batchable: false }; // it runs one row only
    throw error;
  }
}

function filled(replica: Replica, value: 0 | 1): Tensor[] {
  return replica.inputs.map(({ name, datatype, shape: free }) => {
    const shape = free.map((dimension) => (dimension === -1 ? 1 : dimension));
    const data = newData(datatype, elementCount(shape));
    for (let i = 0; value === 1 && i < data.length; i++) data[i] = typeof data[i] === 'bigint' ? 1n : 1;
    return { name, datatype, shape, data };
  });
}

function isBoth(together: Tensor, first: Tensor | undefined, second: Tensor | undefined): boolean {
  if (!first || !second || together.shape[0] !== 2 || first.shape[0] !== 1) return false;
  const half = first.data.length;
  if (together.data.length !== half + second.data.length) return false;
  return (
    agree(together.data.subarray(0, half), first.data) && agree(together.data.subarray(half), second.data)
  );
}

function agree(a: TensorData, b: TensorData): boolean {
  for (let i = 0; i < a.length; i++) {
    const [left, right] = [Number(a[i]), Number(b[i])];
    if (Object.is(left, right)) continue;
    if (!(Math.abs(left - right) <= TOLERANCE * Math.max(1, Math.abs(left), Math.abs(right)))) return false;
  }
  return true;
}
