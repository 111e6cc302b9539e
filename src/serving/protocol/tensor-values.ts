import { AiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { dataFromJson, dataToJson, shown } from '../tensors/json-data.ts';
import { elementCount, type Tensor, type TensorSpec } from '../tensors/tensor.ts';
import { shapeFits, shapeText } from '../tensors/tensor-check.ts';

/**
 * The tensors that lists came from: a list that is handed on unread needs no reading back, and loses nothing on the way (a NaN has no
 * JSON). Lists are never changed once they are made.
 */
const origins = new WeakMap<object, Tensor>();

/**
 * A tensor as a value of a flow: lists nested as its shape says, row-major; one without dimensions is its element. NaN and infinities are null;
 * integers past 2^53 are texts.
 *
 * @throws AiosError `serving.tensor_value` for BYTES that are no UTF-8
 * @example listsOf({ name: 'x', datatype: 'FP32', shape: [2, 1], data: Float32Array.of(1, 2) }) // [[1], [2]]
 */
function listsOf(tensor: Tensor): Json {
  const value = nested(elementsOf(tensor), tensor.shape);
  if (typeof value === 'object' && value !== null) origins.set(value, tensor);
  return value;
}

/** @example valuesOf(answer.outputs).probabilities // [[0.2], [0.9]] */
export function valuesOf(tensors: readonly Tensor[]): JsonObject {
  const values: JsonObject = {};
  for (const tensor of tensors) values[tensor.name] = listsOf(tensor);
  return values;
}

/**
 * Values by name as the tensors of a signature, in its order. The last dimension of a column may be left out: `[0.2, 0.9]` is `[[0.2], [0.9]]` where
 * the signature says `[-1, 1]`.
 *
 * @throws AiosError `serving.unknown_input`, `serving.missing_input`, `serving.tensor_shape`, `serving.tensor_value`
 * @example tensorsOf([{ name: 'x', datatype: 'FP32', shape: [-1, 2] }], { x: [[1, 2]] })[0].shape // [1, 2]
 */
export function tensorsOf(specs: readonly TensorSpec[], values: JsonObject): Tensor[] {
  for (const name of Object.keys(values)) {
    if (specs.some((spec) => spec.name === name)) continue;
    const detail = `There is no tensor “${name}”; there are ${specs.map((spec) => spec.name).join(', ')}.`;
    throw new AiosError('serving.unknown_input', { detail });
  }
  return specs.map((spec) => {
    const value = values[spec.name];
    if (value !== undefined) return tensorOf(spec, value);
    throw new AiosError('serving.missing_input', { detail: `The tensor “${spec.name}” is missing.` });
  });
}

function tensorOf(spec: TensorSpec, value: Json): Tensor {
  const { name, datatype } = spec;
  const origin = typeof value === 'object' && value !== null ? origins.get(value) : undefined;
  if (origin?.datatype === datatype && shapeFits(spec.shape, origin.shape)) return { ...origin, name };
  const shape: number[] = [];
  for (let part: Json | undefined = value; Array.isArray(part); part = part[0]) shape.push(part.length);
  let flat: Json[] = Array.isArray(value) ? value : [value];
  for (let axis = 1; axis < shape.length; axis++) {
    for (const part of flat)
      if (!Array.isArray(part) || part.length !== shape[axis]) throw ragged(name, part);
    flat = (flat as Json[][]).flat(1);
  }
  if (shape.length === spec.shape.length - 1 && spec.shape.at(-1) === 1) shape.push(1);
  // A list of no rows says nothing of what they would be.
  while (shape[0] === 0 && shape.length < spec.shape.length)
    shape.push(Math.max(0, spec.shape[shape.length]!));
  if (!shapeFits(spec.shape, shape)) {
    const detail = `“${name}” has the shape ${shapeText(spec.shape)} (-1: any); ${shapeText(shape)} was given.`;
    throw new AiosError('serving.tensor_shape', { detail });
  }
  return { name, datatype, shape, data: dataFromJson(`“${name}”`, datatype, flat) };
}

function ragged(name: string, part: Json): AiosError {
  const found = Array.isArray(part) ? `a list of ${part.length}` : shown(part);
  return new AiosError('serving.tensor_shape', {
    detail: `“${name}” is not nested evenly: ${found} stands beside lists of another length.`,
  });
}

function elementsOf(tensor: Tensor): Json[] {
  const { data } = tensor;
  if (!(data instanceof BigInt64Array || data instanceof BigUint64Array)) return dataToJson(tensor);
  return Array.from(data as Iterable<bigint>, (value) => {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  });
}

function nested(flat: Json[], shape: readonly number[]): Json {
  if (shape.length === 0) return flat[0] ?? null;
  let level = flat;
  for (let axis = shape.length - 1; axis > 0; axis--) {
    const size = shape[axis]!;
    const count = elementCount(shape.slice(0, axis));
    const parts: Json[] = new Array(count);
    for (let i = 0; i < count; i++) parts[i] = level.slice(i * size, (i + 1) * size);
    level = parts;
  }
  return level;
}
