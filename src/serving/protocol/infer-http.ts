import { AiosError } from '../../kernel/errors.ts';
import { exactIntegers } from '../../kernel/exact-integers.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { dataFromJson, dataToJson, flatten, hasRounded, shown } from '../tensors/json-data.ts';
import {
  bytesOf,
  DATATYPES,
  type Datatype,
  dataOfBytes,
  elementBytes,
  elementCount,
  isDatatype,
  isShape,
  SHAPE_RULE,
  type Tensor,
  type TensorData,
} from '../tensors/tensor.ts';
import { shapeText } from '../tensors/tensor-check.ts';
import { classesOf, classified } from './classification.ts';
import {
  flag,
  type RequestParameters,
  readParameters,
  refuseParameters,
  refuseTwice,
} from './infer-parameters.ts';

/*
 * Inference over HTTP, as functions without a server: the Open Inference Protocol, version 2 (kserve/open-inference-protocol,
 * specification/protocol/inference_rest.md), with the binary tensor data extension (triton-inference-server/server,
 * docs/protocol/extension_binary_data.md): a JSON header of `Inference-Header-Content-Length` bytes, then the tensors' bytes in order.
 */

/** The length of the JSON before the tensors' bytes; 0: the body is one tensor without a header. */
export const HEADER_LENGTH = 'inference-header-content-length';

/** An output asked for. */
interface RequestedOutput {
  readonly name: string;
  /** Nothing: as the request says for all. */
  readonly binary: boolean | undefined;
  /** So many of the classes with the highest scores instead of the elements. */
  readonly classes?: number | undefined;
}

/** A request as it was sent, before it is held to a signature. */
export interface InferenceRequest extends RequestParameters {
  readonly id: string | undefined;
  readonly inputs: readonly Tensor[];
  /** Nothing: all of them. */
  readonly outputs: readonly RequestedOutput[] | undefined;
}

/** What an inference answers with. */
export interface Answered {
  readonly model: string;
  readonly version: number;
  readonly outputs: readonly Tensor[];
  /** What is to be known of the answer: that a cache or a fallback gave it. */
  readonly parameters?: Readonly<Record<string, string | boolean>> | undefined;
}

/** An answer's body: a text is JSON; bytes begin with `headerBytes` of JSON. */
export type InferenceBody =
  | { readonly json: string; readonly headerBytes?: undefined }
  | { readonly bytes: Uint8Array; readonly headerBytes: number };

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads the body of `POST /v2/models/{name}/infer`. A member that may be absent may be null: clients that write out every member of a request send it so. Binary tensors are views of the body where their elements are aligned. What is
 * declared is compared with what has come before anything is allocated by it.
 *
 * @param body the whole body, decompressed
 * @param headerLength the header `Inference-Header-Content-Length`; without it the body is JSON. For `'0'` see `readRawInference`
 * @throws AiosError `request.malformed`, `request.invalid`, `serving.parameter_refused`, `serving.tensor_type`, `serving.tensor_shape`,
 * `serving.tensor_value`, `serving.tensor_bytes`
 * @example readInference(Buffer.from('{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}'), undefined).inputs
 */
export function readInference(body: Uint8Array, headerLength: string | undefined): InferenceRequest {
  const headerBytes = headerLength === undefined ? body.length : headerBytesOf(headerLength, body.length);
  const request = parse(headerBytes === body.length ? body : body.subarray(0, headerBytes));
  if (!isObject(request) || !Array.isArray(request.inputs))
    throw invalid('/inputs', 'an inference request has a list of inputs');
  const { id } = request;
  if (id != null && typeof id !== 'string') throw invalid('/id', 'id is a text');
  const { priority, timeoutMs, binaryOutputs, stickyKey } = readParameters(request.parameters ?? undefined);
  const reader = new RequestBody(body, headerBytes);
  const inputs: Tensor[] = [];
  for (let i = 0; i < request.inputs.length; i++) inputs.push(readInput(request.inputs[i], i, reader));
  reader.end();
  return {
    id: id ?? undefined,
    inputs,
    outputs: readOutputs(request.outputs),
    priority,
    timeoutMs,
    binaryOutputs,
    stickyKey,
  };
}

/**
 * Reads a body that is one tensor and nothing else (`Inference-Header-Content-Length: 0`): its shape follows from the model's only
 * input and the number of bytes; for BYTES the body is one element. All outputs are answered in binary.
 *
 * @throws AiosError `serving.raw_input` when the shape does not follow, `serving.tensor_bytes`
 * @example readRawInference(Buffer.from(Float32Array.of(1, 2).buffer), [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }])
 */
