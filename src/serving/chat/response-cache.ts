import { LRUCache } from 'lru-cache';
import { digestOf } from '../../kernel/canonical.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { LanguageModel } from './endpoint.ts';

/** An answer as it is kept: one object, or the chunks of a stream. */
export type KeptAnswer = readonly JsonObject[];

/** Who computes an answer that others wait for. */
interface UnderWay {
  readonly done: Promise<KeptAnswer | undefined>;
}

/** What the first of several equal calls gets: it computes the answer and says what came of it. */
export interface Leader {
  /** The answer, or nothing when there is none to keep; must be called. */
  settle(answer: KeptAnswer | undefined): void;
}

/** Members that say nothing about the answer. */
const ASIDE = ['user', 'safety_identifier', 'metadata', 'store', 'prompt_cache_key', 'service_tier'];

/** Answers to equal requests, kept for a while; of equal requests at one time one is asked and the others wait for it. */
export class ResponseCache {
  readonly #kept: LRUCache<string, { readonly answer: KeptAnswer }>;
  readonly #underWay = new Map<string, UnderWay>();

  constructor(bytesMax: number) {
    this.#kept = new LRUCache({
      maxSize: bytesMax,
      sizeCalculation: ({ answer }) => answer.reduce((sum, one) => sum + JSON.stringify(one).length, 1),
    });
  }

  /**
   * The kept answer; or the part of a leader, who has to compute it.
   *
   * @param waitMs the longest that the answer of another call is waited for
   * @returns undefined when that time is over: the call is on its own
   */
  async look(
    key: string,
    { ttlMs, waitMs }: { readonly ttlMs: number; readonly waitMs: number },
    signal: AbortSignal,
  ): Promise<{ answer: KeptAnswer } | { leader: Leader } | undefined> {
    const untilMs = performance.now() + waitMs;
    for (;;) {
      const kept = this.#kept.get(key);
      if (kept) return kept;
      const underWay = this.#underWay.get(key);
      if (!underWay) return { leader: this.#lead(key, ttlMs) };
      const answer = await inTime(underWay.done, signal, untilMs - performance.now());
      if (answer === 'late') return undefined;
      if (answer) return { answer };
      // Its leader failed or was canceled: the next one leads.
    }
  }

  #lead(key: string, ttlMs: number): Leader {
    const { promise, resolve } = Promise.withResolvers<KeptAnswer | undefined>();
    const entry: UnderWay = { done: promise };
    this.#underWay.set(key, entry);
    return {
      settle: (answer) => {
        if (this.#underWay.get(key) === entry) this.#underWay.delete(key);
        if (answer) this.#kept.set(key, { answer }, { ttl: ttlMs });
        resolve(answer);
      },
    };
  }
}

function inTime<T>(promise: Promise<T>, signal: AbortSignal, waitMs: number): Promise<T | 'late'> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    };
    const abort = () => {
      end();
      reject(signal.reason);
    };
    const expire = () => {
      end();
      resolve('late');
    };
    const timer = setTimeout(expire, Math.max(0, waitMs));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(end);
  });
}

/**
 * What an equal request has as well: the version of the model, and all of the request that its answer depends on.
 *
 * @example cacheKey('assistant@3', { messages: [], temperature: 0 })
 */
export function cacheKey(version: string, request: JsonObject): string {
  const asked = Object.fromEntries(Object.entries(request).filter(([name]) => !ASIDE.includes(name)));
  return `${version} ${digestOf(asked)}`;
}

/**
 * For how long the answer to a request is kept, in milliseconds; 0 when it is not. Without a word in the definition those are kept that chance has no
 * part in: embeddings and answers at temperature 0.
 */
export function keptForMs(
  { cache, task }: Pick<LanguageModel, 'cache' | 'task'>,
  { temperature }: JsonObject,
  defaultMs: number,
): number {
  if (cache === false) return 0;
  if (cache) return cache.ttlMs;
  return temperature === 0 || task === 'embeddings' ? defaultMs : 0;
}
