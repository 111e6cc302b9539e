import { metrics } from '@opentelemetry/api';
import { AiosError } from '../../kernel/errors.ts';
import type { Json } from '../../kernel/json.ts';
import { degradedParameters } from '../hosting/concurrent-host.ts';
import { OF_THE_CALLER } from '../hosting/host-errors.ts';
import { InferRequest, type PendingRequest } from '../hosting/request.ts';
import { type ScoreOutputs, ScorePlan, ScoreRequest } from '../hosting/score.ts';
import type { Tensor } from '../tensors/tensor.ts';
import { checkInputs } from '../tensors/tensor-check.ts';
import type { AnsweredBy, Degraded, InferCall, ModelReference, ScoreCall } from './calls.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';
import type { FallbackStep } from './guards.ts';
import type { Hosted } from './hosted.ts';
import type { RequestLog } from './request-log.ts';
import { type Answer, keyOf } from './response-cache.ts';

type Call = Omit<InferCall, 'inputs'>;

/** What is asked of a version, tensors or named results. */
export interface Asked<C extends Call, A extends Answer> {
  readonly kind: 'infer' | 'score';
  /** The call, held to the version's signature. @throws AiosError for what does not fit it */
  request(hosted: Hosted, call: C, deadlineMs: number): PendingRequest<A>;
  /** What the definition answers where nothing else does. */
  standing(step: FallbackStep & { by: 'default' }, hosted: Hosted, rows: number): A['outputs'];
}

export const ASKED_TENSORS: Asked<InferCall, Answer & { outputs: readonly Tensor[] }> = {
  kind: 'infer',
  request({ model, host }, call, deadlineMs) {
    const { inputs, signal, priority } = call;
    const { inputs: specs, outputs } = model.signature;
    if (specs.length === 0 && outputs.length === 0)
      throw new AiosError('serving.no_tensors', {
        detail: `${host.label} has no tensors, neither in nor out.`,
      });
    const { tensors, rows } = checkInputs(specs, inputs, host.rowsMax);
    const request = new InferRequest(tensors, rows, performance.now(), deadlineMs, signal, priority);
    if (host.asksOthers) request.asking = call;
    return request;
  },
  standing: ({ answer }, _, rows) => answer.tensors(rows),
};

export const ASKED_RESULTS: Asked<ScoreCall, Answer & { outputs: ScoreOutputs }> = {
  kind: 'score',
  request(hosted, call, deadlineMs) {
    const { features, signal, priority } = call;
    const plan = planOf(hosted);
    const row = plan.row(features);
    const request = new ScoreRequest(plan, row, performance.now(), deadlineMs, signal, priority);
    if (hosted.host.asksOthers) request.asking = call;
    return request;
  },
  standing: ({ answer }, hosted) => answer.results(planOf(hosted)),
};

function planOf(hosted: Hosted): ScorePlan {
  hosted.plan ??= new ScorePlan(hosted.host.label, hosted.model.signature);
  return hosted.plan;
}

const degradedCounter = metrics.getMeter('aios.serving').createCounter('aios.serving.degraded', {
  unit: '{request}',
});

/** Errors that say that a version cannot answer now; the others say that the call is at fault, or given up. */
const FALLS_BACK = new Set<string>([
  'serving.unavailable',
  'serving.memory_exceeded',
  'serving.timeout',
  'serving.replica_lost',
  'serving.upstream_failed',
  'serving.upstream_limited',
  'serving.circuit_open',
  'request.overloaded',
]);
/** Those that say that the version is ill. A full queue, here or at its server, is not among them: refusing calls would make overload an outage. */
const ILL = new Set<string>([
  'serving.unavailable',
  'serving.memory_exceeded',
  'serving.timeout',
  'serving.replica_lost',
  'serving.upstream_failed',
  'serving.model_failed',
]);

/** What a chain needs beside the version that was asked. */
export interface Surroundings {
  readonly hostOf: (model: string, reference: ModelReference) => Hosted;
  readonly requestLog: RequestLog | undefined;
}

