import { setTimeout as sleep } from 'node:timers/promises';
import { AiosError } from '../../kernel/errors.ts';
import {
  type BatchAnswer,
  ModelRefused,
  type Replica,
  RunFailed,
  type Runtime,
  type RuntimeModel,
  ServerBusy,
} from '../runtimes/runtime.ts';
import { Autoscaler, LoadWatch, type RecentLoad } from './autoscaler.ts';
import { BatchDelay } from './batch-delay.ts';
import { enoughRows } from './batch-size.ts';
import type { Capacity, Unloadable } from './capacity.ts';
import { batchFailed, deadlinePassed, overloaded, unavailable } from './host-errors.ts';
import { ReplicaPool, type Slot, type Work } from './replica-pool.ts';
import { startReplica } from './replica-start.ts';
import { CostCarry, longestWaitMs, type Pending, rowsOf } from './request.ts';
import { RequestQueue } from './request-queue.ts';
import { runInParts } from './row-parts.ts';
import { replicaRange, type ServingOptions } from './serving-options.ts';
import { HostCounts, type ServingStatistics } from './statistics.ts';

const SWEEP_MS = 10; // how exactly deadlines are kept; one sweep serves all requests, where a timer each would cost 1 µs
const QUEUE_BYTES_MAX = 256 * 1024 * 1024;
const RECENT = 0.1; // the weight of the newest batch in the measured time of a request

/**
 * The replicas of one version of one model and the queue before them. Natural batching: an idle replica takes what is queued, up to
 * the model's best size; there is no delay unless an operator wants one. A replica that dies is replaced and what it was working on is
 * tried once more, each request alone, so that one that kills replicas fails alone.
 */
export class ModelHost implements Unloadable {
  readonly label: string;
  /** The most rows of one request. */
  readonly rowsMax: number;
  lastUsedAtMs = performance.now();
  /** True while one replica has to stay up though nobody asks and the options let the last one end. */
  staysWarm: () => boolean = () => false;
  readonly #model: RuntimeModel;
  readonly #capacity: Capacity;
  readonly #pool: ReplicaPool;
  readonly #queue: RequestQueue;
  readonly #counts = new HostCounts();
  readonly #autoscaler: Autoscaler;
  #options: ServingOptions;
  /** The rows that a batch grows to. */
  #batchRows = 1;
  #batchable = true;
  /** With so many a batch gains nothing by waiting, where a replica takes one ahead. */
  #enoughRows = Number.POSITIVE_INFINITY;
  readonly #delay = new BatchDelay(() => this.#dispatch());
  #device: 'cpu' | 'gpu' | undefined;
  #scheduled = false;
  #sweeper: NodeJS.Timeout | undefined;
  readonly #watch: LoadWatch;
  /** Unloaded until the next request. */
  #asleep = false;
  #closed = false;
  readonly #costs = new CostCarry();
  #msPerRequest = 1;

