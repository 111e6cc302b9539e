import { type Replica, RunFailed } from '../runtimes/runtime.ts';
import { toBfloat16 } from '../tensors/bfloat16.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
import { dataFromJson } from '../tensors/json-data.ts';
import {
  type Datatype,
  elementCount,
  elementOf,
  newData,
  sliceRows,
  type Tensor,
  type TensorData,
} from '../tensors/tensor.ts';
import { shapeFits } from '../tensors/tensor-check.ts';
import type { WarmUpTensor } from './serving-options.ts';

// Relative: BLAS kernels may round differently for one row and for two. Half floats have 11 and 8 bits: a few units in the last place.
const TOLERANCE = 1e-4;
const TOLERANCES: Partial<Record<Datatype, number>> = { FP16: 4e-3, BF16: 3e-2 };

/** What the warm-up of a replica found out. */
export interface WarmUp {
  readonly batchable: boolean;
  /** What it ran: one request. */
  readonly inputs: readonly Tensor[];
}

/**
 * Runs a fresh replica before it gets traffic, on the model's own warm-up input where there is one, and finds out whether it may be
 * batched: its inputs and outputs must grow with the rows, and two requests together must give what each gives alone (a model that
 * normalises over the batch does not).
 *
 * @throws RunFailed when the model refuses its own warm-up input, or zeros
 */
export async function warmUp(
  replica: Pick<Replica, 'inputs' | 'run'>,
  given?: readonly WarmUpTensor[] | undefined,
): Promise<WarmUp> {
  const inputs = given ? givenInputs(replica, given) : filled(replica, 0);
  const alone = await replica.run([inputs]);
  if (!replica.inputs.every(({ shape }) => shape[0] === -1)) return { batchable: false, inputs };
  let other = given ? inputs.map(halved) : filled(replica, 1);
  try {
    const otherAlone = await replica.run([other]).catch((error: unknown) => {
      if (!(error instanceof RunFailed)) throw error;
      other = [...inputs]; // these values are out of range for this model
      return alone;
    });
    const together = await replica.run([inputs, other]);
    const rows = inputs[0]?.shape[0] ?? 1;
    const batchable = together.outputs.every((output, position) =>
      isBoth(output, alone.outputs[position], otherAlone.outputs[position], rows),
    );
    return { batchable, inputs };
  } catch (error) {
    if (error instanceof RunFailed) return { batchable: false, inputs }; // it runs one row only
    throw error;
  }
}

/** The warm-up input of a definition in the model's own order and types. */
function givenInputs(replica: Pick<Replica, 'inputs'>, given: readonly WarmUpTensor[]): Tensor[] {
  return replica.inputs.map(({ name, datatype, shape: free }) => {
    const tensor = given.find((candidate) => candidate.name === name);
    const fits = tensor && shapeFits(free, tensor.shape) && elementCount(tensor.shape) === tensor.data.length;
    if (!fits)
      throw new RunFailed(
        `the warm-up input “${name}” ${tensor ? `does not fit the shape [${free.join(', ')}]` : 'is missing'}`,
      );
    return { name, datatype, shape: tensor.shape, data: dataOf(name, datatype, tensor.data) };
  });
}

function dataOf(name: string, datatype: Datatype, values: WarmUpTensor['data']): TensorData {
  try {
    return dataFromJson(`the warm-up input “${name}”`, datatype, values);
  } catch (error) {
    throw new RunFailed((error as Error).message, { cause: error });
  }
}

/** Other values of the same kind: a model that mixes the rows of a batch gives equal rows the right answers. */
function halved(tensor: Tensor): Tensor {
  const { data } = tensor;
  const floats = data instanceof Float32Array || data instanceof Float64Array || data instanceof Float16Array;
  return floats ? { ...tensor, data: data.map((value) => value / 2) } : tensor;
}

function filled(replica: Pick<Replica, 'inputs'>, value: 0 | 1): Tensor[] {
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

function isBoth(
  together: Tensor,
  first: Tensor | undefined,
  second: Tensor | undefined,
  rows: number,
): boolean {
  if (!first || !second || together.shape[0] !== 2 * rows || first.shape[0] !== rows) return false;
  if (together.data.length !== first.data.length + second.data.length) return false;
  return agree(sliceRows(together, 0, rows), first) && agree(sliceRows(together, rows, rows), second);
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
