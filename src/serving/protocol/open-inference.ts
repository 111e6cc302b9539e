import type { JsonObject } from '../../kernel/json.ts';
import type { Signature } from '../tensors/signature.ts';

/*
 * What the Open Inference Protocol, version 2, tells of a server and its models (kserve/open-inference-protocol, specification/protocol/
 * inference_rest.md), as functions without a server: the api module mounts them. Inference itself is in `infer-http.ts`.
 */

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
