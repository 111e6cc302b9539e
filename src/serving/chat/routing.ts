import { setTimeout as sleep } from 'node:timers/promises';
import { AiosError, toAiosError } from '../../kernel/errors.ts';
import type { LanguageModel, Target } from './endpoint.ts';

const BACKOFF_MS = 250; // doubled each round, with as much chance again
const BACKOFF_MS_MAX = 8_000;
const REST_MS = 5_000; // a target that failed without saying for how long is asked last for this time

/** What a route remembers of the servers that failed: they are asked last until then. */
export class Route {
  /** By target, until when (performance.now()). */
  readonly #resting = new Map<Target, number>();
  readonly #chance: () => number;

  constructor(chance: () => number = Math.random) {
    this.#chance = chance;
  }

  /**
   * Asks one target after the other until one answers: first those of the model by weight, then its fallbacks in their order, and, while `retries`
   * last, all of them again after a pause that honours `Retry-After`. What another server would refuse as well is not tried again.
   *
   * @param fallbacks with other models of the registry resolved
   * @param attempt one try; must not have told the caller anything when it throws
   * @throws AiosError of the last try
   */
  async ask<T>(
    { targets, retries }: Pick<LanguageModel, 'targets' | 'retries'>,
    fallbacks: readonly Target[],
    signal: AbortSignal,
    attempt: (target: Target) => Promise<T>,
  ): Promise<{ answer: T; target: Target; attempts: number }> {
    let last = new AiosError('chat.upstream_failed');
    let attempts = 0;
    for (let round = 0; round <= retries; round++) {
      const waits: number[] = [];
      for (const target of this.#order(targets, fallbacks)) {
        try {
          attempts++;
          const answer = await attempt(target);
          this.#resting.delete(target);
          return { answer, target, attempts };
        } catch (error) {
          last = toAiosError(error);
          if (signal.aborted || !isRetried(last)) throw last;
          const told = Number(last.extensions.retryAfterMs ?? 0);
          waits.push(told);
          this.#resting.set(target, performance.now() + (told || REST_MS));
        }
      }
      if (round === retries) break;
      const wait = Math.max(Math.min(...waits), this.#backoff(round));
      await pause(wait, signal, last);
    }
    throw last;
  }

  /** The order of one round: by weight, those that rest after the others, then the fallbacks likewise. */
  #order(targets: readonly Target[], fallbacks: readonly Target[]): Target[] {
    const now = performance.now();
    const rests = (target: Target) => (this.#resting.get(target) ?? 0) > now;
    const drawn = this.#drawn(targets);
    const all = [...drawn, ...fallbacks];
    return all.length === 1
      ? all
      : [...all.filter((target) => !rests(target)), ...all.filter((target) => rests(target))];
  }

  /** All targets in an order by chance, each first as often as its weight says. */
  #drawn(targets: readonly Target[]): Target[] {
    const left = [...targets];
    const drawn: Target[] = [];
    while (left.length > 1) {
      let at = this.#chance() * left.reduce((sum, { weight }) => sum + weight, 0);
      const found = left.findIndex(({ weight }) => {
        at -= weight;
        return at < 0;
      });
      drawn.push(...left.splice(Math.max(0, found), 1));
    }
    return [...drawn, ...left];
  }

  #backoff(round: number): number {
    return Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** round * (1 + this.#chance()));
  }
}

/** Waits before the next round; a wait that would outlast the call is not begun. */
async function pause(ms: number, signal: AbortSignal, last: AiosError): Promise<void> {
  if (ms > PAUSE_MS_MAX)
    throw new AiosError(last.code, {
      detail: last.message,
      extensions: { ...last.extensions, retryAfterMs: ms },
    });
  await sleep(ms, undefined, { signal }).catch(() => {
    throw signal.reason;
  });
}

/** A server that wants a longer pause is told to the caller, who can wait better than an open connection. */
const PAUSE_MS_MAX = 20_000;

function isRetried({ code }: AiosError): boolean {
  return code === 'chat.upstream_failed' || code === 'chat.upstream_limited' || code === 'serving.timeout';
}
