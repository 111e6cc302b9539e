import { AiosError } from '../../kernel/errors.ts';
import { elementCount, type Tensor, type TensorSpec } from './tensor.ts';

export const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

/**
 * Holds a request's tensors to a signature and puts them into its order.
 *
 * @throws AiosError `serving.unknown_input`, `serving.missing_input`, `serving.tensor_type`, `serving.tensor_shape`
 */
export function checkInputs(
  specs: readonly TensorSpec[],
  inputs: readonly Tensor[],
  rowsMax: number,
): { tensors: readonly Tensor[]; rows: number } {
  const unknown = inputs.find(({ name }) => !specs.some((spec) => spec.name === name));
  if (unknown) {
    throw new AiosError('serving.unknown_input', {
      detail: `The model has no input “${unknown.name}”; it has ${specs.map(({ name }) => name).join(', ')}.`,
    });
  }
  const tensors = specs.map((spec) => checkTensor(spec, inputs));
  const rows = tensors[0]?.shape[0] ?? 1;
  if (!specs.every(({ shape }) => shape[0] === -1)) return { tensors, rows: 1 };
  for (const { name, shape } of tensors) {
    if (shape[0] === rows) continue;
    throw new AiosError('serving.tensor_shape', {
      detail: `Input “${name}” has ${shape[0]} rows where “${tensors[0]!.name}” has ${rows}.`,
    });
  }
  if (rows === 0 || rows > rowsMax) {
    throw new AiosError('serving.tensor_shape', {
      detail: `A request holds 1 to ${rowsMax} rows; this one has ${rows}.`,
      extensions: { limitName: 'inferenceRowsMax', limit: rowsMax },
    });
  }
  return { tensors, rows };
}

/** Whether a shape is one that a signature takes. @example shapeFits([-1, 3], [2, 3]) // true */
export function shapeFits(taken: readonly number[], shape: readonly number[]): boolean {
  return (
    shape.length === taken.length &&
    taken.every((dimension, axis) => dimension === -1 || dimension === shape[axis])
  );
}

function checkTensor(spec: TensorSpec, inputs: readonly Tensor[]): Tensor {
  const { name, datatype, shape } = spec;
  const given = inputs.filter((input) => input.name === name);
  const [tensor] = given;
  if (!tensor || given.length > 1) {
    throw new AiosError('serving.missing_input', {
      detail: `Input “${name}” is needed once; it was given ${given.length} times.`,
    });
  }
  if (tensor.datatype !== datatype) {
    throw new AiosError('serving.tensor_type', {
      detail: `Input “${name}” is ${datatype}; ${tensor.datatype} was given.`,
    });
  }
  if (!shapeFits(shape, tensor.shape)) {
    throw new AiosError('serving.tensor_shape', {
      detail: `Input “${name}” has the shape ${shapeText(shape)} (-1: any); ${shapeText(tensor.shape)} was given.`,
    });
  }
  if (elementCount(tensor.shape) !== tensor.data.length) {
    throw new AiosError('serving.tensor_shape', {
      detail: `Input “${name}” of shape ${shapeText(tensor.shape)} holds ${elementCount(tensor.shape)} elements; ${tensor.data.length} were given.`,
    });
  }
  return tensor;
}
