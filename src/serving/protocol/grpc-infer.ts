import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Tensor } from '../tensors/tensor.ts';
import { classesOf, classified } from './classification.ts';
import type { InferParameter, InferTensor, ModelInferRequest, ModelInferResponse } from './grpc-messages.ts';
import { tensorsFromGrpc, tensorToGrpc } from './grpc-tensors.ts';
import { type RequestParameters, readParameters, refuseParameters, refuseTwice } from './infer-parameters.ts';

/** An output that is asked for: its elements, or so many of the classes with the highest scores. */
interface WantedOutput {
  readonly name: string;
  readonly classes: number | undefined;
}

/** An inference read from a message, before it is held to a signature. */
export interface GrpcInference extends Pick<RequestParameters, 'priority' | 'timeoutMs' | 'stickyKey'> {
  readonly model: string;
  /** A version or an alias; nothing for the champion. */
  readonly ref: string | undefined;
  readonly id: string;
  readonly inputs: Tensor[];
  /** The outputs asked for; nothing means all. */
  readonly outputs: readonly WantedOutput[] | undefined;
  /** Whether the answer shall say that no other follows. */
  readonly wantsFinal: boolean;
}

/**
 * Reads a ModelInferRequest.
 *
 * @throws AiosError `request.invalid`, `serving.parameter_refused`, `serving.tensor_type`, `serving.tensor_shape`, `serving.tensor_bytes`,
 * `serving.tensor_value`
 * @example inferFromGrpc(message).inputs
 */
export function inferFromGrpc(message: ModelInferRequest): GrpcInference {
  const { outputs } = message;
  refuseTwice(outputs);
  const parameters = parametersOf(message.parameters);
  const { priority, timeoutMs, stickyKey } = readParameters(parameters);
  return {
    model: message.model_name,
    ref: message.model_version || undefined,
    id: message.id,
    inputs: tensorsFromGrpc('Input', message.inputs, message.raw_input_contents),
    outputs: outputs.length > 0 ? outputs.map(wantedOutput) : undefined,
    priority,
    timeoutMs,
    stickyKey,
    wantsFinal: parameters?.triton_enable_empty_final_response === true,
  };
}

function wantedOutput(
  { name, parameters }: ModelInferRequest['outputs'][number],
  index: number,
): WantedOutput {
  const asked = parametersOf(parameters);
  if (!asked) return { name, classes: undefined };
  const path = `/outputs/${index}`;
  refuseParameters(asked, path);
  return { name, classes: classesOf(asked, path) };
}

/**
 * The answer's message, with raw contents.
 *
 * @throws AiosError `serving.unknown_output` for one that the model does not have, `serving.parameter_refused` for classes of one without numbers
 */
export function inferToGrpc(
  { id, outputs: wanted, wantsFinal }: Pick<GrpcInference, 'id' | 'outputs' | 'wantsFinal'>,
  answer: {
    readonly model: string;
    readonly version: number;
    readonly outputs: readonly Tensor[];
    /** What is to be known of the answer: that a cache or a fallback gave it. */
    readonly parameters?: Readonly<Record<string, string | boolean>> | undefined;
  },
): ModelInferResponse {
  const outputs = wanted?.map((each) => outputAsked(answer.outputs, each)) ?? answer.outputs;
  const tensors: InferTensor[] = [];
  const raw: Uint8Array[] = [];
  for (const output of outputs) {
    const written = tensorToGrpc(output);
    tensors.push(written.tensor);
    raw.push(written.raw);
  }
  return {
    model_name: answer.model,
    model_version: String(answer.version),
    id,
    ...((wantsFinal || answer.parameters) && {
      parameters: responseParameters(wantsFinal, answer.parameters),
    }),
    outputs: tensors,
    raw_output_contents: raw,
  };
}

function responseParameters(
  wantsFinal: boolean,
  told: Readonly<Record<string, string | boolean>> = {},
): Record<string, InferParameter> {
  const parameters: Record<string, InferParameter> = {};
  for (const [name, value] of Object.entries(told))
    parameters[name] = typeof value === 'boolean' ? { bool_param: value } : { string_param: value };
  if (wantsFinal) parameters.triton_final_response = { bool_param: true };
  return parameters;
}

function outputAsked(outputs: readonly Tensor[], { name, classes }: WantedOutput): Tensor {
  const output = outputs.find((candidate) => candidate.name === name);
  if (output) return classes === undefined ? output : classified(output, classes);
  throw new AiosError('serving.unknown_output', {
    detail: `The model has no output “${name}”; it has ${outputs.map((each) => each.name).join(', ')}.`,
  });
}

/** Parameters as JSON has them; nothing where there are none. */
function parametersOf(parameters: Readonly<Record<string, InferParameter>>): JsonObject | undefined {
  let read: JsonObject | undefined;
  for (const name in parameters) {
    read ??= Object.create(null) as JsonObject;
    const { parameter_choice: choice } = parameters[name]!;
    const value = choice && parameters[name]![choice];
    read[name] = typeof value === 'object' ? value.toNumber() : (value ?? null);
  }
  return read;
}

/** The request's message to another server, with raw contents. */
export function requestToGrpc(
  model: string,
  version: string,
  inputs: readonly Tensor[],
): Partial<ModelInferRequest> {
  const written = inputs.map(tensorToGrpc);
  return {
    model_name: model,
    model_version: version,
    inputs: written.map(({ tensor }) => tensor),
    raw_input_contents: written.map(({ raw }) => raw),
  };
}
