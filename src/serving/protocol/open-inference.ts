import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import type { Signature } from '../tensors/signature.ts';
import { DATATYPES, elementCount, isDatatype, type Tensor } from '../tensors/tensor.ts';
import { shapeText } from '../tensors/tensor-check.ts';
import { dataFromJson, dataToJson } from './json-data.ts';

/*
 * The Open Inference Protocol, version 2, REST (kserve/open-inference-protocol, specification/protocol/inference_rest.md), as functions
 * without a server: the api module mounts them.
 */

/** A request read from JSON, before it is held to a signature. */
export interface InferenceRequest {
  id: string | undefined;
  inputs: Tensor[];
  /** The outputs asked for; nothing means all. */
  outputs: string[] | undefined;
}

/** What an inference answers with, apart from its tensors. */
export interface Answered {
  model: string;
  version: number;
  outputs: readonly Tensor[];
}

/**
 * Reads the body of `POST /v2/models/{name}/infer`. Data may be flat or nested, in row-major order.
 *
 * @throws AiosError `request.invalid`, `serving.tensor_type`, `serving.tensor_shape`, `serving.tensor_value`
 * @example inferFromJson({ inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] }).inputs
 */
export function inferFromJson(body: Json): InferenceRequest {
  if (!isObject(body) || !Array.isArray(body.inputs)) {
    throw invalid('/inputs', 'an inference request has a list of inputs');
  }
  const id = body.id;
  if (id !== undefined && typeof id !== 'string') throw invalid('/id', 'id is a text');
  const inputs = body.inputs.map((input, index) => tensorFromJson(input, `/inputs/${index}`));
  const { outputs } = body;
  if (outputs === undefined) return { id, inputs, outputs: undefined };
  if (!Array.isArray(outputs)) throw invalid('/outputs', 'outputs is a list');
  const names = outputs.map((output, index) => {
    if (isObject(output) && typeof output.name === 'string') return output.name;
    throw invalid(`/outputs/${index}/name`, 'an output has a name');
  });
  return { id, inputs, outputs: names };
}

/**
 * The answer's body.
 *
 * @throws AiosError `serving.unknown_output` for one that the model does not have
 */
export function inferToJson(request: InferenceRequest, answer: Answered): JsonObject {
  const { outputs } = answer;
  const wanted = request.outputs?.map((name) => {
    const output = outputs.find((candidate) => candidate.name === name);
    if (output) return output;
    throw new AiosError('serving.unknown_output', {
      detail: `The model has no output “${name}”; it has ${outputs.map((each) => each.name).join(', ')}.`,
    });
  });
  return {
    model_name: answer.model,
    model_version: String(answer.version),
    ...(request.id === undefined ? {} : { id: request.id }),
    outputs: (wanted ?? outputs).map((output) => ({
      name: output.name,
      datatype: output.datatype,
      shape: [...output.shape],
      data: dataToJson(output),
    })),
  };
}

/** The body of `GET /v2/models/{name}`. */
export function modelMetadata(
  name: string,
  versions: readonly number[],
  { inputs, outputs }: Pick<Signature, 'inputs' | 'outputs'>,
): JsonObject {
  const tensors = (specs: Signature['inputs']) =>
    specs.map((spec) => ({ name: spec.name, datatype: spec.datatype, shape: [...spec.shape] }));
  return {
    name,
    versions: versions.map(String),
    platform: 'onnx_onnxv1',
    inputs: tensors(inputs),
    outputs: tensors(outputs),
  };
}

/** The body of `GET /v2`. */
export function serverMetadata(version: string): JsonObject {
  return { name: 'aios', version, extensions: [] };
}

function invalid(path: string, message: string): AiosError {
  return new AiosError('request.invalid', { issues: [{ path, message }] });
}

function tensorFromJson(value: Json, path: string): Tensor {
  if (!isObject(value) || typeof value.name !== 'string')
    throw invalid(`${path}/name`, 'an input has a name');
  const { name, datatype, shape, data } = value;
  if (!isDatatype(datatype)) {
    throw new AiosError('serving.tensor_type', {
      detail: `Input “${name}”: the datatype ${JSON.stringify(datatype)} is not served; use one of ${DATATYPES.join(', ')}.`,
    });
  }
  if (!isShape(shape))
    throw new AiosError('serving.tensor_shape', {
      detail: `Input “${name}”: a shape is a list of whole numbers from 0.`,
    });
  if (!Array.isArray(data)) throw invalid(`${path}/data`, 'data is a list');
  const fault = (detail: string) =>
    new AiosError('serving.tensor_shape', { detail: `Input “${name}”: ${detail}` });
  const flat = data.some(Array.isArray) ? flatten(data, shape, fault) : data;
  // The data is counted before anything is allocated by the shape: a shape of [1e9] with two elements is a cheap attack.
  if (flat.length !== elementCount(shape))
    throw fault(
      `the shape ${shapeText(shape)} holds ${elementCount(shape)} elements; ${flat.length} were given.`,
    );
  return {
    name,
    datatype: datatype,
    shape,
    data: dataFromJson(name, datatype, flat),
  };
}

function isShape(shape: Json | undefined): shape is number[] {
  return Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

function flatten(data: Json[], shape: readonly number[], fault: (detail: string) => AiosError): Json[] {
  let level: Json[] = data;
  for (let axis = 0; axis < shape.length; axis++) {
    if (axis === 0) {
      if (level.length !== shape[0])
        throw fault(`${level.length} rows were given where the shape says ${shape[0]}.`);
      continue;
    }
    for (const part of level) {
      if (!Array.isArray(part) || part.length !== shape[axis])
        throw fault(`nested data does not have the shape ${shapeText(shape)}.`);
    }
    level = (level as Json[][]).flat(1);
  }
  return level;
}
