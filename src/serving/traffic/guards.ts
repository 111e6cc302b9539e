import type { Limits } from '../../kernel/limits.ts';
import type { ServedModel } from './calls.ts';
import { CircuitBreaker, type CircuitChange, type CircuitStatistics } from './circuit-breaker.ts';
import { DefaultAnswer } from './default-answer.ts';
import type { RateLimiter } from './rate-limiter.ts';
import { type CacheStatistics, ResponseCache } from './response-cache.ts';
import type {
  FallbackOptions,
  RateLimitOptions,
  RequestLogOptions,
  TrafficOptions,
} from './traffic-options.ts';

/** One step of a fallback chain, made ready. */
export type FallbackStep =
  | { readonly by: 'version' | 'model'; readonly model: string; readonly ref: string | number | undefined }
  | { readonly by: 'default'; readonly answer: DefaultAnswer };

/** What stood around the calls of one version, since it was loaded. */
export interface TrafficStatistics {
  /** Calls whose answer is marked as degraded. */
  readonly degraded: number;
  /** Calls that a rate limit of the model refused. */
  readonly rateLimited: number;
  readonly cache: CacheStatistics | null;
  readonly circuit: CircuitStatistics | null;
}

/** Of a version whose definition names no guards. */
export const UNGUARDED: TrafficStatistics = { degraded: 0, rateLimited: 0, cache: null, circuit: null };

export type GuardLimits = Pick<Limits, 'responseCacheCountMax' | 'responseCacheBytesMax'>;

/** What guards need of the process. */
export interface GuardSurroundings {
  readonly limits: GuardLimits;
  /** That of the model, shared by its versions. */
  limiter(): RateLimiter;
  onCircuit(change: CircuitChange): void;
}

/** What stands around the calls of one version, made from its definition once. */
export class Guards {
  readonly cache: ResponseCache | undefined;
  readonly breaker: CircuitBreaker | undefined;
  readonly fallback: readonly FallbackStep[];
  readonly rateLimit: RateLimitOptions | undefined;
  readonly log: RequestLogOptions | undefined;
  readonly limiter: RateLimiter;
  /** Nothing but a sample for the log: the calls that are not drawn go as if there were no guards. */
  readonly onlyLogs: boolean;
  readonly options: TrafficOptions;
  degraded = 0;

  constructor(model: ServedModel, { limits, limiter, onCircuit }: GuardSurroundings) {
    this.options = trafficOptions(model.serving);
    const { cache, breaker, fallback = [], rateLimit, log } = this.options;
    const label = `${model.name}/${model.version}`;
    this.cache =
      cache &&
      new ResponseCache({
        ttlMs: cache.ttlMs,
        entriesMax: cache.entriesMax ?? limits.responseCacheCountMax,
        bytesMax: cache.bytesMax ?? limits.responseCacheBytesMax,
      });
    this.breaker = breaker && new CircuitBreaker(label, breaker, onCircuit);
    this.fallback = fallback.map((step) => stepOf(step, model));
    this.rateLimit = rateLimit;
    this.log = log;
    this.limiter = limiter();
    this.onlyLogs = log !== undefined && !cache && !breaker && !rateLimit && fallback.length === 0;
  }

  /** Whether a call is one of those that the log keeps. */
  draw(): boolean {
    return this.log !== undefined && Math.random() < this.log.sample;
  }

  statistics(): TrafficStatistics {
    return {
      degraded: this.degraded,
      rateLimited: this.limiter.refused,
      cache: this.cache?.statistics() ?? null,
      circuit: this.breaker?.statistics() ?? null,
    };
  }
}

/** The guards of a version: none where its definition names none, those that there are where it names the same. */
export function guardsOf(
  model: ServedModel,
  surroundings: GuardSurroundings,
  known: Guards | undefined,
): Guards | undefined {
  const wanted = JSON.stringify(trafficOptions(model.serving));
  if (wanted === '{}') return undefined;
  if (known && JSON.stringify(known.options) === wanted) return known;
  return new Guards(model, surroundings);
}

function trafficOptions({ cache, breaker, fallback, rateLimit, log }: TrafficOptions): TrafficOptions {
  return { cache, breaker, fallback, rateLimit, log };
}

function stepOf(step: FallbackOptions, { name, version, signature }: ServedModel): FallbackStep {
  if ('default' in step) {
    const answer = new DefaultAnswer(`${name}/${version}`, signature.outputs, step.default);
    return { by: 'default', answer };
  }
  if ('model' in step) return { by: 'model', model: step.model, ref: step.ref };
  return { by: 'version', model: name, ref: step.ref };
}
