import type { JsonObject } from '../../kernel/json.ts';
import type { Signature } from '../tensors/signature.ts';
import type { TensorSpec } from '../tensors/tensor.ts';

interface BatchOptions {
  readonly max?: number | undefined;
  readonly off?: boolean | undefined;
  readonly delayUs?: number | undefined;
}

/** What clients of Triton ask a server about a model, apart from its tensors. */
export interface ConfiguredModel {
  readonly name: string;
  /** The name of a runtime. */
  readonly runtime: string;
  readonly signature: Pick<Signature, 'inputs' | 'outputs'>;
  /** Of its definition. */
  readonly serving: {
    readonly batchMax: number;
    readonly batch?: BatchOptions | undefined;
    readonly replicas?: number | { readonly max: number };
    readonly placement?: 'cpu' | 'gpu' | 'gpu-preferred' | undefined;
    readonly queueMax?: number;
    readonly cache?: object | undefined;
  };
}

/** Triton's kinds of instances by placement. */
const INSTANCES = { cpu: 'KIND_CPU', gpu: 'KIND_GPU', 'gpu-preferred': 'KIND_AUTO' } as const;
// What request-queue.ts knows; without one a request is in the middle.
const PRIORITY_LEVELS = 5;
const DEFAULT_PRIORITY = 3;

/** Names of formats as the protocol writes them; a runtime of another kind goes by its own name. */
const PLATFORMS: Readonly<Record<string, string>> = { onnx: 'onnx_onnxv1' };

export function platformOf(runtime: string): string {
  return PLATFORMS[runtime] ?? runtime;
}

/**
 * As much of Triton's model configuration (model_configuration extension; triton-inference-server/common, protobuf/model_config.proto) as has
 * a meaning here, as JSON of its ModelConfig message. With batching, the first dimension is not among `dims`.
 *
 * @example modelConfig(models.resolve('return-risk')).max_batch_size // 64
 */
export function modelConfig({ name, runtime, signature, serving }: ConfiguredModel): JsonObject {
  const batches = signature.inputs.every(({ shape }) => shape[0] === -1);
  const tensor = ({ name: of, datatype, shape }: TensorSpec) => ({
    name: of,
    data_type: datatype === 'BYTES' ? 'TYPE_STRING' : `TYPE_${datatype}`,
    dims: batches ? shape.slice(1) : [...shape],
  });
  return {
    name,
    platform: platformOf(runtime),
    backend: runtime,
    version_policy: { all: {} }, // any version may be asked for; which one is asked when none is named, its alias says
    max_batch_size: batches ? serving.batchMax : 0,
    input: signature.inputs.map(tensor),
    output: signature.outputs.map(tensor),
    // A flow has neither instances nor batches: the models that it asks have.
    ...(runtime !== 'workflow' && { instance_group: [instances(name, serving)] }),
    ...(runtime !== 'workflow' &&
      batches &&
      !isUnbatched(serving) && { dynamic_batching: batching(serving) }),
    model_transaction_policy: { decoupled: false },
    response_cache: { enable: serving.cache !== undefined },
  };
}

function instances(
  name: string,
  { replicas = 1, placement = 'cpu' }: ConfiguredModel['serving'],
): JsonObject {
  const count = typeof replicas === 'number' ? replicas : replicas.max;
  return { name, kind: INSTANCES[placement], count };
}

function isUnbatched({ batchMax, batch }: ConfiguredModel['serving']): boolean {
  return batch?.off === true || batchMax === 1 || batch?.max === 1;
}

function batching({ batch, queueMax = 0 }: ConfiguredModel['serving']): JsonObject {
  return {
    preferred_batch_size: batch?.max === undefined ? [] : [batch.max], // else it is measured
    max_queue_delay_microseconds: batch?.delayUs ?? 0,
    priority_levels: PRIORITY_LEVELS,
    default_priority_level: DEFAULT_PRIORITY,
    default_queue_policy: { allow_timeout_override: true, max_queue_size: queueMax },
  };
}
