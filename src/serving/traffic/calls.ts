import type { ErrorCode } from '../../kernel/error-codes.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Quota } from '../../kernel/quota.ts';
import type { FeatureValues } from '../hosting/score.ts';
import type { ServingOptions } from '../hosting/serving-options.ts';
import type { Signature } from '../tensors/signature.ts';
import type { Tensor } from '../tensors/tensor.ts';
import type { TrafficOptions } from './traffic-options.ts';

/** An alias (`champion`), a version, or nothing for `champion`. */
export type ModelReference = string | number | undefined;

/** A version as the registry resolves it: the same object as long as nothing about it changed. */
export interface ServedModel {
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly signature: Signature;
  readonly serving: ServingOptions & TrafficOptions;
  /** The name of a runtime. */
  readonly runtime: string;
  /** Where the model is, for a runtime that runs no file. */
  readonly endpoint?: JsonObject | undefined;
}

/** What serving needs of the registry. */
export interface ModelSource {
  /** From memory. @throws AiosError when there is no such model, version or alias */
  resolve(name: string, reference?: ModelReference): ServedModel;
  artifact(digest: string): Promise<Uint8Array>;
}

export interface InferCall {
  model: string;
  ref?: ModelReference;
  inputs: readonly Tensor[];
  /** Under a rollout calls with the same key are answered by the same version; without a key each call stands for itself. */
  stickyKey?: string | undefined;
  signal?: AbortSignal | undefined;
  /** The longest the caller waits, queue included; the model's own timeout bounds the run itself. */
  deadlineMs?: number | undefined;
  /** As in Triton: 1 is the highest, 5 the lowest, 0 or none the middle. */
  priority?: number | undefined;
  /** Who asks: rate limits count by its id, request logs name it. Nothing for AIOS itself. */
  caller?: { readonly kind: string; readonly id: string } | undefined;
  /** Told what the caller has left of the model's rate limit, where it has one, as soon as the call is counted: also of calls that then fail. */
  onQuota?: ((quota: Quota) => void) | undefined;
  /** A further part of a call that has been counted: no rate limit counts it. */
  isPart?: boolean | undefined;
  /** A copy whose answer is compared and given to nobody: no rate limit counts it, no fallback answers it, no log keeps it. */
  isCopy?: boolean | undefined;
  /** How many models asked each other before this call; none when left out. */
  depth?: number | undefined;
  /** The step that asks, for the request log. */
  step?: { readonly runId: string; readonly stepKey: string } | undefined;
}

export interface ScoreCall extends Omit<InferCall, 'inputs'> {
  features: FeatureValues;
}

/** Why an answer is not that of the version which was asked for, and what it is instead. */
export interface Degraded {
  /** The version that could not answer. */
  readonly model: string;
  readonly version: number;
  readonly reason: ErrorCode;
  /** Set where the caller gave the version less time than it may take. */
  readonly deadlineOf?: 'caller';
  /** What answered: another version of the model, another model, or the answer that its definition writes down. */
  readonly by: 'version' | 'model' | 'default';
}

/** Which version answered. */
export interface AnsweredBy {
  readonly model: string;
  readonly version: number;
  readonly digest: string;
  /** Set when nothing was computed for this call: the answer was kept (`hit`), or another call was asking just the same (`shared`). */
  readonly cached?: 'hit' | 'shared' | undefined;
  readonly degraded?: Degraded | undefined;
  /** The same as `parameters` of the Open Inference Protocol; set with either. */
  readonly parameters?: Readonly<Record<string, string | boolean>> | undefined;
}
