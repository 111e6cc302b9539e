import { AiosError } from '../../kernel/errors.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
import {
  bytesOf,
  DATATYPES,
  type Datatype,
  dataOfBytes,
  elementBytes,
  elementCount,
  isDatatype,
  isShape,
  newData,
  SHAPE_RULE,
  type Tensor,
  type TensorData,
} from '../tensors/tensor.ts';
import { shapeText } from '../tensors/tensor-check.ts';
import type { InferTensor, InferTensorContents, Long } from './grpc-messages.ts';

/**
 * The tensors of a message. Raw contents stand for all of them, one part each, or for none.
 *
 * @param side names the tensors in errors: `Input` or `Output`
 * @throws AiosError `request.invalid`, `serving.tensor_type`, `serving.tensor_shape`, `serving.tensor_bytes`, `serving.tensor_value`
 * @example tensorsFromGrpc('Input', [{ name: 'x', datatype: 'FP32', shape: [1, 2] }], [bytes])[0].data // Float32Array
 */
export function tensorsFromGrpc(
  side: 'Input' | 'Output',
  messages: readonly InferTensor[],
  raw: readonly Uint8Array[],
): Tensor[] {
  if (raw.length > 0 && raw.length !== messages.length) {
    throw new AiosError('request.invalid', {
      detail: `There are ${raw.length} raw contents for ${messages.length} tensors: send one for each, or none.`,
    });
  }
  return messages.map((message, index) => {
    const { name, datatype } = message;
    const label = `${side} “${name}”`;
    if (!isDatatype(datatype)) {
      throw new AiosError('serving.tensor_type', {
        detail: `${label}: the datatype “${datatype}” is not served; use one of ${DATATYPES.join(', ')}.`,
      });
    }
    if (message.parameters && Object.hasOwn(message.parameters, 'shared_memory_region'))
      throw new AiosError('serving.parameter_refused', {
        detail: `${label}: shared memory is not served; send the elements.`,
      });
    const shape = shapeOf(message.shape, label);
    const bytes = raw[index];
    if (bytes && message.contents)
      throw new AiosError('request.invalid', {
        detail: `${label} has contents, and raw ones: send one of them.`,
      });
    const data =
      bytes === undefined
        ? dataOfContents(datatype, message.contents, shape, label)
        : dataOfRaw(datatype, bytes, shape, label);
    return { name, datatype, shape, data };
  });
}

/** The description of a tensor, and its elements as they stand in the raw contents. */
export function tensorToGrpc({ name, datatype, shape, data }: Tensor): {
  tensor: InferTensor;
  raw: Uint8Array;
} {
  return { tensor: { name, datatype, shape }, raw: bytesOf(data) };
}

function shapeOf(dimensions: InferTensor['shape'], label: string): number[] {
  const shape = dimensions.map((size) => (typeof size === 'number' ? size : size.toNumber()));
  if (isShape(shape)) return shape;
  throw new AiosError('serving.tensor_shape', { detail: `${label}: ${SHAPE_RULE}.` });
}

function dataOfRaw(
  datatype: Datatype,
  bytes: Uint8Array,
  shape: readonly number[],
  label: string,
): TensorData {
  const count = elementCount(shape);
  if (datatype !== 'BYTES' && bytes.length !== count * elementBytes(datatype)) {
    throw new AiosError('serving.tensor_bytes', {
      detail: `${label}: ${datatype} ${shapeText(shape)} has ${count * elementBytes(datatype)} bytes; ${bytes.length} were given.`,
    });
  }
  if (datatype === 'BOOL') {
    const other = bytes.findIndex((byte) => byte > 1);
    if (other !== -1)
      throw new AiosError('serving.tensor_value', {
        detail: `${label}, element ${other}: the byte ${bytes[other]} is not a BOOL, which is 0 or 1.`,
      });
  }
  return dataOfBytes(datatype, bytes, count, label);
}

type Member = keyof InferTensorContents;

/** Where the elements of a type stand when they are not raw; the 16-bit floats have no place. */
const MEMBER_OF: Partial<Record<Datatype, Member>> = {
  BOOL: 'bool_contents',
  INT8: 'int_contents',
  INT16: 'int_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
  UINT8: 'uint_contents',
  UINT16: 'uint_contents',
  UINT32: 'uint_contents',
  UINT64: 'uint64_contents',
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  BYTES: 'bytes_contents',
};

function dataOfContents(
  datatype: Datatype,
  contents: InferTensorContents | null | undefined,
  shape: readonly number[],
  label: string,
): TensorData {
  const member = MEMBER_OF[datatype];
  if (!member)
    throw new AiosError('serving.tensor_type', { detail: `${label}: ${datatype} has to be sent raw.` });
  const elements = contents?.[member] ?? [];
  // The elements are counted before anything is allocated by the shape.
  if (elements.length !== elementCount(shape)) {
    throw new AiosError('serving.tensor_shape', {
      detail: `${label}: the shape ${shapeText(shape)} holds ${elementCount(shape)} elements; ${elements.length} stand in ${member}.`,
    });
  }
  if (datatype === 'BYTES') return ByteStrings.from(elements as readonly Uint8Array[]);
  const data = newData(datatype, elements.length);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < data.length; i++) data[i] = bigintOf(elements[i] as Long);
    return data;
  }
  for (let i = 0; i < data.length; i++) {
    const element = Number(elements[i]);
    data[i] = element;
    // int_contents and uint_contents carry the narrow integers too: what does not fit is no element.
    if (data[i] !== element && Number.isInteger(data[i]) && datatype !== 'FP32')
      throw new AiosError('serving.tensor_value', {
        detail: `${label}, element ${i}: ${element} is not a valid ${datatype}.`,
      });
  }
  return data;
}

function bigintOf({ high, low }: Long): bigint {
  return (BigInt(high) << 32n) | BigInt(low >>> 0); // the typed array takes it modulo 2^64, signed or not
}
