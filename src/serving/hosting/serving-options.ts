import type { Placement } from '../runtimes/runtime.ts';

/** How many copies of a model run: from `min` (0: none while nobody asks) to `max`, by what requests wait. */
export interface ReplicaRange {
  readonly min: number;
  readonly max: number;
  /** A replica is added while a tenth of the requests wait longer than this. */
  readonly queueDelayMs?: number | undefined;
}

/** A tensor as a definition writes it; its type is the model's own. */
export interface WarmUpTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Row-major, flat. */
  readonly data: readonly (number | boolean | string)[];
}

/** How one model is served. */
export interface ServingOptions {
  /** Processes that hold a copy of the model. */
  readonly replicas: number | ReplicaRange;
  /** Threads inside one run of one replica. */
  readonly threads?: number | undefined;
  /** `gpu` runs there or not at all, `gpu-preferred` on the processor where there is none. */
  readonly placement?: Placement | undefined;
  /** The most rows of one batch; the size with the best rows per second up to it is found when the first replica warms up. */
  readonly batchMax: number;
  /** An operator's own choice instead of that measurement, and how long a batch that is not full waits for more. */
  readonly batch?:
    | {
        readonly max?: number | undefined;
        readonly off?: boolean | undefined;
        readonly delayUs?: number | undefined;
      }
    | undefined;
  /** Run by each replica before it takes traffic, instead of tensors of zeros and ones. */
  readonly warmUp?: { readonly inputs: readonly WarmUpTensor[] } | undefined;
  /** The longest a batch may run before its replica is killed. */
  readonly timeoutMs: number;
  /** The most requests that wait. */
  readonly queueMax: number;
  /** The most bytes of tensors that wait. */
  readonly queueBytesMax?: number | undefined;
  readonly costPerInferenceMicroUsd: number;
  readonly costPerComputeSecondMicroUsd: number;
}

const QUEUE_DELAY_MS = 20;

/** The range of replicas that a number or a range asks for. */
export function replicaRange(replicas: ServingOptions['replicas']): Required<ReplicaRange> {
  if (typeof replicas === 'number') return { min: replicas, max: replicas, queueDelayMs: QUEUE_DELAY_MS };
  const { min, max, queueDelayMs = QUEUE_DELAY_MS } = replicas;
  return { min, max: Math.max(max, min, 1), queueDelayMs: queueDelayMs as number };
}