  constructor(
    label: string,
    model: RuntimeModel,
    runtime: Runtime,
    options: ServingOptions,
    capacity: Capacity,
  ) {
    this.label = label;
    this.#options = options;
    const { threads = 1, placement = 'cpu' } = options;
    const own = runtime.remote ? 0 : Math.min(threads, capacity.coresMax); // a model elsewhere uses no core here
    this.#model = { ...model, threads: own, placement };
    this.#capacity = capacity;
    this.rowsMax = capacity.limits.inferenceRowsMax;
    this.#autoscaler = new Autoscaler(capacity.limits.replicaIdleMs);
    this.#watch = new LoadWatch(capacity.limits.replicaScaleMs, (nowMs, load) => this.#look(nowMs, load));
    this.#queue = new RequestQueue((request, nowMs) => this.#abandon(request, nowMs));
    this.#pool = new ReplicaPool({
      start: () => this.#startReplica(runtime),
      ready: () => {
        if (this.#queue.count > 0) this.#schedule();
      },
      broken: (reason) => this.#fail(this.#queue.clear(), unavailable(this.label, reason)),
      isFinal: (reason) =>
        reason instanceof ModelRefused ||
        (reason instanceof AiosError && reason.code === 'serving.memory_exceeded'),
    });
  }

  /**
   * Starts and warms replicas, one at least; also those of a model that was unloaded.
   *
   * @throws AiosError `serving.unavailable`, `serving.memory_exceeded` with the reason when none comes up
   */
  async start(): Promise<void> {
    const { min } = replicaRange(this.#options.replicas);
    this.#asleep = false;
    this.#watch.set(this.#scales);
    this.lastUsedAtMs = performance.now(); // who loads a model means to use it: it is not idle yet
    const failed = await this.#pool.scale(Math.max(1, min, this.#pool.wanted));
    this.lastUsedAtMs = performance.now();
    if (failed[0] && this.#pool.ready === 0 && this.#pool.wanted > 0)
      throw unavailable(this.label, failed[0]);
  }

  /** Takes changed options; false, and nothing changed, when they need other replicas than there are. */
  configure(options: ServingOptions): boolean {
    const { threads, placement, warmUp, batch, batchMax } = this.#options;
    const before = JSON.stringify([threads, placement, warmUp, batch, batchMax]);
    const after = [options.threads, options.placement, options.warmUp, options.batch, options.batchMax];
    if (before !== JSON.stringify(after)) return false;
    this.#options = options;
    const { min, max } = replicaRange(options.replicas);
    const { wanted } = this.#pool;
    if (wanted > 0) {
      void this.#pool.scale(Math.min(Math.max(wanted, min, 1), max));
      this.#watch.set(this.#scales);
    }
    return true;
  }

  /** A fixed number of replicas costs no look. */
  get #scales(): boolean {
    const { min, max } = replicaRange(this.#options.replicas);
    return min !== max;
  }

  get waiting(): number {
    return this.#queue.count;
  }

  /** A replica is up, or will be when a request comes. */
  get ready(): boolean {
    return this.#pool.ready > 0 || this.#asleep;
  }

  get idle(): boolean {
    return this.#queue.count === 0 && !this.#pool.slots.some(({ running }) => running);
  }

  /** @throws AiosError `request.overloaded` when the queue is full, `serving.unavailable` when no replica can be started */
  submit(request: Pending): void {
    this.lastUsedAtMs = request.enqueuedAtMs;
    this.#counts.requests++;
    const { queueMax, queueBytesMax = QUEUE_BYTES_MAX } = this.#options;
    const queue = this.#queue;
    if (queue.count >= queueMax) throw this.#overloaded('queueMax', queueMax);
    if (queue.bytes + request.bytes > queueBytesMax && queue.count > 0)
      throw this.#overloaded('queueBytesMax', queueBytesMax);
    if (this.#closed) throw unavailable(this.label, new Error('it is being unloaded'));
    if (this.#pool.brokenBy && this.#pool.ready === 0) throw unavailable(this.label, this.#pool.brokenBy);
    queue.push(request);
    this.#schedule();
    if (queue.rows >= this.#enoughRows) this.#dispatch();
  }

  #overloaded(limitName: string, limit: number): AiosError {
    this.#counts.refused++;
    const { count } = this.#queue;
    const drainMs = (count * this.#msPerRequest) / Math.max(1, this.#pool.ready);
    return overloaded(this.label, count, drainMs, { limitName, limit });
  }

  statistics(): ServingStatistics {
    this.#capacity.refresh();
    return {
      ...this.#counts.told(),
      replicas: this.#pool.ready,
      replicaStates: this.#pool.states(),
      device: this.#device,
      residentBytes: this.#capacity.residentBytes(this),
      queued: this.#queue.count,
      queuedBytes: this.#queue.bytes,
      restarts: this.#pool.restarts,
      bestBatch: this.#batchRows,
    };
  }

  /** Lets what was accepted end, then closes. */
  async drain(): Promise<void> {
    while (!this.idle && !this.#closed) await sleep(SWEEP_MS);
    this.close();
  }

  /** Ends the replicas until the next request or `start`. A replica at work ends its batch. */
  unload(): void {
    this.#watch.set(false);
    this.#asleep = true;
    void this.#pool.scale(0);
    this.#schedule(); // a request may have come meanwhile
  }

  /** Ends the replicas; who still waits is refused. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#sweeper);
    this.#watch.set(false);
    this.#delay.close();
    const reason = unavailable(this.label, new Error('it is being unloaded'));
    this.#fail(this.#queue.clear(), reason);
    for (const { batch } of this.#pool.work()) this.#fail(batch, reason);
    this.#pool.close();
  }

  async #startReplica(runtime: Runtime): Promise<Replica> {
    const { replica, batchRows, batchable } = await startReplica(
      this,
      runtime,
      this.#model,
      this.#options,
      this.#capacity,
    );
    // Every replica of a version is the same: what one cannot do, none does.
    this.#batchable &&= batchable;
    this.#batchRows = this.#batchable ? batchRows : 1;
    this.#delay.ms = batchRows === 1 ? 0 : (this.#options.batch?.delayUs ?? 0) / 1000;
    this.#device = replica.device ?? 'cpu';
    if (replica.takesAhead) this.#enoughRows = this.#batchRows;
    return replica;
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
    const { slots, wanted } = this.#pool;
    if (wanted === 0 && this.#queue.count > 0 && !this.#closed) this.start().catch(() => {}); // who waits is told
    for (const slot of slots) {
      if (!slot.replica || slot.running || slot.retired) continue;
      if (this.#delay.ms > 0 && this.#delay.holds(this.#queue, this.#batchRows, performance.now())) return;
      slot.running = this.#runNext(slot, slot.replica);
      if (!slot.running) return;
    }
    // Sent ahead, a replica begins with it while its last answer is on its way.
    for (const slot of slots) {
      if (this.#queue.rows < this.#enoughRows) return;
      if (!slot.replica || !slot.running || slot.ahead || slot.retired) continue;
      slot.ahead = this.#runNext(slot, slot.replica);
    }
  }

  /** Nothing when nobody waits. */
  #runNext(slot: Slot, replica: Replica): Work | undefined {
    for (;;) {
      const nowMs = performance.now();
      const batch = this.#queue.take(nowMs, this.#batchRows);
      if (batch.length === 0) return undefined;
      if (batch[0]!.rows <= this.#options.batchMax) return this.#run(slot, replica, batch, nowMs);
      this.#split(batch[0]!);
    }
  }

  #split(request: Pending): void {
    runInParts(request, this.#options.batchMax, this.#batchable ? this.#pool.ready : 0, {
      label: this.label,
      enqueue: (part) => this.#queue.push(part),
      fail: (whole, error) => this.#fail([whole], error),
      answered: (queuedMs, totalMs) => this.#counts.requestAnswered(queuedMs, totalMs),
    });
  }

  #run(slot: Slot, replica: Replica, batch: readonly Pending[], startedAtMs: number): Work {
    const work = { batch, startedAtMs, timedOut: false };
    const withinMs = replica.passesDeadline ? longestWaitMs(batch, startedAtMs) : undefined;
    const answer = replica.run(
      batch.map(({ inputs }) => inputs),
      withinMs,
    );
    const inputMs = performance.now() - startedAtMs;
    answer.then(
      (outcome) => this.#answered(slot, work, outcome, inputMs),
      (error: Error) => this.#failed(slot, work, error),
    );
    return work;
  }

  #answered(slot: Slot, { batch, startedAtMs }: Work, answer: BatchAnswer, inputMs: number): void {
    const { outputs, computeUs } = answer;
    slot.endsUnanswered = 0;
    this.#pool.release(slot);
    const rows = rowsOf(batch);
    if (slot.replica?.takesAhead) this.#enoughRows = enoughRows(this.#batchRows, computeUs / rows);
    // It goes before these are answered, which takes as long as a small model runs.
    if (this.#queue.rows >= this.#enoughRows) this.#dispatch();
    else this.#schedule();
    if (batch.length > 1 && outputs.some(({ shape }) => shape[0] !== rows)) {
      this.#batchable = false; // its outputs do not grow with its inputs: nobody may get another's rows
      this.#batchRows = 1;
      for (const request of batch) this.#queue.pushAlone(request);
      return;
    }
    const nowMs = performance.now();
    const tookMs = nowMs - startedAtMs;
    const inferMs = computeUs / 1000;
    this.#watch.busyMs += tookMs;
    this.#msPerRequest += RECENT * (tookMs / batch.length - this.#msPerRequest);
    const outputMs = Math.max(0, tookMs - inputMs - inferMs);
    this.#counts.batchAnswered(batch.length, rows, { inputMs, inferMs, outputMs }, nowMs);
    let firstRow = 0;
    for (let i = 0; i < batch.length; i++) {
      const request = batch[i]!;
      request.complete(
        outputs,
        firstRow,
        this.#costs.share(computeUs * (request.rows / rows), rows, this.#options, request.part),
      );
      const queuedMs = startedAtMs - request.enqueuedAtMs;
      if (request.part === 0) this.#counts.requestAnswered(queuedMs, nowMs - request.enqueuedAtMs);
      if (this.#watch.on) this.#watch.delays.add(queuedMs);
      firstRow += request.rows;
    }
  }

  #failed(slot: Slot, { batch, timedOut }: Work, error: Error): void {
    this.#pool.release(slot);
    const alone = batch.length === 1;
    if (error instanceof RunFailed && !alone) {
      for (const request of batch) this.#queue.pushAlone(request);
    } else if (error instanceof RunFailed || error instanceof ServerBusy) {
      this.#fail(batch, batchFailed(this.label, error)); // a server that is full wants fewer calls: no try of each alone
    } else if (timedOut && alone) {
      const detail = `${this.label} ran longer than ${this.#options.timeoutMs} ms.`;
      this.#fail(batch, new AiosError('serving.timeout', { detail }));
    } else {
      for (const request of batch) {
        if (request.lost++ === 0) this.#queue.pushAlone(request);
        else this.#fail([request], batchFailed(this.label, error));
      }
    }
    this.#schedule();
  }

  #fail(requests: readonly Pending[], error: AiosError): void {
    const nowMs = performance.now();
    for (const request of requests) {
      if (request.settled) continue;
      if (request.part === 0) this.#counts.requestFailed(nowMs - request.enqueuedAtMs);
      request.fail(error);
    }
  }

  /** Ends a request whose caller gave it up or whose deadline has passed. */
  #abandon(request: Pending, nowMs: number): boolean {
    if (request.signal?.aborted) {
      this.#fail([request], new AiosError('serving.canceled', { cause: request.signal.reason }));
      return true;
    }
    if (nowMs < request.deadlineAtMs) return false;
    this.#fail([request], deadlinePassed(this.label, nowMs - request.enqueuedAtMs, this.#options.timeoutMs));
    return true;
  }

  /** Ends what is past its time: requests by their own deadline or signal, batches by the model's. */
  #sweep(): void {
    if (this.idle) {
      clearInterval(this.#sweeper);
      this.#sweeper = undefined;
      return;
    }
    const nowMs = performance.now();
    for (const { batch } of this.#pool.work())
      for (const request of batch) if (!request.settled) this.#abandon(request, nowMs);
    for (const { running, replica } of this.#pool.slots) {
      if (!running || running.timedOut || nowMs - running.startedAtMs < this.#options.timeoutMs) continue;
      running.timedOut = true;
      replica?.kill();
    }
    this.#queue.sweep(nowMs);
  }

  /** Grows or shrinks the replicas by what requests had to wait since the last look. */
  #look(nowMs: number, load: RecentLoad): void {
    const { ready, wanted } = this.#pool;
    const waitedMs = Math.max(0, nowMs - this.#queue.oldestAtMs());
    const idleMs = this.idle ? nowMs - this.lastUsedAtMs : 0;
    const queueDelayMs = Math.max(load.queueDelayMs, waitedMs);
    const busy = load.busyReplicas / Math.max(1, ready);
    const { min, ...rest } = replicaRange(this.#options.replicas);
    const range = { ...rest, min: min === 0 && this.staysWarm() ? 1 : min };
    const next = this.#autoscaler.look({ nowMs, ready, wanted, queueDelayMs, busy, idleMs }, range);
    if (next === 0 && wanted > 0) this.unload();
    else if (next < wanted) void this.#pool.scale(next);
    else if (next > wanted && this.#capacity.mayGrow(this, this.#model.threads ?? 1))
      void this.#pool.scale(next);
  }
}
