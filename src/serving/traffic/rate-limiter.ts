import { AiosError } from '../../kernel/errors.ts';
import type { Quota } from '../../kernel/quota.ts';
import type { RateLimitOptions } from './traffic-options.ts';

/**
 * A token bucket for each key, kept as one number: the time at which the bucket would be full again (the generic cell rate algorithm, ITU-T
 * I.371). No timer fills it.
 *
 * @example limiter.take('key_01', { perSecond: 10, burst: 20 }, performance.now())
 */
export class RateLimiter {
  readonly #label: string;
  readonly #keysMax: number;
  readonly #fullAtMs = new Map<string, number>();
  #refused = 0;

  /** `keysMax`: with more keys in use at once, the one that has waited longest starts anew. */
  constructor(label: string, keysMax: number) {
    this.#label = label;
    this.#keysMax = keysMax;
  }

  get refused(): number {
    return this.#refused;
  }

  /** @returns what the key has left. @throws AiosError `serving.rate_limited` with `retryAfterMs` and what is left */
  take(key: string, { perSecond, burst = Math.max(1, perSecond) }: RateLimitOptions, nowMs: number): Quota {
    const costMs = 1000 / perSecond;
    const fullAtMs = Math.max(this.#fullAtMs.get(key) ?? 0, nowMs) + costMs;
    const waitMs = fullAtMs - nowMs - burst * costMs;
    // A millionth of a call: the sums are of floating point.
    if (waitMs > costMs / 1_000_000) {
      this.#refused++;
      throw new AiosError('serving.rate_limited', {
        detail: `${this.#label} takes ${perSecond} calls a second of one key, ${burst} at once.`,
        extensions: {
          ...{ limitName: 'rateLimit', limit: perSecond, retryAfterMs: Math.ceil(waitMs) },
          quota: { ...quotaOf(burst, costMs, fullAtMs - costMs - nowMs) },
        },
      });
    }
    if (this.#fullAtMs.size >= this.#keysMax && !this.#fullAtMs.has(key)) this.#forget(nowMs);
    this.#fullAtMs.set(key, fullAtMs);
    return quotaOf(burst, costMs, fullAtMs - nowMs);
  }

  /** A bucket that is full is as good as none. */
  #forget(nowMs: number): void {
    for (const [key, fullAtMs] of this.#fullAtMs) if (fullAtMs <= nowMs) this.#fullAtMs.delete(key);
    if (this.#fullAtMs.size < this.#keysMax) return;
    const [oldest] = this.#fullAtMs.keys();
    this.#fullAtMs.delete(oldest!);
  }
}

/** A bucket that is full again in `resetMs`. */
function quotaOf(burst: number, costMs: number, resetMs: number): Quota {
  // A millionth of a call here, too.
  const remaining = Math.max(0, Math.floor(burst - resetMs / costMs + 1 / 1_000_000));
  return {
    ...{ name: 'requests', unit: 'requests', limit: Math.floor(burst), remaining },
    ...{ resetMs, windowMs: burst * costMs },
  };
}
