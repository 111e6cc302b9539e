/** A version of a dataset, as a training is given it. */

import type { JsonObject } from '../../kernel/json.ts';
import type { Actor } from '../candidate.ts';

export interface OpenedDataset {
  readonly name: string;
  readonly version: number;
  readonly digest: string;
}

export interface TrainingCall {
  readonly trainer: string;
  readonly model: string | undefined;
  readonly experiment: string | undefined;
  readonly parameters: JsonObject;
  readonly datasets: Readonly<Record<string, { name: string; version?: number | string }>>;
  readonly runId: string;
  readonly stepKey: string;
  readonly idempotencyKey: string;
  readonly attempt: number;
  readonly by: Actor;
  /** The person who started the run. */
  readonly startedBy: string | undefined;
  readonly signal: AbortSignal;
}
