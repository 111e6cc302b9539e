import { canonicalize, digestOf, digestOfBytes } from '../kernel/canonical.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import { compileSchema } from '../kernel/schema.ts';
import type { ModelDataset, NamedDataset } from './datasets.ts';
import type { HostingOptions } from './hosting-options.ts';
import { FILES_RUNTIME, type KeptFiles } from './kept-files.ts';
import { NAME_PATTERN } from './model-kind.ts';
import { checkRuntime, DEFAULT_RUNTIME, type RuntimeKinds } from './runtime-kind.ts';
import { type DeclaredSignature, SIGNATURE_SCHEMA, type Signature, settleSignature } from './signature.ts';

/** Who did it, as the audit log names actors. */
export interface Actor {
  readonly kind: string;
  readonly id: string;
}

/** What somebody wants kept as a version: a file, or an endpoint where another server (or this one) runs the model. */
export interface NewVersion {
  name: string;
  /** `onnx` when left out. */
  runtime?: string | undefined;
  onnx?: Uint8Array | undefined;
  /** What the runtime needs instead of a file, in its own form. */
  endpoint?: JsonObject | undefined;
  /** What it leaves out is taken from the model. */
  signature?: DeclaredSignature | undefined;
  card?: JsonObject | undefined;
  metadata?: JsonObject | undefined;
  /** What it was trained on. */
  datasets?: readonly NamedDataset[] | undefined;
  /** How it will be served, as far as that says what it is run on before it is kept: else on zeros. */
  serving?: Pick<HostingOptions, 'warmUp'> | undefined;
  /** Instead of a file or an endpoint: what no runtime here runs, to be kept all the same. */
  kept?: KeptFiles | undefined;
  by: Actor;
  /** The person who asked for it, where `by` is what did it for them: a flow, or the key of a training. */
  startedBy?: string | undefined;
}

/** A new version with all that follows from it. */
export interface Candidate {
  readonly name: string;
  readonly runtime: string;
  /** The file, or the canonical JSON of the endpoint. */
  readonly artifact: Uint8Array;
  readonly digest: string;
  /** Of all that makes a version what it is: equal ones are one version. */
  readonly fingerprint: string;
  readonly endpoint: JsonObject | undefined;
  readonly signature: DeclaredSignature;
  readonly card: JsonObject;
  readonly metadata: JsonObject;
  readonly datasets: readonly ModelDataset[];
  /** What it is run on before it is kept; zeros where it is undefined. No part of the version. */
  readonly warmUp: HostingOptions['warmUp'];
}

/** Runs a candidate once in its runtime; answers with the model's own tensors, or why it does not run. */
export type Verify = (candidate: Candidate) => Promise<
  | ({ ok: true } & Pick<Signature, 'inputs' | 'outputs'>)
  | {
      ok: false;
      stage: 'load' | 'run';
      reason: string;
      /** True when the model was not heard at all: its replica or its server went away, or never came. */
      isLost: boolean;
    }
>;

const validateSignature = compileSchema(SIGNATURE_SCHEMA as unknown as JsonObject);
export const namePattern = new RegExp(NAME_PATTERN);

/**
 * @throws AiosError `models.invalid`, `request.too_large`
 * @example candidateOf({ name: 'risk', onnx, by }, { onnx: {} }, limits).fingerprint
 */
export function candidateOf(
  {
    name,
    kept,
    runtime = kept ? FILES_RUNTIME : DEFAULT_RUNTIME,
    onnx,
    endpoint: given = kept && { ...kept, files: { ...kept.files } },
    signature = {},
    card = {},
    metadata = {},
    serving: { warmUp } = {},
  }: NewVersion,
  runtimes: RuntimeKinds,
  limits: Pick<Limits, 'modelBytesMax'>,
  datasets: readonly ModelDataset[] = [],
): Candidate {
  if (!namePattern.test(name)) {
    throw new AiosError('models.invalid', {
      detail: `“${name}” is not a model name: small letters, digits, dots, dashes and underscores, at most 100.`,
    });
  }
  const issues = [
    ...checkRuntime(kept ? { [FILES_RUNTIME]: { endpoint: {} } } : runtimes, {
      runtime,
      endpoint: given,
      ...(onnx ? { file: 'onnx' } : {}),
    }),
    ...validateSignature(signature as Json).map((issue) => ({ ...issue, path: `/signature${issue.path}` })),
  ];
  if (issues.length > 0) throw new AiosError('models.invalid', { issues });
  const endpoint = given && (runtimes[runtime]?.settle?.(given) ?? given);
  const artifact = onnx ?? new TextEncoder().encode(canonicalize(endpoint as JsonObject));
  const limit = limits.modelBytesMax;
  if (artifact.length > limit) {
    throw new AiosError('request.too_large', {
      detail: `The model has ${artifact.length} bytes.`,
      extensions: { limitName: 'modelBytesMax', limit },
    });
  }
  const digest = digestOfBytes(artifact);
  const named = datasets.length === 0 ? {} : { datasets: datasets as unknown as Json };
  const fingerprint = digestOf({ runtime, digest, card, metadata, signature: signature as Json, ...named });
  return {
    name,
    runtime,
    artifact,
    digest,
    fingerprint,
    endpoint,
    signature,
    card,
    metadata,
    datasets,
    warmUp,
  };
}

/**
 * Runs a candidate before it is kept.
 *
 * @param label stands before the reason in an error
 * @returns the signature that a version of it has
 * @throws AiosError `models.not_onnx`, `models.not_runnable`, `models.endpoint_unavailable`, `models.endpoint_refused`, `models.signature_mismatch`
 */
export async function verifyCandidate(
  candidate: Candidate,
  verify: Verify,
  label = candidate.name,
): Promise<Signature> {
  if (candidate.runtime === FILES_RUNTIME) return { inputs: [], outputs: [] };
  const own = await verify(candidate);
  if (own.ok) return settleSignature(candidate.signature, own);
  const detail = `${label}: ${own.reason}`;
  if (candidate.endpoint && own.isLost) throw new AiosError('models.endpoint_unavailable', { detail });
  if (own.stage === 'run') throw new AiosError('models.not_runnable', { detail });
  throw new AiosError(candidate.endpoint ? 'models.endpoint_refused' : 'models.not_onnx', { detail });
}
