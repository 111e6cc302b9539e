import { AiosError } from '../../kernel/errors.ts';
import type { BreakerOptions } from './traffic-options.ts';

const BUCKETS = 10; // a window moves on by a tenth of itself
/** How soon it is worth while to ask again while a few calls try the version: how long they take is not known. */
const PROBING_RETRY_MS = 1_000;

export type CircuitState = 'closed' | 'open' | 'half-open';

export interface CircuitStatistics {
  readonly state: CircuitState;
  /** How often it has opened. */
  readonly opened: number;
  /** Calls that it refused. */
  readonly refused: number;
  /** When it opened last, in ISO 8601; null where it never did. */
  readonly openedAt: string | null;
  /** Why it opened last. */
  readonly openedBy: string | null;
  /** When it closed last after that. */
  readonly closedAt: string | null;
}

/** Told once when a circuit opens and once when it has closed; that calls which tried it failed in between is no change. */
export interface CircuitChange {
  /** `risk/3` */
  readonly label: string;
  readonly state: 'open' | 'closed';
  /** `12 of 20 calls failed and 0 were slow within 10000 ms; the last by serving.timeout`, or how long it was open and what it refused. */
  readonly reason: string;
}

/**
 * Refuses the calls of a version that fails or is slow too often, and lets a few try again later. `cockatiel` knows no slow calls, and
 * costs a closure and promises a call (0.16 µs against 0.03).
 *
 * @example const pass = breaker.enter(performance.now()); … breaker.leave(pass, 'failed', elapsedMs, performance.now())
 */
export class CircuitBreaker {
  readonly #label: string;
  readonly #errorRate: number;
  readonly #slowMs: number;
  readonly #slowRate: number;
  readonly #bucketMs: number;
  readonly #callsMin: number;
  readonly #openMs: number;
  readonly #probes: number;
  readonly #ticks = new Float64Array(BUCKETS);
  readonly #calls = new Uint32Array(BUCKETS);
  readonly #failed = new Uint32Array(BUCKETS);
  readonly #slow = new Uint32Array(BUCKETS);
  #state: CircuitState = 'closed';
  /** Moves with each change of state: a call that began before one decides nothing after it. */
  #pass = 0;
  #openUntilMs = 0;
  #probing = 0;
  #probed = 0;
  #opened = 0;
  #refused = 0;
  #openedAtMs = 0;
  #openedBy: string | null = null;
  #closedAtMs = 0;
  #refusedBefore = 0;
  readonly #tell: (change: CircuitChange) => void;

  constructor(label: string, options: BreakerOptions, tell: (change: CircuitChange) => void = () => {}) {
    this.#label = label;
    this.#tell = tell;
    this.#errorRate = options.errorRate;
    this.#slowMs = options.slowMs ?? Number.POSITIVE_INFINITY;
    this.#slowRate = options.slowRate ?? 0.5;
    this.#bucketMs = (options.windowMs ?? 10_000) / BUCKETS;
    this.#callsMin = options.callsMin ?? 20;
    this.#openMs = options.openMs ?? 5_000;
    this.#probes = options.probes ?? 3;
  }

