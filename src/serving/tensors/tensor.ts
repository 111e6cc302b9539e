/** The element types of the Open Inference Protocol that AIOS serves, each with its array. FP16 and BYTES are refused by name. */
export const DATATYPES = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const;

export type Datatype = keyof typeof DATATYPES;
export type TensorData = InstanceType<(typeof DATATYPES)[Datatype]>;

/** A tensor's name, element type and shape; -1 stands for a dimension that the caller chooses. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
}

/** A tensor: its elements in row-major order; every dimension of its shape is fixed. */
export interface Tensor extends TensorSpec {
  readonly data: TensorData;
}

/** The number of elements of a shape without free dimensions. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const dimension of shape) count *= dimension;
  return count;
}

/** @example newData('FP32', 3) // Float32Array [0, 0, 0] */
export function newData(datatype: Datatype, count: number): TensorData {
  return new DATATYPES[datatype](count);
}

/** A view of some rows of a tensor (slices of its first dimension): no element is copied. */
export function sliceRows(tensor: Tensor, firstRow: number, rows: number): Tensor {
  const stride = tensor.data.length / (tensor.shape[0] as number);
  return {
    name: tensor.name,
    datatype: tensor.datatype,
    shape: [rows, ...tensor.shape.slice(1)],
    data: tensor.data.subarray(firstRow * stride, (firstRow + rows) * stride),
  };
}

/**
 * The requests of a batch as one list of tensors, joined along the first dimension.
 *
 * @example joinRows([[{ name: 'x', datatype: 'FP32', shape: [1, 2], data }], …])[0].shape // [n, 2]
 */
export function joinRows(requests: readonly (readonly Tensor[])[]): Tensor[] {
  const [first] = requests as readonly [readonly Tensor[]];
  if (requests.length === 1) return [...first];
  return first.map(({ name, datatype, shape }, position) => {
    const parts = requests.map((tensors) => tensors[position] as Tensor);
    const rows = parts.reduce((sum, part) => sum + (part.shape[0] as number), 0);
    const data = newData(
      datatype,
      parts.reduce((sum, part) => sum + part.data.length, 0),
    );
    let offset = 0;
    for (const part of parts) {
      data.set(part.data as Uint8Array & BigInt64Array, offset);
      offset += part.data.length;
    }
    return { name, datatype, shape: [rows, ...shape.slice(1)], data };
  });
}
