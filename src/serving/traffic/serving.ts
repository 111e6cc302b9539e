import { trace } from '@opentelemetry/api';
import { AiosError } from '../../kernel/errors.ts';
import type { Limits } from '../../kernel/limits.ts';
import { Capacity } from '../hosting/capacity.ts';
import { ConcurrentHost } from '../hosting/concurrent-host.ts';
import type { Host } from '../hosting/host.ts';
import { ModelHost } from '../hosting/model-host.ts';
import type { InferAnswer } from '../hosting/request.ts';
import type { RowAnswer } from '../hosting/score.ts';
import type { WarmUpTensor } from '../hosting/serving-options.ts';
import type { ServingStatistics } from '../hosting/statistics.ts';
import { warmUp } from '../hosting/warm-up.ts';
import { ModelRefused, RunFailed, type Runtime, type RuntimeModel } from '../runtimes/runtime.ts';
import type { TensorSpec } from '../tensors/tensor.ts';
import type { AnsweredBy, InferCall, ModelReference, ModelSource, ScoreCall, ServedModel } from './calls.ts';
import { ASKED_RESULTS, ASKED_TENSORS, guarded, type Surroundings } from './chain.ts';
import type { CircuitChange } from './circuit-breaker.ts';
import { type GuardLimits, type Guards, guardsOf, type TrafficStatistics, UNGUARDED } from './guards.ts';
import type { Hosted } from './hosted.ts';
import { observe } from './metrics.ts';
import { RateLimiter } from './rate-limiter.ts';
import type { RequestLog } from './request-log.ts';
import type { RolloutRouter } from './rollout-router.ts';

export type { AnsweredBy, InferCall, ModelReference, ModelSource, ScoreCall, ServedModel };

/** What a model says about itself once it runs, or why it does not; it is lost when its replica or its server went away, or never came. */
export type Verification =
  | { ok: true; inputs: readonly TensorSpec[]; outputs: readonly TensorSpec[] }
  | { ok: false; stage: 'load' | 'run'; reason: string; isLost: boolean };

export interface ServingDependencies {
  models: ModelSource;
  /** By name. */
  runtimes: Readonly<Record<string, Runtime>>;
  /** Nothing for a server without rollouts. */
  rollouts?: RolloutRouter | undefined;
  /** Nothing for a server that keeps no sample of its requests. */
  requestLog?: RequestLog | undefined;
  /** Told when the circuit of a version opens, and when it has closed. */
  onCircuit?: ((change: CircuitChange) => void) | undefined;
  limits: Pick<Limits, 'inferenceWaitMs' | 'modelIdleMs' | 'rateLimitKeysMax' | 'ensembleCallsMax'> &
    GuardLimits &
    Capacity['limits'];
}

const tracer = trace.getTracer('aios.serving');
const REAP_MS = 30_000;

/**
 * Answers inferences: resolves a reference, keeps the replicas of the versions in use, and puts each request into its model's queue.
 *
 * @example const serving = createServing({ models, runtimes: { onnx: createOnnxRuntime({ startMs: 30_000 }) }, limits })
 */
export function createServing(dependencies: ServingDependencies): Serving {
  return new Serving(dependencies);
}

export class Serving {
  readonly #models: ModelSource;
  readonly #runtimes: ServingDependencies['runtimes'];
  readonly #limits: ServingDependencies['limits'];
  readonly #rollouts: RolloutRouter | undefined;
  readonly #capacity: Capacity;
  /** By the object that the registry resolves to: a change of the model's options is a new object. */
  readonly #hosted = new Map<string, Hosted>();
  /** By model: a key's calls count whichever version they go to. */
  readonly #limiters = new Map<string, RateLimiter>();
  readonly #surroundings: Surroundings;
  readonly #onCircuit: (change: CircuitChange) => void;
  readonly #reaper: NodeJS.Timeout;
  readonly #unobserve: () => void;
  #isClosed = false;

  constructor({ models, runtimes, rollouts, requestLog, onCircuit, limits }: ServingDependencies) {
    this.#onCircuit = onCircuit ?? (() => {});
    this.#models = models;
    this.#rollouts = rollouts;
    this.#runtimes = runtimes;
    this.#limits = limits;
    this.#capacity = new Capacity(limits);
    const hostOf = (model: string, reference: ModelReference) =>
      this.#hostOf(models.resolve(model, reference));
    this.#surroundings = { hostOf, requestLog };
    this.#reaper = setInterval(() => this.unloadIdle(), REAP_MS).unref();
    this.#unobserve = observe(() => this.#hosted.values());
  }

