import { AiosError } from '../../kernel/errors.ts';
import type { Tensor } from '../tensors/tensor.ts';
import type { InferParameter, InferTensor, ModelInferRequest, ModelInferResponse } from './grpc-messages.ts';
import { tensorsFromGrpc, tensorToGrpc } from './grpc-tensors.ts';

/** An inference read from a message, before it is held to a signature. */
export interface GrpcInference {
  readonly model: string;
  /** A version or an alias; nothing for the champion. */
  readonly ref: string | undefined;
  readonly id: string;
  readonly inputs: Tensor[];
  /** The outputs asked for; nothing means all. */
  readonly outputs: readonly string[] | undefined;
  /** The longest that the caller waits, by the parameter `timeout`. */
  readonly timeoutMs: number | undefined;
  /** From 1, the most urgent; nothing for the middle. */
  readonly priority: number | undefined;
  /** The parameter `sticky`: under a rollout, the same key is answered by the same version. */
  readonly stickyKey: string | undefined;
  /** Whether the answer shall say that no other follows. */
  readonly wantsFinal: boolean;
}

/**
 * Reads a ModelInferRequest. Of the parameters, `timeout` (microseconds), `priority`, `sticky` and `triton_enable_empty_final_response` mean something here.
 *
 * @throws AiosError `request.invalid`, `serving.tensor_type`, `serving.tensor_shape`, `serving.tensor_bytes`, `serving.tensor_value`
 * @example inferFromGrpc(message).inputs
 */
export function inferFromGrpc(message: ModelInferRequest): GrpcInference {
  const { outputs, parameters } = message;
  for (const { name, parameters: wanted } of outputs) {
    const refused = Object.keys(wanted).find(
      (key) => key === 'classification' || key.startsWith('shared_memory'),
    );
    if (refused)
      throw new AiosError('request.invalid', { detail: `Output “${name}”: ${refused} is not served here.` });
  }
  const timeoutUs = numberOf(parameters.timeout);
  return {
    model: message.model_name,
    ref: message.model_version || undefined,
    id: message.id,
    inputs: tensorsFromGrpc('Input', message.inputs, message.raw_input_contents),
    outputs: outputs.length > 0 ? outputs.map(({ name }) => name) : undefined,
    timeoutMs: timeoutUs !== undefined && timeoutUs > 0 ? timeoutUs / 1000 : undefined,
    priority: numberOf(parameters.priority),
    stickyKey: parameters.sticky?.string_param,
    wantsFinal: parameters.triton_enable_empty_final_response?.bool_param === true,
  };
}

/**
 * The answer's message, with raw contents.
 *
 * @throws AiosError `serving.unknown_output` for one that the model does not have
 */
export function inferToGrpc(
  { id, outputs: names, wantsFinal }: Pick<GrpcInference, 'id' | 'outputs' | 'wantsFinal'>,
  answer: {
    readonly model: string;
    readonly version: number;
    readonly outputs: readonly Tensor[];
    /** What is to be known of the answer: that a cache or a fallback gave it. */
    readonly parameters?: Readonly<Record<string, string | boolean>> | undefined;
  },
): ModelInferResponse {
  const outputs = names?.map((name) => outputNamed(answer.outputs, name)) ?? answer.outputs;
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

function outputNamed(outputs: readonly Tensor[], name: string): Tensor {
  const output = outputs.find((candidate) => candidate.name === name);
  if (output) return output;
  throw new AiosError('serving.unknown_output', {
    detail: `The model has no output “${name}”; it has ${outputs.map((each) => each.name).join(', ')}.`,
  });
}

function numberOf(parameter: InferParameter | undefined): number | undefined {
  const value = parameter?.int64_param ?? parameter?.uint64_param ?? parameter?.double_param;
  return value === undefined || typeof value === 'number' ? value : value.toNumber();
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
