import type { JsonObject } from '../../kernel/json.ts';
import type { Signature } from '../tensors/signature.ts';
import type { TensorSpec } from '../tensors/tensor.ts';

/** What clients of Triton ask a server about a model, apart from its tensors. */
export interface ConfiguredModel {
  readonly name: string;
  /** The name of a runtime. */
  readonly runtime: string;
  readonly signature: Pick<Signature, 'inputs' | 'outputs'>;
  readonly serving: { readonly batchMax: number };
}

/** Names of formats as the protocol writes them; a runtime of another kind goes by its own name. */
const PLATFORMS: Readonly<Record<string, string>> = { onnx: 'onnx_onnxv1' };

export function platformOf(runtime: string): string {
  return PLATFORMS[runtime] ?? runtime;
}

/**
 * As much of Triton's model configuration (model_configuration extension) as has a meaning here, as JSON of its ModelConfig message. With
 * batching, the first dimension is not among `dims`.
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
    max_batch_size: batches ? serving.batchMax : 0,
    input: signature.inputs.map(tensor),
    output: signature.outputs.map(tensor),
  };
}
