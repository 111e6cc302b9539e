import type { ErrorCode } from '../../kernel/error-codes.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Tensor, TensorSpec } from '../tensors/tensor.ts';

/** Where a model runs: `gpu-preferred` falls back to the processor, `gpu` never does. */
export type Placement = 'cpu' | 'gpu' | 'gpu-preferred';

/** What a runtime needs to start a replica of one version of a model. */
export interface RuntimeModel {
  readonly name: string;
  readonly digest: string;
  /** Where the model is, in the runtime's own form, when it is not a file. */
  readonly endpoint?: JsonObject | undefined;
  /** The tensors that were declared, for a runtime that cannot ask the model itself. */
  readonly signature?:
    | { readonly inputs?: readonly TensorSpec[]; readonly outputs?: readonly TensorSpec[] }
    | undefined;
  /** Threads inside one run; 1 when absent. */
  readonly threads?: number | undefined;
  /** `cpu` when absent. */
  readonly placement?: Placement | undefined;
  /** Reads the model's bytes; called at each start. */
  load(): Promise<Uint8Array>;
}

/**
 * One engine that runs models. Each adapter passes `runtimeConformance`.
 *
 * `start` rejects with `ModelRefused` when the model is the fault, with any other error when the replica is.
 */
export interface Runtime {
  /** Its models run elsewhere and perhaps for money: none is run only to find its best batch size. */
  readonly remote?: boolean;
  /** Its replicas are `ConcurrentReplica`s: one is enough for all requests. */
  readonly concurrent?: boolean;
  start(model: RuntimeModel): Promise<Replica>;
}

/** One copy of a model, working on one batch at a time, in the order in which they were given. */
export interface Replica {
  /** The model's own tensors, in its order; a free dimension is -1. */
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Where it runs; `cpu` when absent. */
  readonly device?: 'cpu' | 'gpu';
  /** Memory that its process holds, in bytes; absent where the model has no process of its own. */
  residentBytes?(): number;
  /** True where `run` makes use of how long anybody waits. */
  readonly passesDeadline?: boolean;
  /** True where a second `run` may be called during the first, to begin when that has ended: its way there then costs no time. */
  readonly takesAhead?: boolean;
  /**
   * Runs one batch: the requests' tensors in the order of `inputs`, joined along the first dimension. The outputs hold all rows.
   * `withinMs` is how long anybody still waits for it, told to replicas that pass it on.
   * Rejects with `RunFailed` when the model refuses the values (the replica lives on), with any other error when the replica is lost.
   */
  run(requests: readonly (readonly Tensor[])[], withinMs?: number): Promise<BatchAnswer>;
  /** Ends the replica at once, whatever it is doing. What is running rejects. */
  kill(): void;
  /** Called once when the replica ends, asked to or not. */
  onEnd(listener: (reason: Error) => void): void;
}

export interface BatchAnswer {
  readonly outputs: readonly Tensor[];
  /** Time inside the model, in microseconds. */
  readonly computeUs: number;
}

/** The call that a model answers: one that asks other models in turn asks them on its behalf. */
export interface Asking {
  readonly caller?: { readonly kind: string; readonly id: string } | undefined;
  readonly stickyKey?: string | undefined;
  readonly priority?: number | undefined;
  readonly isCopy?: boolean | undefined;
  readonly step?: { readonly runId: string; readonly stepKey: string } | undefined;
  /** How many models asked each other before; none when absent. */
  readonly depth?: number | undefined;
}

/** What a model that asks others answers: their time and money, and which they were. */
export interface ComposedAnswer extends BatchAnswer {
  readonly costMicroUsd: number;
  /** The first of the answers inside that is not of the version which was asked for. */
  readonly degraded?:
    | {
        readonly model: string;
        readonly version: number;
        readonly reason: ErrorCode;
        readonly by: 'version' | 'model' | 'default';
      }
    | undefined;
  /** What answered inside, as `name/version`, in the order of their first answers. */
  readonly parts: readonly string[];
}

/** A request that is being answered. */
export interface Underway {
  /** Rejects with an AiosError, or with `RunFailed` when the model refuses the values. */
  readonly answer: Promise<ComposedAnswer>;
  /** Nobody waits any more: what is asked inside is given up. */
  abandon(): void;
}

/** A replica that answers each request by itself, as many at a time as come: it works by asking others. */
export interface ConcurrentReplica extends Replica {
  /** All that it asks is there to be asked. */
  readonly isReady: boolean;
  /** Why the same input may be answered otherwise a moment later, so that no answer is kept; undefined when it may not. */
  readonly changesBy: string | undefined;
  /** `inputs` are those of one request, in the order of `inputs`. */
  begin(inputs: readonly Tensor[], call: Asking, deadlineAtMs: number): Underway;
}

/** The bytes are no model that this runtime can run. */
export class ModelRefused extends Error {
  override readonly name = 'ModelRefused';
}

/** The model failed on these values. */
export class RunFailed extends Error {
  override readonly name: string = 'RunFailed';
}

/** The server that runs the model failed, or answered with what is no answer: it lives on, and no value of the request is known to be at fault. */
export class ServerFailed extends RunFailed {
  override readonly name = 'ServerFailed';
  /** What it answered with: a status of HTTP, or of gRPC; absent where its answer says that all is well and cannot be read. */
  readonly upstreamStatus: number | undefined;

  constructor(
    message: string,
    { upstreamStatus, ...options }: ErrorOptions & { upstreamStatus?: number } = {},
  ) {
    super(message, options);
    this.upstreamStatus = upstreamStatus;
  }
}

/** The server that runs the model takes no more now: neither the model nor the replica is at fault. */
export class ServerBusy extends Error {
  override readonly name = 'ServerBusy';
  readonly upstreamStatus: number;
  /** When it wants to be asked again; absent where it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, upstreamStatus: number, retryAfterMs?: number) {
    super(message);
    this.upstreamStatus = upstreamStatus;
    this.retryAfterMs = retryAfterMs;
  }
}
