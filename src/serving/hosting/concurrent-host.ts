import { setTimeout as sleep } from 'node:timers/promises';
import { type Context, context } from '@opentelemetry/api';
import { AiosError } from '../../kernel/errors.ts';
import type { Limits } from '../../kernel/limits.ts';
import type {
  ComposedAnswer,
  ConcurrentReplica,
  Runtime,
  RuntimeModel,
  Underway,
} from '../runtimes/runtime.ts';
import type { Host } from './host.ts';
import { deadlinePassed, overloaded, unavailable } from './host-errors.ts';
import { CostCarry, type Pending } from './request.ts';
import { RequestQueue } from './request-queue.ts';
import type { ServingOptions } from './serving-options.ts';
import { HostCounts, type ServingStatistics } from './statistics.ts';
import { warmUp } from './warm-up.ts';

const SWEEP_MS = 10; // as exactly as a `ModelHost` keeps deadlines
const WARM_UP_MS_MIN = 10_000; // the models inside may have to start
const RETRY_MS = 1_000;
const RECENT = 0.1; // the weight of the newest request in the measured time of one

interface Running {
  readonly request: Pending;
  readonly startedAtMs: number;
  readonly deadlineAtMs: number;
  readonly underway: Underway;
}

interface Waiting {
  readonly request: Pending;
  /** Of the caller: a request that had to wait belongs to its trace all the same. */
  readonly context: Context;
}

/**
 * One version of a model that works by asking others: no process, no batches (those it asks have them), and as many requests at a time as
 * `ensembleCallsMax` lets. More wait, by their priority, up to `queueMax`.
 */
export class ConcurrentHost implements Host {
  readonly label: string;
  readonly rowsMax: number;
  readonly asksOthers = true;
  lastUsedAtMs = performance.now();
  readonly #model: RuntimeModel;
  readonly #runtime: Runtime;
  readonly #callsMax: number;
  #options: ServingOptions;
  #replica: ConcurrentReplica | undefined;
  #starting: Promise<void> | undefined;
  #brokenBy: Error | undefined;
  #brokenAtMs = 0;
  #closed = false;
  readonly #running = new Set<Running>();
  readonly #contexts = new WeakMap<Pending, Waiting['context']>();
  readonly #queue = new RequestQueue((request, nowMs) => this.#abandon(request, nowMs, request.deadlineAtMs));
  readonly #counts = new HostCounts();
  readonly #costs = new CostCarry();
  #sweeper: NodeJS.Timeout | undefined;
  #msPerRequest = 1;

  constructor(
    label: string,
    model: RuntimeModel,
    runtime: Runtime,
    options: ServingOptions,
    limits: Pick<Limits, 'ensembleCallsMax' | 'inferenceRowsMax'>,
  ) {
    this.label = label;
    this.#model = model;
    this.#runtime = runtime;
    this.#options = options;
    this.#callsMax = limits.ensembleCallsMax;
    this.rowsMax = limits.inferenceRowsMax;
  }

  get waiting(): number {
    return this.#queue.count + this.#running.size;
  }

  get ready(): boolean {
    return this.#replica?.isReady === true;
  }

  /** Until it has started nobody knows: then, too, no answer is kept. */
  get changesBy(): string | undefined {
    return this.#replica ? this.#replica.changesBy : 'it has not started';
  }

