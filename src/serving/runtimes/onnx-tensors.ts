import { Tensor as OnnxTensor } from 'onnxruntime-node';
import { fromBfloat16, toBfloat16 } from '../tensors/bfloat16.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
import type { Datatype, Tensor, TensorData } from '../tensors/tensor.ts';
import { bfloat16Name } from './onnx-bfloat16.ts';

/*
 * Tensors as ONNX Runtime for Node has them, which is not quite how the protocol does. For the replica's process only.
 */
const ONNX_TYPES: Readonly<Record<string, Datatype>> = {
  bool: 'BOOL',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  string: 'BYTES',
};
const TYPES_OF = Object.fromEntries(Object.entries(ONNX_TYPES).map(([onnx, datatype]) => [datatype, onnx]));

type Unnamed = Omit<Tensor, 'name'>;

/** A tensor's own name and datatype; no datatype for an element type that is not served. */
export function describedAs(name: string, type: string): { name: string; datatype: Datatype | undefined } {
  const own = bfloat16Name(name);
  return own === undefined ? { name, datatype: ONNX_TYPES[type] } : { name: own, datatype: 'BF16' };
}

/** @throws Error for BYTES that ONNX Runtime cannot carry */
export function toOnnx({ datatype, shape, data }: Unnamed, name: string): OnnxTensor {
  if (datatype === 'BF16')
    return new OnnxTensor('float32', Float32Array.from(data as Uint16Array, fromBfloat16), shape);
  const values = data instanceof ByteStrings ? textsOf(data, name) : data;
  const tensor = new OnnxTensor(TYPES_OF[datatype] as 'float32', values as Float32Array, shape);
  // ONNX Runtime's tensors hold FP16 as Float16Array, while its native part reads nothing but words.
  if (datatype === 'FP16') Object.assign(tensor, { cpuData: wordsOf(data as Float16Array) });
  return tensor;
}

export function fromOnnx({ type, dims: shape, data }: OnnxTensor, name: string): Unnamed {
  if (bfloat16Name(name) !== undefined)
    return { datatype: 'BF16', shape, data: Uint16Array.from(data as Float32Array, toBfloat16) };
  const values = type === 'string' ? ByteStrings.from(data as string[]) : (data as TensorData);
  return { datatype: ONNX_TYPES[type]!, shape, data: values };
}

function wordsOf({ buffer, byteOffset, length }: Float16Array): Uint16Array {
  return new Uint16Array(buffer, byteOffset, length);
}

/** ONNX strings are UTF-8, and ONNX Runtime for Node ends them at a NUL: other bytes would come back as something else. */
function textsOf(data: ByteStrings, name: string): string[] {
  return Array.from(data, (_, i) => {
    const text = data.text(i);
    if (text === undefined || text.includes('\0'))
      throw new Error(`input “${name}”, element ${i} is not UTF-8 without NUL`);
    return text;
  });
}
