import type { JsonObject } from '../../kernel/json.ts';
import type { Signature } from '../tensors/signature.ts';
import { type ConfiguredModel, platformOf } from './model-config.ts';

/*
 * What the Open Inference Protocol, version 2, tells of a server and its models (kserve/open-inference-protocol, specification/protocol/
 * inference_rest.md), as functions without a server: the api module mounts them. Inference itself is in `infer-http.ts`.
 */

/** What is served beyond the specification; each is documented in triton-inference-server/server, docs/protocol. */
const EXTENSIONS = [
  'binary_tensor_data',
  'classification',
  'model_configuration',
  'model_repository',
  'parameters',
  'schedule_policy',
  'statistics',
];

/** The body of `GET /v2/models/{name}`; the versions are those that can be asked for. */
export function modelMetadata(
  { name, runtime, signature: { inputs, outputs } }: Omit<ConfiguredModel, 'serving'>,
  versions: readonly number[],
): JsonObject {
  const tensors = (specs: Signature['inputs']) =>
    specs.map((spec) => ({ name: spec.name, datatype: spec.datatype, shape: [...spec.shape] }));
  return {
    name,
    versions: versions.map(String),
    platform: platformOf(runtime),
    inputs: tensors(inputs),
    outputs: tensors(outputs),
  };
}

/** The body of `GET /v2`. */
export function serverMetadata(version: string): JsonObject {
  return { name: 'aios', version, extensions: [...EXTENSIONS] };
}

/** A problem as the protocol's clients read it: with the one member `error` that they look for. */
export function withError<P extends { detail: string }>(problem: P): P & { error: string } {
  return { ...problem, error: problem.detail };
}

/** Whether an address is one of the protocol's. */
export function isProtocolPath(url: string): boolean {
  return url.startsWith('/v2/') || url === '/v2';
}
