import type { AiosError } from '../../kernel/errors.ts';
import type { Asking, ComposedAnswer } from '../runtimes/runtime.ts';
import { sliceRows, type Tensor } from '../tensors/tensor.ts';
import type { ServingOptions } from './serving-options.ts';

/** A request's part in the batch that answered it. */
export interface Share {
  /** Its part of the batch's time inside the model, by rows. */
  readonly computeUs: number;
  /** Rows of the whole batch. */
  readonly batchRows: number;
  readonly costMicroUsd: number;
  /** Of a model that asks others: the first answer inside that is not of the version which was asked for, and what tells which answered. */
  readonly degraded?: ComposedAnswer['degraded'];
  readonly parameters?: Readonly<Record<string, string | boolean>> | undefined;
}

/** Priorities of requests, as in Triton: 1 is the highest; 0 or none means the middle one. */
export const PRIORITY_LEVELS = 5;
const PRIORITY_DEFAULT = 3;

/** What a queue knows of a request, whatever it answers with. */
export type Pending = Omit<PendingRequest<never>, 'answer'>;

/** A request in a model's queue. */
export abstract class PendingRequest<Answer> {
  readonly inputs: readonly Tensor[];
  readonly rows: number;
  /** Of its tensors. */
  readonly bytes: number;
  /** Its priority, from 0. */
  readonly level: number;
  /** By the monotonic clock. */
  readonly enqueuedAtMs: number;
  readonly deadlineAtMs: number;
  readonly signal: AbortSignal | undefined;
  readonly answer: Promise<Answer>;
  /** From 1, when it is a part of a request of too many rows (`row-parts.ts`); 0 when it is whole. */
  part = 0;
  /** The call, where the model asks others on its behalf. */
  asking: Asking | undefined = undefined;
  /** How many replicas were lost under it. */
  lost = 0;
  settled = false;
  #resolve!: (answer: Answer) => void;
  #reject!: (error: AiosError) => void;

  constructor(
    inputs: readonly Tensor[],
    rows: number,
    nowMs: number,
    deadlineMs: number,
    signal?: AbortSignal,
    priority?: number,
  ) {
    this.inputs = inputs;
    this.rows = rows;
    let bytes = 0;
    for (let i = 0; i < inputs.length; i++) bytes += inputs[i]!.data.byteLength;
    this.bytes = bytes;
    this.level = priority
      ? Math.min(Math.max(Math.trunc(priority), 1), PRIORITY_LEVELS) - 1
      : PRIORITY_DEFAULT - 1;
    this.enqueuedAtMs = nowMs;
    this.deadlineAtMs = nowMs + deadlineMs;
    this.signal = signal;
    this.answer = new Promise<Answer>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  complete(outputs: readonly Tensor[], firstRow: number, share: Share): void {
    if (this.settled) return;
    this.settled = true;
    this.#resolve(this.read(outputs, firstRow, share));
  }

  fail(error: AiosError): void {
    if (this.settled) return;
    this.settled = true;
    this.#reject(error);
  }

  protected abstract read(outputs: readonly Tensor[], firstRow: number, share: Share): Answer;
}

export interface InferAnswer extends Share {
  readonly outputs: readonly Tensor[];
}

/** Answers with the request's own rows of each output. */
export class InferRequest extends PendingRequest<InferAnswer> {
  protected override read(outputs: readonly Tensor[], firstRow: number, share: Share): InferAnswer {
    const whole = share.batchRows === this.rows;
    return {
      ...share,
      outputs: whole ? outputs : outputs.map((output) => sliceRows(output, firstRow, this.rows)),
    };
  }
}

/** Money is whole micro-dollars; what a cheap inference is short of one is carried to the next, so that the sum is right. */
export class CostCarry {
  #carry = 0;

  share(
    computeUs: number,
    batchRows: number,
    rates: Pick<ServingOptions, 'costPerInferenceMicroUsd' | 'costPerComputeSecondMicroUsd'>,
    part: number,
  ): Share {
    // An inference is paid for once, whatever it runs in.
    const perInferenceMicroUsd = part > 1 ? 0 : rates.costPerInferenceMicroUsd;
    this.#carry += perInferenceMicroUsd + (computeUs * rates.costPerComputeSecondMicroUsd) / 1_000_000;
    const costMicroUsd = Math.floor(this.#carry);
    this.#carry -= costMicroUsd;
    return { computeUs, batchRows, costMicroUsd };
  }
}

export function rowsOf(batch: readonly Pending[]): number {
  let rows = 0;
  for (let i = 0; i < batch.length; i++) rows += batch[i]!.rows;
  return rows;
}

/** How long anybody still waits for a batch. */
export function longestWaitMs(batch: readonly Pending[], nowMs: number): number {
  let latestMs = 0;
  for (const { deadlineAtMs } of batch) latestMs = Math.max(latestMs, deadlineAtMs);
  return latestMs - nowMs;
}