/**
 * The way of a call whose model has guards: rate limit, cache, circuit breaker, the version's queue, and where that cannot answer the fallback
 * chain; some calls are kept for the request log. The steps of a chain have their own cache and breaker, and their chains are not followed.
 *
 * @throws AiosError the error of the version that was asked, with what each step of the chain said in `fallbacks`
 */
export function guarded<C extends InferCall | ScoreCall, A extends Answer>(
  hosted: Hosted,
  asked: Asked<C, A>,
  call: C,
  deadlineMs: number,
  surroundings: Surroundings,
): Promise<A & AnsweredBy> {
  const guards = hosted.guards!;
  const startedAtMs = performance.now();
  if (call.isCopy) return attempt(hosted, asked.kind, asked.request(hosted, call, deadlineMs));
  if (guards.rateLimit && call.caller && !call.isPart) {
    const quota = guards.limiter.take(call.caller.id, guards.rateLimit, startedAtMs);
    call.onQuota?.(quota);
  }
  const { hostOf, requestLog } = surroundings;
  const log = guards.log;
  // Where there is nothing but the log, a call that comes here has been drawn.
  const answer = answered(hosted, asked, call, startedAtMs + deadlineMs, hostOf);
  if (!log || !requestLog || !(guards.onlyLogs || guards.draw())) return answer;
  return logged({ hosted, call, startedAtMs, hostOf, requestLog }, answer);
}

interface Drawn {
  readonly hosted: Hosted;
  readonly call: InferCall | ScoreCall;
  readonly startedAtMs: number;
  readonly hostOf: Surroundings['hostOf'];
  readonly requestLog: RequestLog;
}

async function logged<A extends Answer>(
  { hosted, call, startedAtMs, hostOf, requestLog }: Drawn,
  answering: Promise<A & AnsweredBy>,
): Promise<A & AnsweredBy> {
  let answer: (A & AnsweredBy) | undefined;
  let error: unknown;
  try {
    answer = await answering;
    return answer;
  } catch (fault) {
    error = fault;
    throw fault;
  } finally {
    const signature = () => (answer ? signatureOf(answer, hosted, hostOf) : hosted.model.signature);
    const latencyMs = performance.now() - startedAtMs;
    const redact = hosted.guards?.log?.redact ?? [];
    requestLog.keep({ call, asked: hosted.model, signature, answer, error, latencyMs }, redact);
  }
}

/** Of the version that answered: a fallback may be another model. */
function signatureOf({ model, version }: AnsweredBy, hosted: Hosted, hostOf: Surroundings['hostOf']) {
  const isSame = model === hosted.model.name && version === hosted.model.version;
  return (isSame ? hosted : hostOf(model, version)).model.signature;
}

async function answered<C extends Call, A extends Answer>(
  hosted: Hosted,
  asked: Asked<C, A>,
  call: C,
  deadlineAtMs: number,
  hostOf: Surroundings['hostOf'],
): Promise<A & AnsweredBy> {
  const { fallback } = hosted.guards!;
  const request = asked.request(hosted, call, deadlineAtMs - performance.now());
  try {
    return marked(await attempt(hosted, asked.kind, request));
  } catch (error) {
    if (fallback.length === 0 || !(error instanceof AiosError) || !FALLS_BACK.has(error.code)) throw error;
    return marked(await fallBack({ hosted, asked, call, error, rows: request.rows }, deadlineAtMs, hostOf));
  }
}

function marked<A extends AnsweredBy>(answer: A): A {
  const { cached, degraded } = answer;
  if (cached === undefined && degraded === undefined) return answer;
  const parameters: Record<string, string | boolean> = { ...answer.parameters };
  if (cached !== undefined) parameters.cached = cached;
  if (degraded !== undefined) Object.assign(parameters, degradedParameters(degraded));
  return { ...answer, parameters };
}

interface FallingBack<C extends Call, A extends Answer> {
  readonly hosted: Hosted;
  readonly asked: Asked<C, A>;
  readonly call: C;
  readonly error: AiosError;
  readonly rows: number;
}

