import { setTimeout as sleep } from 'node:timers/promises';
import { AiosError } from '../../kernel/errors.ts';
import {
  type BatchAnswer,
  type Replica,
  RunFailed,
  type Runtime,
  type RuntimeModel,
} from '../runtimes/runtime.ts';
import type { Pending, Share } from './request.ts';
import { Latencies, type ServingStatistics } from './statistics.ts';
import { warmUp } from './warm-up.ts';

const SWEEP_MS = 10; // how exactly deadlines are kept; one sweep serves all requests, where a timer each would cost 1 µs
const RESTART_MS_MIN = 50;
const RESTART_MS_MAX = 5_000;
const STARTS_FAILED_MAX = 3; // then who waits is told, instead of waiting for the next try

/** How one model is served. */
export interface ServingOptions {
  /** Processes that hold a copy of the model. */
  readonly replicas: number;
  /** The most rows of one batch. */
  readonly batchMax: number;
  /** The longest a batch may run before its replica is killed. */
  readonly timeoutMs: number;
  /** The most requests that wait. */
  readonly queueMax: number;
  readonly costPerInferenceMicroUsd: number;
  readonly costPerComputeSecondMicroUsd: number;
}

interface Slot {
  replica: Replica | undefined;
  batch: readonly Pending[] | undefined;
  startedAtMs: number;
  timedOut: boolean;
  startsFailed: number;
}

/**
 * The replicas of one version of one model and the queue before them. Natural batching: an idle replica takes what is queued, up to
 * the model's best size; there is no delay. A replica that dies is replaced and what it was working on is tried once more, each request alone,
 * so that one that kills replicas fails alone.
 */
export class ModelHost {
  readonly label: string;
  options: ServingOptions;
  lastUsedAtMs = performance.now();
  readonly #runtime: Runtime;
  readonly #model: RuntimeModel;
  readonly #slots: Slot[] = [];
  readonly #latencies = new Latencies();
  #queue: Pending[] = [];
  /** Index of the first that waits: taking from the front of an array costs its length. */
  #head = 0;
  /** Requests whose batch failed, to be run alone. */
  #again: Pending[] = [];
  #batchable = true;
  #scheduled = false;
  #sweeper: NodeJS.Timeout | undefined;
  #closed = false;
  #costCarry = 0;
  #counts = { requests: 0, errors: 0, refused: 0, restarts: 0, rows: 0, batches: 0, computeUs: 0 };

