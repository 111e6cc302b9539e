import type { JsonObject } from '../kernel/json.ts';
import type { ModelDataset } from './datasets.ts';
import type { Signature } from './signature.ts';

export interface ModelVersion {
  readonly name: string;
  readonly version: number;
  readonly runtime: string;
  /** Of the file, or of the endpoint's canonical JSON. */
  readonly digest: string;
  readonly endpoint?: JsonObject;
  readonly sizeBytes: number;
  readonly signature: Signature;
  readonly card: JsonObject;
  readonly metadata: JsonObject;
  /** What it was trained on. */
  readonly datasets: readonly ModelDataset[];
  /** `ready` passed its warm-up in a real replica; `files` is kept and cannot be served: `endpoint.reason` says why. */
  readonly status: 'ready' | 'files';
  readonly createdAt: number;
  readonly createdBy: string;
  /** The person who asked for it, where `createdBy` is what did it for them. */
  readonly startedBy: string | null;
}
