import { type Replica, RunFailed } from '../runtimes/runtime.ts';
import { toBfloat16 } from '../tensors/bfloat16.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
import {
  type Datatype,
  elementCount,
  elementOf,
  newData,
  sliceRows,
  type Tensor,
  type TensorData,
} from '../tensors/tensor.ts';

// Relative: BLAS kernels may round differently for one row and for two. Half floats have 11 and 8 bits: a few units in the last place.
const TOLERANCE = 1e-4;
const TOLERANCES: Partial<Record<Datatype, number>> = { FP16: 4e-3, BF16: 3e-2 };

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
    return { name, datatype, shape, data: filledData(datatype, elementCount(shape), value) };
  });
}

function filledData(datatype: Datatype, count: number, value: 0 | 1): TensorData {
  if (datatype === 'BYTES') return ByteStrings.from(new Array<string>(count).fill(String(value)));
  const data = newData(datatype, count);
  const one = datatype === 'BF16' ? toBfloat16(1) : 1;
  for (let i = 0; value === 1 && i < count; i++) data[i] = typeof data[i] === 'bigint' ? 1n : one;
  return data;
}

function isBoth(together: Tensor, first: Tensor | undefined, second: Tensor | undefined): boolean {
  if (!first || !second || together.shape[0] !== 2 || first.shape[0] !== 1) return false;
  if (together.data.length !== first.data.length + second.data.length) return false;
  return agree(sliceRows(together, 0, 1), first) && agree(sliceRows(together, 1, 1), second);
}

function agree(a: Tensor, b: Tensor): boolean {
  const tolerance = TOLERANCES[a.datatype] ?? TOLERANCE;
  for (let i = 0; i < a.data.length; i++) {
    const [left, right] = [elementOf(a, i), elementOf(b, i)];
    if (Object.is(left, right)) continue;
    const [x, y] = [Number(left), Number(right)];
    if (!(Math.abs(x - y) <= tolerance * Math.max(1, Math.abs(x), Math.abs(y)))) return false;
  }
  return true;
}