export function readRawInference(
  body: Uint8Array,
  specs: readonly Pick<Tensor, 'name' | 'datatype' | 'shape'>[],
): InferenceRequest {
  const [spec] = specs;
  if (!spec || specs.length > 1) throw raw(`the model has ${specs.length} inputs`);
  const { name, datatype } = spec;
  const free = spec.shape.filter((size) => size === -1).length;
  const fixed = elementCount(spec.shape.filter((size) => size !== -1));
  const bytes = datatype === 'BYTES' ? oneElement(body) : body;
  const count = datatype === 'BYTES' ? 1 : body.length / elementBytes(datatype);
  if (free > 1 && datatype !== 'BYTES')
    throw raw(`the shape ${shapeText(spec.shape)} has ${free} free sizes`);
  const size = datatype === 'BYTES' ? 1 : count / fixed;
  const shape = spec.shape.map((dimension) => (dimension === -1 ? size : dimension));
  if (!Number.isInteger(size) || elementCount(shape) !== count)
    throw bytesFault(name, `${body.length} bytes are no ${datatype} of the shape ${shapeText(spec.shape)}.`);
  const inputs = [{ name, datatype, shape, data: readBytes(name, datatype, bytes, count) }];
  return {
    id: undefined,
    inputs,
    outputs: undefined,
    priority: undefined,
    timeoutMs: undefined,
    binaryOutputs: true,
  };
}

/**
 * Writes an answer in the form that the request asks for.
 *
 * @throws AiosError `serving.unknown_output` for one that the model does not have, `serving.parameter_refused` for classes of one without numbers, `serving.tensor_value` for BYTES that JSON cannot carry
 */
export function writeInference(request: InferenceRequest, answer: Answered): InferenceBody {
  const parts: Uint8Array[] = [];
  const { outputs: wanted, binaryOutputs } = request;
  const outputs: JsonObject[] = [];
  if (wanted) {
    for (const { name, binary, classes } of wanted) {
      const output = outputNamed(answer, name);
      const told = classes === undefined ? output : classified(output, classes);
      outputs.push(writeOutput(told, binary ?? binaryOutputs, parts));
    }
  } else {
    for (const output of answer.outputs) outputs.push(writeOutput(output, binaryOutputs, parts));
  }
  const head: JsonObject = { model_name: answer.model, model_version: String(answer.version) };
  if (request.id !== undefined) head.id = request.id;
  if (answer.parameters) head.parameters = answer.parameters;
  head.outputs = outputs;
  const json = JSON.stringify(head);
  if (parts.length === 0) return { json };
  const headerBytes = Buffer.byteLength(json);
  let length = headerBytes;
  for (const part of parts) length += part.length;
  const bytes = Buffer.allocUnsafe(length);
  bytes.write(json);
  let offset = headerBytes;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return { bytes, headerBytes };
}

function writeOutput(output: Tensor, binary: boolean, parts: Uint8Array[]): JsonObject {
  const { name, datatype, data } = output;
  const shape = output.shape as number[];
  if (!binary) return { name, datatype, shape, data: dataToJson(output) };
  const part = bytesOf(data);
  parts.push(part);
  return { name, datatype, shape, parameters: { binary_data_size: part.length } };
}

function outputNamed({ outputs }: Answered, name: string): Tensor {
  const output = outputs.find((candidate) => candidate.name === name);
  if (output) return output;
  throw new AiosError('serving.unknown_output', {
    detail: `The model has no output “${name}”; it has ${outputs.map((each) => each.name).join(', ')}.`,
  });
}

function headerBytesOf(headerLength: string, bodyBytes: number): number {
  const length = /^\d{1,15}$/.test(headerLength) ? Number(headerLength) : Number.NaN;
  if (length > 0 && length <= bodyBytes) return length;
  throw new AiosError('request.malformed', {
    detail: `Inference-Header-Content-Length is ${JSON.stringify(headerLength.slice(0, 40))}; the body has ${bodyBytes} bytes.`,
  });
}

function parse(bytes: Uint8Array): Json {
  try {
    return JSON.parse(decoder.decode(bytes)) as Json;
  } catch (cause) {
    const detail = `The ${bytes.length} bytes of JSON cannot be read: ${(cause as Error).message}. JSON has no NaN and no infinity.`;
    throw new AiosError('request.malformed', { detail, cause });
  }
}

/** A body: the bytes behind its JSON, handed out in the order of the inputs, and the JSON again where numbers do not say it all. */
class RequestBody {
  readonly #body: Uint8Array;
  readonly #headerBytes: number;
  #offset: number;
  #exact: Json | undefined;

  constructor(body: Uint8Array, headerBytes: number) {
    this.#body = body;
    this.#headerBytes = headerBytes;
    this.#offset = headerBytes;
  }

  take(name: string, size: number): Uint8Array {
    const left = this.#body.length - this.#offset;
    if (size > left)
      throw bytesFault(name, `binary_data_size is ${size}, and ${left} bytes are left of the body.`);
    this.#offset += size;
    return this.#body.subarray(this.#offset - size, this.#offset);
  }

