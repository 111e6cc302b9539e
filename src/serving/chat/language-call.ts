import type { JsonObject } from '../../kernel/json.ts';
import type { Quota } from '../../kernel/quota.ts';
import type { CallingStep, Trial } from './metering.ts';

/** A call of a language model. */
export interface LanguageCall {
  /** `name`, `name@alias` or `name@version`. */
  readonly model: string;
  /** The body of the request in OpenAI's protocol. */
  readonly request: JsonObject;
  /** Who pays. */
  readonly by: { readonly kind: string; readonly id: string };
  /** Aborted when the caller has gone away. */
  readonly signal: AbortSignal;
  /** The longest that the caller waits; `chatAnswerMs` at most. */
  readonly deadlineMs?: number | undefined;
  /** Under a rollout calls with the same key are answered by the same version; without it those of one run, or of one `user` of the request. */
  readonly stickyKey?: string | undefined;
  /** The step of a run that calls. */
  readonly step?: CallingStep | undefined;
  /** True for an answer that is not to come from what was kept. */
  readonly isFresh?: boolean | undefined;
  /** Told what the caller has left of each limit over the call, as soon as that counts it: also of calls that then fail. */
  readonly onQuota?: ((quota: Quota) => void) | undefined;
}

/** Which version answered, and whether from what was kept. */
export interface AnsweredBy {
  readonly model: string;
  readonly version: number;
  readonly digest: string;
  /** Undefined when answers to such requests are not kept. */
  readonly cache: 'hit' | 'miss' | undefined;
}

/** A version of the registry, as far as language models concern it. */
export interface RegisteredVersion {
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly runtime: string;
  readonly endpoint?: JsonObject | undefined;
  /** When a rollout chose it. */
  readonly trial?: Trial | undefined;
  readonly serving?: { readonly log?: CallLogOptions | undefined } | undefined;
}

/** Which calls are logged, and what of them is not. */
interface CallLogOptions {
  /** The part of calls that is kept, 0 to 1. */
  readonly sample: number;
  /** Paths of what is left out: see `sampleOfBody`. */
  readonly redact?: readonly string[] | undefined;
}