  /**
   * Lets a call through; what it answers with is handed to `leave`.
   *
   * @throws AiosError `serving.circuit_open` with `retryAfterMs`
   */
  enter(nowMs: number): number {
    if (this.#state === 'closed') return this.#pass;
    if (this.#state === 'open' && nowMs >= this.#openUntilMs) {
      this.#become('half-open');
      this.#probing = 0;
      this.#probed = 0;
    }
    if (this.#state === 'half-open' && this.#probing + this.#probed < this.#probes) {
      this.#probing++;
      return this.#pass;
    }
    this.#refused++;
    const isTried = this.#state === 'half-open';
    const retryAfterMs = isTried
      ? Math.min(this.#openMs, PROBING_RETRY_MS)
      : Math.max(1, Math.ceil(this.#openUntilMs - nowMs));
    const next = isTried ? 'a few calls try it now' : `it is tried again in ${retryAfterMs} ms`;
    throw new AiosError('serving.circuit_open', {
      detail: `${this.#label} failed or was slow too often; ${next}.`,
      extensions: { retryAfterMs },
    });
  }

  /**
   * `neither` is a call that tells nothing of the version's health: bad input, a caller that gave up, a full queue.
   *
   * @param fault the code of the error that a failed call was told, for whoever asks later why it opened
   */
  leave(
    pass: number,
    outcome: 'answered' | 'failed' | 'neither',
    elapsedMs: number,
    nowMs: number,
    fault?: string,
  ): void {
    if (pass !== this.#pass) return;
    const isSlow = elapsedMs > this.#slowMs;
    if (this.#state === 'half-open') {
      this.#probing--;
      if (outcome === 'neither') return;
      if (outcome === 'failed' || isSlow) this.#open(nowMs);
      else if (++this.#probed >= this.#probes) this.#close(nowMs);
      return;
    }
    if (outcome === 'neither') return;
    this.#count(outcome === 'failed', isSlow, nowMs);
    if (outcome !== 'failed' && !isSlow) return;
    const illness = this.#illness(nowMs);
    if (illness === undefined) return;
    this.#openedAtMs = nowMs;
    this.#openedBy = fault === undefined ? illness : `${illness}; the last by ${fault}`;
    this.#closedAtMs = 0;
    this.#refusedBefore = this.#refused;
    this.#open(nowMs);
    this.#tell({ label: this.#label, state: 'open', reason: this.#openedBy });
  }

  statistics(): CircuitStatistics {
    return {
      state: this.#state,
      opened: this.#opened,
      refused: this.#refused,
      openedAt: timeOf(this.#openedAtMs),
      openedBy: this.#openedBy,
      closedAt: timeOf(this.#closedAtMs),
    };
  }

  #open(nowMs: number): void {
    this.#become('open');
    this.#opened++;
    this.#openUntilMs = nowMs + this.#openMs;
  }

  #close(nowMs: number): void {
    this.#become('closed');
    this.#ticks.fill(0);
    this.#closedAtMs = nowMs;
    const seconds = Math.round((nowMs - this.#openedAtMs) / 1000);
    const refused = this.#refused - this.#refusedBefore;
    const reason = `open for ${seconds} s, calls refused: ${refused}`;
    this.#tell({ label: this.#label, state: 'closed', reason });
  }

  #become(state: CircuitState): void {
    this.#state = state;
    this.#pass++;
  }

  #count(isFailure: boolean, isSlow: boolean, nowMs: number): void {
    const tick = Math.floor(nowMs / this.#bucketMs) + 1; // 0 is a bucket that was never used
    const bucket = tick % BUCKETS;
    if (this.#ticks[bucket] !== tick) {
      this.#ticks[bucket] = tick;
      this.#calls[bucket] = 0;
      this.#failed[bucket] = 0;
      this.#slow[bucket] = 0;
    }
    this.#calls[bucket]!++;
    if (isFailure) this.#failed[bucket]!++;
    if (isSlow) this.#slow[bucket]!++;
  }

  /** What makes it open: undefined where there are too few calls, or too few of them bad. */
  #illness(nowMs: number): string | undefined {
    const oldest = Math.floor(nowMs / this.#bucketMs) + 1 - BUCKETS;
    let calls = 0;
    let failed = 0;
    let slow = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (this.#ticks[bucket]! <= oldest) continue;
      calls += this.#calls[bucket]!;
      failed += this.#failed[bucket]!;
      slow += this.#slow[bucket]!;
    }
    if (calls < this.#callsMin) return undefined;
    if (failed <= this.#errorRate * calls && slow <= this.#slowRate * calls) return undefined;
    return `${failed} of ${calls} calls failed and ${slow} were slow within ${Math.round(this.#bucketMs * BUCKETS)} ms`;
  }
}

/** @param atMs by the monotonic clock; 0 is never */
function timeOf(atMs: number): string | null {
  return atMs === 0 ? null : new Date(performance.timeOrigin + atMs).toISOString();
}