  async start(): Promise<void> {
    if (this.#replica || this.#closed) return;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
    this.lastUsedAtMs = performance.now();
  }

  configure(options: ServingOptions): boolean {
    if (JSON.stringify(options.warmUp) !== JSON.stringify(this.#options.warmUp)) return false;
    this.#options = options;
    return true;
  }

  submit(request: Pending): void {
    const nowMs = performance.now();
    this.lastUsedAtMs = nowMs;
    this.#counts.requests++;
    if (this.#closed) throw unavailable(this.label, new Error('it is being unloaded'));
    const replica = this.#replica;
    if (replica && this.#running.size < this.#callsMax && this.#queue.count === 0) {
      this.#run(replica, request, nowMs);
      return;
    }
    this.#enqueue(request, nowMs);
  }

  statistics(): ServingStatistics {
    const starting = this.#starting ? 1 : 0;
    const up = this.#replica ? 1 : 0;
    const busy = this.#running.size > 0 ? 1 : 0;
    return {
      ...this.#counts.told(),
      replicas: up,
      replicaStates: { starting, idle: up - busy, busy, waiting: this.#brokenBy && !starting ? 1 : 0 },
      device: undefined,
      residentBytes: 0,
      queued: this.#queue.count,
      queuedBytes: this.#queue.bytes,
      restarts: 0,
      bestBatch: 1,
    };
  }

  async drain(): Promise<void> {
    while (this.waiting > 0 && !this.#closed) await sleep(SWEEP_MS);
    this.close();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#sweeper);
    const reason = unavailable(this.label, new Error('it is being unloaded'));
    for (const request of this.#queue.clear()) this.#fail(request, reason);
    for (const { request, underway } of this.#running) {
      underway.abandon();
      this.#fail(request, reason);
    }
    this.#replica?.kill();
    this.#replica = undefined;
  }

  async #start(): Promise<void> {
    const { timeoutMs, warmUp: given } = this.#options;
    try {
      const replica = (await this.#runtime.start(this.#model)) as ConcurrentReplica;
      const timer = setTimeout(() => replica.kill(), Math.max(timeoutMs, WARM_UP_MS_MIN));
      await warmUp(replica, given?.inputs)
        .catch((error: unknown) => {
          replica.kill();
          throw error;
        })
        .finally(() => clearTimeout(timer));
      if (this.#closed) {
        replica.kill();
        return;
      }
      this.#brokenBy = undefined;
      this.#replica = replica;
      this.#next();
    } catch (error) {
      // Its own words: what is wrong is wrong inside, and none of the caller's business by that code.
      this.#brokenBy = new Error((error as Error).message, { cause: error });
      this.#brokenAtMs = performance.now();
      const reason = unavailable(this.label, this.#brokenBy);
      for (const request of this.#queue.clear()) this.#fail(request, reason);
      throw reason;
    }
  }

  #enqueue(request: Pending, nowMs: number): void {
    const { queueMax } = this.#options;
    const queue = this.#queue;
    if (queue.count >= queueMax) {
      this.#counts.refused++;
      const drainMs = (queue.count * this.#msPerRequest) / this.#callsMax;
      throw overloaded(this.label, queue.count, drainMs, { limitName: 'queueMax', limit: queueMax });
    }
    if (!this.#replica && !this.#starting) {
      if (this.#brokenBy && nowMs - this.#brokenAtMs < RETRY_MS)
        throw unavailable(this.label, this.#brokenBy);
      this.start().catch(() => {}); // who waits is told
    }
    this.#contexts.set(request, context.active());
    queue.push(request);
    this.#watch();
  }

  /** Runs what waits, as far as there is room. */
  #next(): void {
    const replica = this.#replica;
    while (replica && this.#queue.count > 0 && this.#running.size < this.#callsMax) {
      const nowMs = performance.now();
      const [request] = this.#queue.take(nowMs, 1);
      if (!request) return;
      const own = this.#contexts.get(request) ?? context.active();
      context.with(own, () => this.#run(replica, request, nowMs));
    }
  }

  #run(replica: ConcurrentReplica, request: Pending, startedAtMs: number): void {
    const deadlineAtMs = Math.min(request.deadlineAtMs, startedAtMs + this.#options.timeoutMs);
    const underway = replica.begin(request.inputs, request.asking ?? {}, deadlineAtMs);
    const running: Running = { request, startedAtMs, deadlineAtMs, underway };
    this.#running.add(running);
    this.#watch();
    underway.answer.then(
      (answer) => this.#answered(running, answer),
      (error: Error) => this.#failed(running, error),
    );
  }

  #answered(running: Running, answer: ComposedAnswer): void {
    const { request, startedAtMs } = running;
    this.#running.delete(running);
    if (!request.settled) {
      const nowMs = performance.now();
      const tookMs = nowMs - startedAtMs;
      this.#msPerRequest += RECENT * (tookMs - this.#msPerRequest);
      this.#counts.batchAnswered(1, request.rows, { inputMs: 0, inferMs: tookMs, outputMs: 0 }, nowMs);
      this.#counts.requestAnswered(startedAtMs - request.enqueuedAtMs, nowMs - request.enqueuedAtMs);
      const { outputs, computeUs, costMicroUsd, degraded, parts } = answer;
      // What was computed inside is paid for by the rates of those who did; its own rates are for what it adds.
      const own = this.#costs.share(0, request.rows, this.#options, 0);
      const parameters = { parts: parts.join(), ...(degraded && degradedParameters(degraded)) };
      const share = { computeUs, batchRows: request.rows, costMicroUsd: costMicroUsd + own.costMicroUsd };
      request.complete(outputs, 0, degraded ? { ...share, parameters, degraded } : { ...share, parameters });
    }
    this.#next();
  }

  #failed(running: Running, error: Error): void {
    const { request } = running;
    this.#running.delete(running);
    const known = error instanceof AiosError ? error : undefined;
    const code = known?.code ?? 'serving.model_failed';
    const extensions = known?.extensions ?? {};
    this.#fail(
      request,
      new AiosError(code, { detail: `${this.label}: ${error.message}`, extensions, cause: error }),
    );
    this.#next();
  }

  #fail(request: Pending, error: AiosError): void {
    if (request.settled) return;
    this.#counts.requestFailed(performance.now() - request.enqueuedAtMs);
    request.fail(error);
  }

  /** Ends a request whose caller gave it up or whose time is over. */
  #abandon(request: Pending, nowMs: number, deadlineAtMs: number): boolean {
    if (request.signal?.aborted) {
      this.#fail(request, new AiosError('serving.canceled', { cause: request.signal.reason }));
      return true;
    }
    if (nowMs < deadlineAtMs) return false;
    const { timeoutMs } = this.#options;
    const tooLong = `${this.label}: it ran longer than ${timeoutMs} ms.`;
    const error =
      deadlineAtMs < request.deadlineAtMs
        ? new AiosError('serving.timeout', { detail: tooLong })
        : deadlinePassed(this.label, nowMs - request.enqueuedAtMs, timeoutMs);
    this.#fail(request, error);
    return true;
  }

  #watch(): void {
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  #sweep(): void {
    if (this.waiting === 0) {
      clearInterval(this.#sweeper);
      this.#sweeper = undefined;
      return;
    }
    const nowMs = performance.now();
    for (const { request, deadlineAtMs, underway } of this.#running)
      if (this.#abandon(request, nowMs, deadlineAtMs)) underway.abandon();
    this.#queue.sweep(nowMs);
  }
}

/** The words of the Open Inference Protocol's `parameters` for an answer that is not of the version which was asked for. */
export function degradedParameters({ by, reason, model, version }: NonNullable<ComposedAnswer['degraded']>) {
  return {
    degraded: true,
    degraded_by: by,
    degraded_reason: reason,
    degraded_from: `${model}/${version}`,
  };
}
