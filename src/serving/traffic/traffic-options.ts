import type { Json } from '../../kernel/json.ts';

/** Answers that are kept and given again for the same input. Off where a model does not name it. */
interface CacheOptions {
  /** How long an answer may be given again. */
  readonly ttlMs: number;
  /** The most answers kept of one version; `responseCacheCountMax` when left out. */
  readonly entriesMax?: number | undefined;
  /** The most bytes of keys and answers of one version; `responseCacheBytesMax` when left out. */
  readonly bytesMax?: number | undefined;
}

/** When calls of a version that is ill are refused at once. Off where a model does not name it. */
export interface BreakerOptions {
  /** The part of calls that may fail, 0 to 1. */
  readonly errorRate: number;
  /** A call longer than this, its wait included, is slow. */
  readonly slowMs?: number | undefined;
  /** The part of calls that may be slow, 0 to 1; 0.5 when left out. */
  readonly slowRate?: number | undefined;
  /** Over which time the parts are taken; 10,000 when left out. */
  readonly windowMs?: number | undefined;
  /** Fewer calls in that time decide nothing; 20 when left out. */
  readonly callsMin?: number | undefined;
  /** How long calls are refused before some may try again; 5,000 when left out. */
  readonly openMs?: number | undefined;
  /** How many must then succeed; 3 when left out. */
  readonly probes?: number | undefined;
}

/** One step of a fallback chain: a version of the same model, another model, or an answer that is written down. */
export type FallbackOptions =
  | { readonly ref: string | number }
  | { readonly model: string; readonly ref?: string | number | undefined }
  | { readonly default: DefaultAnswerOptions };

export interface DefaultAnswerOptions {
  /** For each output the elements of one row; every row of a request gets them. */
  readonly outputs?: Readonly<Record<string, Json>> | undefined;
  /** The named results of a score; taken from `outputs` when left out. */
  readonly results?: Readonly<Record<string, Json>> | undefined;
}

/** How often one key may call a model. Each process counts for itself. */
export interface RateLimitOptions {
  readonly perSecond: number;
  /** How many calls may come at once after a pause; one second's worth when left out. */
  readonly burst?: number | undefined;
}

/** Which requests are kept, and what of them is not. */
export interface RequestLogOptions {
  /** The part of requests that is kept, 0 to 1. */
  readonly sample: number;
  /** Features, tensors and results whose values are left out. */
  readonly redact?: readonly string[] | undefined;
}

/** What stands around the calls of a model. A model that names none of it pays for none of it. */
export interface TrafficOptions {
  readonly cache?: CacheOptions | undefined;
  readonly breaker?: BreakerOptions | undefined;
  /** Tried in their order when the version cannot answer. */
  readonly fallback?: readonly FallbackOptions[] | undefined;
  readonly rateLimit?: RateLimitOptions | undefined;
  readonly log?: RequestLogOptions | undefined;
}
