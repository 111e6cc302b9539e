import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { dataFromJson, dataToJson, flatten } from '../tensors/json-data.ts';
import {
  bytesOf,
  dataOfBytes,
  elementBytes,
  elementCount,
  isDatatype,
  type Tensor,
  type TensorSpec,
} from '../tensors/tensor.ts';

/*
 * The other side of the Open Inference Protocol over HTTP: what is sent to a server, and what one answers.
 */

/** How a server says that it reads tensors as bytes. */
const BINARY_EXTENSION = 'binary_tensor_data';
const MICROSECONDS = 1000;

/** A request's body; bytes begin with `headerBytes` of JSON. */
export interface OipRequestBody {
  readonly body: string | Uint8Array;
  readonly headerBytes: number | undefined;
}

/** True when the answer of `GET /v2` names the binary extension. */
export function takesBinary(metadata: Json | undefined): boolean {
  return (
    isObject(metadata) && Array.isArray(metadata.extensions) && metadata.extensions.includes(BINARY_EXTENSION)
  );
}

/**
 * The tensors that a server tells of a model; nothing where it tells none.
 *
 * @throws Error for what cannot be read
 * @example tensorsOfMetadata({ inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }], outputs: [] })
 */
export function tensorsOfMetadata(
  metadata: Json | object | undefined,
): { inputs: TensorSpec[]; outputs: TensorSpec[] } | undefined {
  const { inputs, outputs } = metadata as { inputs?: unknown; outputs?: unknown };
  const read = (side: unknown) => (Array.isArray(side) ? side.map(specOf) : []);
  const specs = { inputs: read(inputs), outputs: read(outputs) };
  return specs.inputs.length > 0 && specs.outputs.length > 0 ? specs : undefined;
}

function specOf(value: { name: string; datatype: string; shape: readonly unknown[] }): TensorSpec {
  const { name, datatype } = value;
  const shape = [...value.shape].map(Number);
  if (!isDatatype(datatype) || !shape.every(Number.isSafeInteger))
    throw new Error(`the server tells of a tensor “${name}” ${datatype} [${shape.join(', ')}]`);
  return { name, datatype, shape };
}

/**
 * Writes a request for all outputs.
 *
 * @param timeoutMs told to the server, which may give up then
 * @example writeOipRequest(inputs, true, 500).headerBytes
 */
export function writeOipRequest(
  inputs: readonly Tensor[],
  isBinary: boolean,
  timeoutMs: number | undefined,
): OipRequestBody {
  const parameters: JsonObject = {};
  if (timeoutMs !== undefined) parameters.timeout = Math.max(1, Math.ceil(timeoutMs * MICROSECONDS));
  if (isBinary) parameters.binary_data_output = true;
  const parts: Uint8Array[] = [];
  const head = {
    ...(Object.keys(parameters).length > 0 && { parameters }),
    inputs: inputs.map((input) => {
      const { name, datatype, shape } = input;
      if (!isBinary) return { name, datatype, shape, data: dataToJson(input) };
      const part = bytesOf(input.data);
      parts.push(part);
      return { name, datatype, shape, parameters: { binary_data_size: part.length } };
    }),
  };
  const json = JSON.stringify(head);
  if (!isBinary) return { body: json, headerBytes: undefined };
  const header = Buffer.from(json);
  return { body: Buffer.concat([header, ...parts]), headerBytes: header.length };
}

/**
 * Reads an answer. Absent numbers (null) are NaN: JSON has none.
 *
 * @param headerLength the header `Inference-Header-Content-Length` of the answer
 * @throws Error for what cannot be read
 */
export function readOipAnswer(body: Uint8Array, headerLength: string | undefined): Tensor[] {
  const headerBytes = headerLength === undefined ? body.length : Number(headerLength);
  if (!(headerBytes >= 0 && headerBytes <= body.length))
    throw new Error(`the answer's header length is ${headerLength}; it has ${body.length} bytes`);
  const answer = JSON.parse(Buffer.from(body.buffer, body.byteOffset, headerBytes).toString('utf8')) as Json;
  if (!isObject(answer) || !Array.isArray(answer.outputs)) throw new Error('the answer has no outputs');
  let offset = headerBytes;
  return answer.outputs.map((output): Tensor => {
    if (!isObject(output) || !isDatatype(output.datatype) || !Array.isArray(output.shape))
      throw new Error(`the answer has an invalid output: ${JSON.stringify(output)?.slice(0, 100)}`);
    const { name, datatype, data, parameters } = output;
    const shape = output.shape.map(Number);
    const size = isObject(parameters) ? parameters.binary_data_size : undefined;
    if (typeof size !== 'number')
      return { name: String(name), datatype, shape, data: jsonData(String(name), datatype, shape, data) };
    const bytes = body.subarray(offset, offset + size);
    offset += size;
    const count = elementCount(shape);
    if (bytes.length !== size || (datatype !== 'BYTES' && size !== count * elementBytes(datatype)))
      throw new Error(`output “${name}”: ${bytes.length} bytes are no ${datatype} [${shape.join(', ')}]`);
    return {
      name: String(name),
      datatype,
      shape,
      data: dataOfBytes(datatype, bytes, count, `Output “${name}”`),
    };
  });
}

/**
 * Elements of an output that are written in JSON, flat or nested.
 *
 * @throws AiosError `serving.tensor_value`, `serving.tensor_shape`
 */
export function jsonData(
  name: string,
  datatype: Tensor['datatype'],
  shape: readonly number[],
  data: Json | undefined,
): Tensor['data'] {
  const label = `Output “${name}”`;
  const flat = flatten(Array.isArray(data) ? data : [data ?? null], shape, label);
  const absent: number[] = [];
  const isFloat = datatype.startsWith('FP') || datatype === 'BF16';
  const given = isFloat
    ? flat.map((value, index) => {
        if (value !== null) return value;
        absent.push(index);
        return 0;
      })
    : flat;
  const read = dataFromJson(label, datatype, given);
  if (read.length !== elementCount(shape))
    throw new Error(`${label}: ${read.length} elements are not [${shape.join(', ')}]`);
  for (const index of absent) (read as Float32Array)[index] = datatype === 'BF16' ? 0x7fc0 : Number.NaN;
  return read;
}