  constructor(label: string, model: RuntimeModel, runtime: Runtime, options: ServingOptions) {
    this.label = label;
    this.#model = model;
    this.#runtime = runtime;
    this.options = options;
    for (let i = 0; i < options.replicas; i++)
      this.#slots.push({
        replica: undefined,
        batch: undefined,
        startedAtMs: 0,
        timedOut: false,
        startsFailed: 0,
      });
  }

  /** Starts and warms every replica. @throws AiosError `serving.unavailable` with the reason when none comes up */
  async start(): Promise<void> {
    const outcomes = await Promise.all(this.#slots.map((slot) => this.#startSlot(slot)));
    if (outcomes.every((error) => error !== undefined)) throw this.#unavailable(outcomes[0] as Error);
  }

  get waiting(): number {
    return this.#queue.length - this.#head + this.#again.length;
  }

  /** @throws AiosError `request.overloaded` when the queue is full */
  submit(request: Pending): void {
    this.lastUsedAtMs = request.enqueuedAtMs;
    this.#counts.requests++;
    const { queueMax } = this.options;
    if (this.waiting >= queueMax) {
      this.#counts.refused++;
      throw new AiosError('request.overloaded', {
        detail: `${queueMax} requests wait for ${this.label}.`,
        extensions: { limitName: 'queueMax', limit: queueMax, retryAfterMs: this.#drainMs() },
      });
    }
    if (this.#closed) throw this.#unavailable(new Error('it is being unloaded'));
    this.#queue.push(request);
    this.#schedule();
  }

  statistics(): ServingStatistics {
    const { computeUs, ...counts } = this.#counts;
    return {
      ...counts,
      replicas: this.#slots.filter(({ replica }) => replica).length,
      queued: this.waiting,
      meanBatch: counts.batches === 0 ? 0 : counts.rows / counts.batches,
      computeMs: computeUs / 1000,
      p50Ms: this.#latencies.quantileMs(0.5),
      p95Ms: this.#latencies.quantileMs(0.95),
      p99Ms: this.#latencies.quantileMs(0.99),
    };
  }

  /** Lets what was accepted end, then closes. */
  async drain(): Promise<void> {
    while (this.waiting > 0 || this.#slots.some(({ batch }) => batch)) await sleep(SWEEP_MS);
    this.close();
  }

  /** Ends the replicas; who still waits is refused. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#sweeper);
    this.#refuseWaiting(new Error('it is being unloaded'));
    for (const { replica, batch } of this.#slots) {
      this.#fail(batch ?? [], this.#unavailable(new Error('it is being unloaded')));
      replica?.kill();
    }
  }

  /** Everything that is ready in this turn of the loop joins the batch. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#dispatch();
    });
    // It does not keep the process alive: the replica's channel does, and only while there is work.
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  #dispatch(): void {
    for (const slot of this.#slots) {
      if (!slot.replica || slot.batch) continue;
      const batch = this.#take();
      if (batch.length === 0) return;
      slot.batch = batch;
      slot.startedAtMs = performance.now();
      slot.timedOut = false;
      slot.replica.run(batch.map(({ inputs }) => inputs)).then(
        (answer) => this.#answered(slot, batch, answer),
        (error: Error) => this.#failed(slot, batch, error),
      );
    }
  }

  #take(): Pending[] {
    for (let retried = this.#again.shift(); retried; retried = this.#again.shift())
      if (!retried.settled) return [retried];
    const batch: Pending[] = [];
    let rows = 0;
    while (this.#head < this.#queue.length) {
      const next = this.#queue[this.#head]!;
      if (!next.settled) {
        const fits = rows + next.rows <= this.options.batchMax && this.#batchable;
        if (batch.length > 0 && !(fits && sameShape(batch[0]!, next))) break;
        batch.push(next);
        rows += next.rows;
      }
      this.#head++;
    }
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head > 1024) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return batch;
  }

  #answered(slot: Slot, batch: readonly Pending[], { outputs, computeUs }: BatchAnswer): void {
    slot.batch = undefined;
    let rows = 0;
    for (const request of batch) rows += request.rows;
    if (batch.length > 1 && outputs.some(({ shape }) => shape[0] !== rows)) {
      this.#batchable = false; // its outputs do not grow with its inputs: nobody may get another's rows
      this.#again.push(...batch);
      this.#schedule();
      return;
    }
    this.#schedule();
    this.#counts.batches++;
    this.#counts.rows += rows;
    this.#counts.computeUs += computeUs;
    const nowMs = performance.now();
    let firstRow = 0;
    for (const request of batch) {
      const share = this.#share(computeUs * (request.rows / rows), rows);
      request.complete(outputs, firstRow, share);
      this.#latencies.add(nowMs - request.enqueuedAtMs);
      firstRow += request.rows;
    }
  }

  /** Money is whole micro-dollars; what a cheap inference is short of one is carried to the next, so that the sum is right. */
  #share(computeUs: number, batchRows: number): Share {
    const { costPerInferenceMicroUsd, costPerComputeSecondMicroUsd } = this.options;
    this.#costCarry += costPerInferenceMicroUsd + (computeUs * costPerComputeSecondMicroUsd) / 1_000_000;
    const costMicroUsd = Math.floor(this.#costCarry);
    this.#costCarry -= costMicroUsd;
    return { computeUs, batchRows, costMicroUsd };
  }

  #failed(slot: Slot, batch: readonly Pending[], error: Error): void {
    slot.batch = undefined;
    const alone = batch.length === 1;
    if (error instanceof RunFailed) {
      if (alone)
        this.#fail(
          batch,
          new AiosError('serving.model_failed', { detail: `${this.label}: ${error.message}` }),
        );
      else this.#again.push(...batch);
    } else if (slot.timedOut && alone) {
      this.#fail(
        batch,
        new AiosError('serving.timeout', {
          detail: `${this.label} ran longer than ${this.options.timeoutMs} ms.`,
        }),
      );
    } else {
      for (const request of batch) {
        if (request.lost++ === 0) this.#again.push(request);
        else
          this.#fail(
            [request],
            new AiosError('serving.replica_lost', { detail: `${this.label}: ${error.message}` }),
          );
      }
    }
    this.#schedule();
  }

  #fail(requests: readonly Pending[], error: AiosError): void {
    for (const request of requests) {
      if (request.settled) continue;
      this.#counts.errors++;
      request.fail(error);
    }
  }

  /** Ends what is past its time: requests by their own deadline or signal, batches by the model's. */
  #sweep(): void {
    const nowMs = performance.now();
    const running = this.#slots.flatMap(({ batch }) => batch ?? []);
    if (running.length === 0 && this.waiting === 0) {
      clearInterval(this.#sweeper);
      this.#sweeper = undefined;
      return;
    }
    for (const slot of this.#slots) {
      if (!slot.batch || slot.timedOut || nowMs - slot.startedAtMs < this.options.timeoutMs) continue;
      slot.timedOut = true;
      slot.replica?.kill();
    }
    for (const request of [...running, ...this.#again, ...this.#queue]) {
      if (request.settled) continue;
      if (request.signal?.aborted)
        this.#fail([request], new AiosError('serving.canceled', { cause: request.signal.reason }));
      else if (nowMs >= request.deadlineAtMs)
        this.#fail(
          [request],
          new AiosError('serving.timeout', { detail: `${this.label}: the deadline has passed.` }),
        );
    }
  }

  /** Starts one replica; answers with the reason when it failed, and tries again later by itself. */
  async #startSlot(slot: Slot): Promise<Error | undefined> {
    let replica: Replica | undefined;
    try {
      replica = await this.#runtime.start(this.#model);
      const timer = setTimeout(() => replica?.kill(), Math.max(this.options.timeoutMs, 1_000));
      const { batchable } = await warmUp(replica).finally(() => clearTimeout(timer));
      this.#batchable &&= batchable;
    } catch (error) {
      replica?.kill();
      slot.startsFailed++;
      if (this.#slots.every(({ startsFailed }) => startsFailed >= STARTS_FAILED_MAX))
        this.#refuseWaiting(error as Error);
      this.#restart(slot, Math.min(RESTART_MS_MAX, RESTART_MS_MIN * 2 ** slot.startsFailed));
      return error as Error;
    }
    if (this.#closed) {
      replica.kill();
      return undefined;
    }
    slot.startsFailed = 0;
    slot.replica = replica;
    replica.onEnd(() => {
      slot.replica = undefined;
      this.#restart(slot, 0);
    });
    if (this.waiting > 0) this.#schedule();
    return undefined;
  }

  #restart(slot: Slot, delayMs: number): void {
    if (this.#closed) return;
    this.#counts.restarts++;
    setTimeout(() => {
      if (!this.#closed) void this.#startSlot(slot);
    }, delayMs).unref();
  }

  #refuseWaiting(reason: Error): void {
    this.#fail([...this.#again, ...this.#queue.slice(this.#head)], this.#unavailable(reason));
    this.#queue = [];
    this.#again = [];
    this.#head = 0;
  }

  #unavailable(reason: Error): AiosError {
    return new AiosError('serving.unavailable', {
      detail: `${this.label}: ${reason.message}`,
      cause: reason,
    });
  }

  /** About how long the queue takes to empty. */
  #drainMs(): number {
    const { batches, computeUs } = this.#counts;
    const batchMs = batches === 0 ? 1 : computeUs / batches / 1000;
    return Math.ceil(10 + (this.waiting / this.options.batchMax) * batchMs);
  }
}

/** Requests can share a batch when their tensors differ in their first dimension only. */
function sameShape(a: Pending, b: Pending): boolean {
  for (let i = 0; i < a.inputs.length; i++) {
    const left = a.inputs[i]!.shape;
    const right = b.inputs[i]!.shape;
    for (let axis = 1; axis < left.length; axis++) if (left[axis] !== right[axis]) return false;
  }
  return true;
}