  /** The data of an input in JSON, with every digit of its integers. */
  exactData(index: number): Json[] {
    this.#exact ??= exactIntegers(decoder.decode(this.#body.subarray(0, this.#headerBytes)));
    return (this.#exact as unknown as { inputs: { data: Json[] }[] }).inputs[index]!.data;
  }

  end(): void {
    const left = this.#body.length - this.#offset;
    if (left === 0) return;
    throw new AiosError('serving.tensor_bytes', {
      detail: `${left} bytes of the body belong to no input: binary_data_size says how many are an input's.`,
    });
  }
}

function readInput(value: Json | undefined, index: number, parts: RequestBody): Tensor {
  if (!isObject(value) || typeof value.name !== 'string')
    throw invalid(`/inputs/${index}/name`, 'an input has a name');
  const { name, datatype, shape, data, parameters } = value;
  if (!isDatatype(datatype)) {
    throw new AiosError('serving.tensor_type', {
      detail: `Input “${name}”: the datatype ${shown(datatype)} is none; use one of ${DATATYPES.join(', ')}.`,
    });
  }
  if (!isShape(shape)) {
    throw shapeFault(name, `${SHAPE_RULE}.`);
  }
  const size = parameters == null ? undefined : binarySize(parameters, `/inputs/${index}/parameters`);
  if (size !== undefined) {
    if (data != null)
      throw invalid(`/inputs/${index}/data`, 'an input has data or binary_data_size, not both');
    const bytes = parts.take(name, size);
    return { name, datatype, shape, data: readBytes(name, datatype, bytes, elementCount(shape)) };
  }
  if (!Array.isArray(data)) throw invalid(`/inputs/${index}/data`, 'data is a list');
  const label = `Input “${name}”`;
  let flat = flatten(data, shape, label);
  if (hasRounded(datatype, flat)) flat = flatten(parts.exactData(index), shape, label);
  // The data is counted before anything is allocated by the shape: a shape of [1e9] with two elements is a cheap attack.
  if (flat.length !== elementCount(shape))
    throw shapeFault(
      name,
      `the shape ${shapeText(shape)} holds ${elementCount(shape)} elements; ${flat.length} were given.`,
    );
  return { name, datatype, shape, data: dataFromJson(label, datatype, flat) };
}

function readBytes(name: string, datatype: Datatype, bytes: Uint8Array, count: number): TensorData {
  const needed = count * elementBytes(datatype);
  if (datatype !== 'BYTES' && needed !== bytes.length)
    throw bytesFault(
      name,
      `${count} elements of ${datatype} are ${needed} bytes; ${bytes.length} were given.`,
    );
  const data = dataOfBytes(datatype, bytes, count, `Input “${name}”`);
  if (datatype === 'BOOL') {
    const other = (data as Uint8Array).findIndex((byte) => byte > 1);
    if (other !== -1)
      throw new AiosError('serving.tensor_value', {
        detail: `Input “${name}”, element ${other}: the byte ${bytes[other]} is not a BOOL, which is 0 or 1.`,
      });
  }
  return data;
}

function binarySize(parameters: Json, path: string): number | undefined {
  if (!isObject(parameters)) throw invalid(path, 'parameters is an object');
  refuseParameters(parameters, path);
  const size = parameters.binary_data_size;
  if (size === undefined || (Number.isSafeInteger(size) && (size as number) >= 0))
    return size as number | undefined;
  throw invalid(`${path}/binary_data_size`, 'binary_data_size is a whole number of bytes');
}

function readOutputs(outputs: Json | undefined): RequestedOutput[] | undefined {
  if (outputs == null) return undefined;
  if (!Array.isArray(outputs)) throw invalid('/outputs', 'outputs is a list');
  // Clients that ask for all outputs may send an empty list.
  if (outputs.length === 0) return undefined;
  const wanted = outputs.map((output, index): RequestedOutput => {
    const path = `/outputs/${index}`;
    if (!isObject(output) || typeof output.name !== 'string')
      throw invalid(`${path}/name`, 'an output has a name');
    const { name, parameters } = output;
    if (parameters == null) return { name, binary: undefined };
    if (!isObject(parameters)) throw invalid(`${path}/parameters`, 'parameters is an object');
    refuseParameters(parameters, `${path}/parameters`);
    const binary = flag(parameters.binary_data, `${path}/parameters/binary_data`);
    const classes = classesOf(parameters, `${path}/parameters`);
    return classes === undefined ? { name, binary } : { name, binary, classes };
  });
  refuseTwice(wanted);
  return wanted;
}

/** A text of any bytes behind its length: how BYTES travel. */
function oneElement(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + 4);
  new DataView(bytes.buffer).setUint32(0, body.length, true);
  bytes.set(body, 4);
  return bytes;
}

function invalid(path: string, message: string): AiosError {
  return new AiosError('request.invalid', { issues: [{ path, message }] });
}

function raw(reason: string): AiosError {
  return new AiosError('serving.raw_input', { detail: `A body without a header cannot be read: ${reason}.` });
}

function bytesFault(name: string, detail: string): AiosError {
  return new AiosError('serving.tensor_bytes', { detail: `Input “${name}”: ${detail}` });
}

function shapeFault(name: string, detail: string): AiosError {
  return new AiosError('serving.tensor_shape', { detail: `Input “${name}”: ${detail}` });
}
