import { AiosError } from '../../kernel/errors.ts';
import { toBfloat16 } from '../tensors/bfloat16.ts';
import { elementCount, newData, type TensorSpec } from '../tensors/tensor.ts';
import type { EvaluationRow } from './evaluation-rows.ts';

const FREE_DIMENSION = 8; // elements along a dimension that the caller chooses

/**
 * Requests of one row by the signature, the same for a seed: numbers of the standard normal distribution; whole numbers below the end of the table that
 * they are looked up in, else 0 or 1.
 *
 * @param tables rows of those tables, by input
 * @throws AiosError `models.quantization_data` for texts: nobody can say which ones a model knows
 * @example randomRows([{ name: 'x', datatype: 'FP32', shape: [-1, 2] }], {}, 256, 7).length // 256
 */
export function randomRows(
  inputs: readonly TensorSpec[],
  tables: Readonly<Record<string, number>>,
  count: number,
  seed: number,
): EvaluationRow[] {
  const text = inputs.find(({ datatype }) => datatype === 'BYTES');
  if (text)
    throw new AiosError('models.quantization_data', {
      detail: `The input “${text.name}” takes texts: give rows of real data.`,
    });
  const next = randomNumbers(seed);
  return Array.from({ length: count }, () =>
    inputs.map((spec) => randomTensor(spec, tables[spec.name] ?? 2, next)),
  );
}

function randomTensor({ name, datatype, shape: free }: TensorSpec, below: number, next: () => number) {
  const shape = free.map((size, axis) => (size !== -1 ? size : axis === 0 ? 1 : FREE_DIMENSION));
  const data = newData(datatype as Exclude<typeof datatype, 'BYTES'>, elementCount(shape));
  const isAmount = ['FP16', 'BF16', 'FP32', 'FP64'].includes(datatype);
  const end = datatype === 'BOOL' ? 2 : datatype.endsWith('INT8') ? Math.min(below, 128) : below;
  for (let i = 0; i < data.length; i++) {
    if (isAmount) {
      const value = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()); // Box and Muller
      data[i] = datatype === 'BF16' ? toBfloat16(value) : value;
    } else {
      const whole = Math.floor(next() * end);
      data[i] = typeof data[i] === 'bigint' ? BigInt(whole) : whole;
    }
  }
  return { name, datatype, shape, data };
}

/** In [0, 1): xorshift of 32 bits. */
function randomNumbers(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