  /**
   * Runs a model on tensors, given in any order.
   *
   * @throws AiosError `serving.unknown_input`, `serving.missing_input`, `serving.tensor_type`, `serving.tensor_shape`, `request.overloaded`,
   * `serving.timeout`, `serving.canceled`, `serving.model_failed`, `serving.replica_lost`, `serving.unavailable`
   * @example await serving.infer({ model: 'return-risk', inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 2], data }] })
   */
  infer(call: InferCall): Promise<InferAnswer & AnsweredBy> {
    return traced('serving.infer', call.model, () => this.#routed(call, this.#infer));
  }

  /**
   * Runs a model on one row of named features and answers with its named results.
   *
   * @throws AiosError `serving.feature_invalid`, `serving.no_features`, and those of `infer` that concern the run
   * @example (await serving.score({ model: 'return-risk', features: { orders: 3 } })).outputs // { score: 0.12 }
   */
  score(call: ScoreCall): Promise<RowAnswer & AnsweredBy> {
    return traced('serving.score', call.model, () => this.#routed(call, this.#score));
  }

  /** Starts and warms the replicas of a version: before it gets traffic. Resolves when one is ready. */
  async load(name: string, reference?: ModelReference): Promise<void> {
    await this.#hostOf(this.#models.resolve(name, reference)).host.start();
  }

  /**
   * Ends the replicas of a model, once they have answered what they took; the next request loads one again.
   *
   * @returns the versions that were loaded
   */
  async unload(name: string): Promise<number[]> {
    const loaded = [...this.#hosted].filter(([, { model }]) => model.name === name);
    for (const [key] of loaded) this.#hosted.delete(key);
    await Promise.all(loaded.map(([, { host }]) => host.drain()));
    return loaded.map(([, { model }]) => model.version);
  }

  /** True when a replica of the version is ready. Does not start one. */
  isReady(name: string, reference?: ModelReference): boolean {
    const hosted = this.#hosted.get(keyOf(this.#models.resolve(name, reference)));
    return hosted?.host.ready === true;
  }

  /**
   * Starts a replica of its own for a model, runs it once, and ends it.
   *
   * @param warmUpInputs what it is run on; zeros where they are undefined
   * @throws AiosError for a runtime that is not there, and what a runtime throws as one
   */
  async verify(
    runtimeName: string,
    model: RuntimeModel,
    warmUpInputs?: readonly WarmUpTensor[],
  ): Promise<Verification> {
    let stage: 'load' | 'run' = 'load';
    try {
      const replica = await this.#runtime(runtimeName, model.name).start(model);
      stage = 'run';
      const timer = setTimeout(() => replica.kill(), this.#limits.inferenceWaitMs);
      try {
        await warmUp(replica, warmUpInputs);
      } finally {
        clearTimeout(timer);
        replica.kill();
      }
      return { ok: true, inputs: replica.inputs, outputs: replica.outputs };
    } catch (error) {
      if (error instanceof AiosError) throw error;
      const isLost = !(error instanceof ModelRefused || error instanceof RunFailed);
      return { ok: false, stage, reason: (error as Error).message, isLost };
    }
  }

  /** Per version that is loaded, by `name/version`. */
  statistics(): Record<string, ServingStatistics & TrafficStatistics> {
    return Object.fromEntries(
      [...this.#hosted.values()].map(({ host, guards }) => [
        host.label,
        { ...host.statistics(), ...(guards?.statistics() ?? UNGUARDED) },
      ]),
    );
  }

  /** Ends the replicas of versions that nobody used for `modelIdleMs`; a model's last used version stays, and so do those that a loaded one falls back to, and those under a rollout. */
  unloadIdle(nowMs = performance.now()): void {
    const kept = this.#fallbackKeys();
    for (const { model, version } of this.#rollouts?.versions() ?? []) kept.add(`${model}/${version}`);
    const newest = new Map<string, number>();
    for (const [key, { model, host }] of this.#hosted) {
      if (kept.has(key)) continue; // it stays anyway, and was perhaps never used: it must not take the place of one that was
      newest.set(model.name, Math.max(newest.get(model.name) ?? 0, host.lastUsedAtMs));
    }
    for (const [key, { model, host }] of this.#hosted) {
      const idle = nowMs - host.lastUsedAtMs > this.#limits.modelIdleMs && host.waiting === 0;
      if (!idle || host.lastUsedAtMs === newest.get(model.name) || kept.has(key)) continue;
      this.#hosted.delete(key);
      host.close();
    }
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#reaper);
    this.#unobserve();
    for (const { host } of this.#hosted.values()) host.close();
    this.#hosted.clear();
  }

  /** A call of an alias under a rollout goes to the version that its key is given to. */
  #routed<Call extends InferCall | ScoreCall, Answer extends (InferAnswer | RowAnswer) & AnsweredBy>(
    call: Call,
    run: (call: Call) => Promise<Answer>,
  ): Promise<Answer> {
    const split = this.#rollouts?.find(call.model, call.ref);
    return split === undefined ? run(call) : this.#rollouts!.route(split, call, run);
  }

  readonly #infer = async (call: InferCall): Promise<InferAnswer & AnsweredBy> => {
    const hosted = this.#hostOf(this.#models.resolve(call.model, call.ref));
    const deadlineMs = this.#deadlineMs(call);
    if (hosted.guards && needsGuards(hosted.guards))
      return guarded(hosted, ASKED_TENSORS, call, deadlineMs, this.#surroundings);
    const request = ASKED_TENSORS.request(hosted, call, deadlineMs);
    hosted.host.submit(request);
    const { name: model, version, digest } = hosted.model;
    return { ...(await request.answer), model, version, digest };
  };

  readonly #score = async (call: ScoreCall): Promise<RowAnswer & AnsweredBy> => {
    const hosted = this.#hostOf(this.#models.resolve(call.model, call.ref));
    const deadlineMs = this.#deadlineMs(call);
    if (hosted.guards && needsGuards(hosted.guards))
      return guarded(hosted, ASKED_RESULTS, call, deadlineMs, this.#surroundings);
    const request = ASKED_RESULTS.request(hosted, call, deadlineMs);
    hosted.host.submit(request);
    const answer = await request.answer;
    const { name: model, version, digest } = hosted.model;
    if (answer.parameters) return { ...answer, model, version, digest };
    const { outputs, computeUs, batchRows, costMicroUsd } = answer;
    return { outputs, computeUs, batchRows, costMicroUsd, model, version, digest };
  };

  #deadlineMs(call: { deadlineMs?: number | undefined }): number {
    return call.deadlineMs ?? this.#limits.inferenceWaitMs;
  }

  #hostOf(model: ServedModel): Hosted {
    const key = keyOf(model);
    const known = this.#hosted.get(key);
    if (known?.model === model) return known;
    if (known && known.model.runtime === model.runtime && known.host.configure(model.serving)) {
      const updated = { ...known, model, guards: this.#guardsOf(model, known) };
      this.#hosted.set(key, updated);
      if (updated.guards && updated.guards !== known.guards) this.#hostFallbacksOf(updated.guards);
      return updated;
    }
    const { name, digest, version, endpoint, signature } = model;
    const label = `${name}/${version}`;
    const load = () => this.#models.artifact(digest);
    const runtime = this.#runtime(model.runtime, label);
    const described = { name, digest, load, endpoint, signature };
    const host: Host = runtime.concurrent
      ? new ConcurrentHost(label, described, runtime, model.serving, this.#limits)
      : this.#modelHost(label, described, runtime, model);
    const started = host.start();
    started.catch(() => {}); // the requests that wait are told; so is who asked for the load
    const guards = this.#guardsOf(model, known);
    const hosted: Hosted = { model, host, started, guards, plan: undefined };
    this.#hosted.set(key, hosted);
    if (guards) this.#hostFallbacksOf(guards);
    if (known) void started.finally(() => known.host.drain()).catch(() => {});
    return hosted;
  }

  #modelHost(
    label: string,
    described: RuntimeModel,
    runtime: Runtime,
    { name, version, serving }: ServedModel,
  ) {
    const host = new ModelHost(label, described, runtime, serving, this.#capacity);
    // A cold start would be told as the time of the version, and a rare key would wait for it.
    host.staysWarm = () => this.#rollouts?.holds(name, version) ?? false;
    return host;
  }

  #fallbackKeys(): Set<string> {
    const keys = new Set<string>();
    for (const { guards } of this.#hosted.values())
      for (const step of guards?.fallback ?? []) {
        if (step.by === 'default') continue;
        try {
          keys.add(keyOf(this.#models.resolve(step.model, step.ref)));
        } catch {
          // There is no such version: nothing is loaded that would have to stay.
        }
      }
    return keys;
  }

  /** Warm before they are needed: the first call that falls back must not wait for a replica to start. */
  #hostFallbacksOf({ fallback }: Guards): void {
    if (fallback.length === 0) return;
    setImmediate(() => {
      for (const step of fallback) {
        if (this.#isClosed || step.by === 'default') continue;
        try {
          this.#surroundings.hostOf(step.model, step.ref);
        } catch {
          // It names no version that is there; a call that needs it is told so.
        }
      }
    });
  }

  #guardsOf(model: ServedModel, known: Hosted | undefined) {
    const limiter = () => {
      const made =
        this.#limiters.get(model.name) ?? new RateLimiter(model.name, this.#limits.rateLimitKeysMax);
      this.#limiters.set(model.name, made);
      return made;
    };
    return guardsOf(model, { limits: this.#limits, limiter, onCircuit: this.#onCircuit }, known?.guards);
  }

  #runtime(name: string, label: string): Runtime {
    const runtime = this.#runtimes[name];
    if (!runtime)
      throw new AiosError('serving.unavailable', { detail: `${label}: there is no runtime “${name}” here.` });
    return runtime;
  }
}

/** A sample that is kept of one call in a hundred must not cost the other ninety-nine. */
function needsGuards(guards: Guards): boolean {
  return !guards.onlyLogs || guards.draw();
}

function keyOf({ name, version }: ServedModel): string {
  return `${name}/${version}`;
}

/** A span only under a parent that is recorded: most calls have none, and a span costs more than a small model. */
function traced<T>(operation: string, model: string, work: () => Promise<T>): Promise<T> {
  if (!trace.getActiveSpan()?.isRecording()) return work();
  return tracer.startActiveSpan(operation, { attributes: { 'aios.model': model } }, (span) =>
    work()
      .catch((error: Error) => {
        span.recordException(error);
        throw error;
      })
      .finally(() => span.end()),
  );
}
