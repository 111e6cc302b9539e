import { fromBfloat16 } from './bfloat16.ts';
import { ByteStrings } from './byte-strings.ts';

/** The arrays of the element types of fixed size. BF16 has no type of its own: its 16-bit words are kept (`bfloat16.ts`). BOOL is 0 or 1. */
const ARRAYS = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Float16Array,
  BF16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const;

type NumericDatatype = keyof typeof ARRAYS;
/** The element types of the Open Inference Protocol. */
export type Datatype = NumericDatatype | 'BYTES';
export type NumericData = InstanceType<(typeof ARRAYS)[NumericDatatype]>;
export type TensorData = NumericData | ByteStrings;

export const DATATYPES: readonly Datatype[] = [...(Object.keys(ARRAYS) as NumericDatatype[]), 'BYTES'];

export function isDatatype(value: unknown): value is Datatype {
  return value === 'BYTES' || (typeof value === 'string' && Object.hasOwn(ARRAYS, value));
}

const RANK_MAX = 255;
const DIMENSION_MAX = 2 ** 32 - 1; // what a replica is told in 32 bits
export const SHAPE_RULE = `a shape is a list of at most ${RANK_MAX} whole numbers from 0 to 2^32 - 1`;

/** Whether these are the dimensions of a tensor: none of them is free. */
export function isShape(dimensions: unknown): dimensions is number[] {
  if (!Array.isArray(dimensions) || dimensions.length > RANK_MAX) return false;
  return dimensions.every((size) => Number.isInteger(size) && size >= 0 && size <= DIMENSION_MAX);
}

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
  for (const dimension of shape) {
    if (dimension === 0) return 0; // sizes may multiply past any number, and that times 0 is NaN
    count *= dimension;
  }
  return count;
}

/** @example newData('FP32', 3) // Float32Array [0, 0, 0] */
export function newData(datatype: NumericDatatype, count: number): NumericData {
  return new ARRAYS[datatype](count);
}

/** Bytes of one element; 0 for BYTES, whose elements have their own lengths. */
export function elementBytes(datatype: Datatype): number {
  return datatype === 'BYTES' ? 0 : ARRAYS[datatype].BYTES_PER_ELEMENT;
}

/** The elements as they travel, little-endian; a view. */
export function bytesOf(data: TensorData): Uint8Array {
  return data instanceof ByteStrings
    ? data.bytes
    : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * The elements that stand in these bytes: a view where they are aligned, else a copy.
 *
 * @param count elements; the bytes must be exactly theirs
 * @param label names the tensor in the error
 * @throws AiosError `serving.tensor_bytes` for BYTES whose lengths lie
 */
export function dataOfBytes(datatype: Datatype, bytes: Uint8Array, count: number, label: string): TensorData {
  if (datatype === 'BYTES') return ByteStrings.read(bytes, count, label);
  const array = ARRAYS[datatype];
  const { buffer, byteOffset } =
    bytes.byteOffset % array.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return new array(buffer as ArrayBuffer, byteOffset, count);
}

/** One element: a number, a text for BYTES (nothing when it is no UTF-8), a bigint for 64 bits. BOOL is 0 or 1. */
export function elementOf({ datatype, data }: Pick<Tensor, 'datatype' | 'data'>, index: number) {
  if (data instanceof ByteStrings) return data.text(index);
  const value = data[index];
  return datatype === 'BF16' ? fromBfloat16(value as number) : value;
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
    const data = joinData(
      datatype,
      parts.map((part) => part.data),
    );
    return { name, datatype, shape: [rows, ...shape.slice(1)], data };
  });
}

function joinData(datatype: Datatype, parts: readonly TensorData[]): TensorData {
  if (datatype === 'BYTES') return ByteStrings.join(parts as readonly ByteStrings[]);
  const data = newData(
    datatype,
    parts.reduce((sum, part) => sum + part.length, 0),
  );
  let offset = 0;
  for (const part of parts) {
    data.set(part as Uint8Array & BigInt64Array, offset);
    offset += part.length;
  }
  return data;
}
