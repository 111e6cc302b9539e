import type { TensorSpec } from './tensor.ts';

/** The value that stands for a feature that is absent; `nan` is the missing value of tree models. */
export type Fill = number | 'nan';

/** A version's tensors, and how named features become its one input matrix. The registry keeps it. */
export interface Signature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** The columns of the input matrix, in order. */
  readonly features?: readonly string[] | undefined;
  readonly fill?: Fill | Readonly<Record<string, Fill>> | undefined;
  /** Names for columns of outputs: `score: { output: probabilities, column: 1 }`. Without them every output is answered whole. */
  readonly results?: Readonly<Record<string, { output: string; column?: number | undefined }>> | undefined;
}