async function fallBack<C extends Call, A extends Answer>(
  { hosted, asked, call, error, rows }: FallingBack<C, A>,
  deadlineAtMs: number,
  hostOf: Surroundings['hostOf'],
): Promise<A & AnsweredBy> {
  const { name: model, version, digest } = hosted.model;
  const tried: Json[] = [];
  for (const step of hosted.guards!.fallback) {
    if (call.signal?.aborted) throw new AiosError('serving.canceled', { cause: call.signal.reason });
    const of = error.extensions.deadlineOf === 'caller' ? OF_THE_CALLER : {};
    const degraded: Degraded = { model, version, reason: error.code, ...of, by: step.by };
    try {
      if (step.by === 'default') {
        const outputs = asked.standing(step, hosted, rows);
        count(hosted, degraded);
        // An answer that is written down is computed by nobody and costs nothing.
        const none = { outputs, computeUs: 0, batchRows: rows, costMicroUsd: 0 } as Answer as A;
        return { ...none, model, version, digest, degraded };
      }
      const other = hostOf(step.model, step.ref);
      const isSame = other.model.name === model && other.model.version === version;
      const leftMs = deadlineAtMs - performance.now();
      if (isSame || leftMs <= 0) {
        tried.push(`${other.host.label}: ${isSame ? 'it is the version that failed' : 'no time was left'}`);
        continue;
      }
      const answer = await attempt(other, asked.kind, asked.request(other, call, leftMs));
      count(hosted, degraded);
      return { ...answer, degraded };
    } catch (fault) {
      if (!(fault instanceof AiosError) || fault.code === 'serving.canceled') throw fault;
      tried.push(fault.message);
    }
  }
  throw new AiosError(error.code, {
    detail: error.message,
    cause: error,
    extensions: { ...error.extensions, fallbacks: tried },
  });
}

function count(hosted: Hosted, { model, version, reason, by }: Degraded): void {
  hosted.guards!.degraded++;
  degradedCounter.add(1, { 'aios.model': model, 'aios.model.version': version, reason, by });
}

/** One version asked once, through its cache and its breaker. */
async function attempt<A extends Answer>(
  hosted: Hosted,
  kind: 'infer' | 'score',
  request: PendingRequest<A>,
): Promise<A & AnsweredBy> {
  const { model, guards } = hosted;
  const cache = hosted.host.changesBy === undefined ? guards?.cache : undefined;
  let answer: A & Pick<AnsweredBy, 'cached'>;
  if (cache) {
    const key = keyOf(kind, request.inputs);
    const kept = cache.find<A>(key, request.rows);
    answer = kept ?? (await cache.through(key, request, () => run(hosted, request)));
  } else answer = await run(hosted, request);
  return { ...answer, model: model.name, version: model.version, digest: model.digest };
}

/** Not async where there is no breaker: each promise that is not needed is 0.3 µs. */
function run<A>(hosted: Hosted, request: PendingRequest<A>): Promise<A> {
  const breaker = hosted.guards?.breaker;
  if (breaker) return watched(hosted, breaker, request);
  hosted.host.submit(request);
  return request.answer;
}

async function watched<A>(
  { host, model }: Hosted,
  breaker: CircuitBreaker,
  request: PendingRequest<A>,
): Promise<A> {
  const startedAtMs = performance.now();
  const pass = breaker.enter(startedAtMs);
  try {
    host.submit(request);
    const answer = await request.answer;
    const nowMs = performance.now();
    breaker.leave(pass, 'answered', nowMs - startedAtMs, nowMs);
    return answer;
  } catch (error) {
    const nowMs = performance.now();
    const elapsedMs = nowMs - startedAtMs;
    const isIll = isFailure(error, elapsedMs, model.serving.timeoutMs);
    breaker.leave(pass, isIll ? 'failed' : 'neither', elapsedMs, nowMs, codeOf(error));
    throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof AiosError ? error.code : 'internal';
}

/** A caller with a short deadline must not open the circuit for the others: a timeout counts from the model's own time on. */
function isFailure(error: unknown, elapsedMs: number, timeoutMs: number): boolean {
  if (!(error instanceof AiosError)) return true;
  if (error.code === 'serving.timeout') return elapsedMs >= timeoutMs;
  return ILL.has(error.code);
}
