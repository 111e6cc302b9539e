import type { ReplicaRange } from './serving-options.ts';
import { Latencies } from './statistics.ts';

/** What a look at a model's replicas and queue finds. */
export interface ScaleLook {
  readonly nowMs: number;
  readonly ready: number;
  readonly wanted: number;
  /** The 90th percentile of the requests' waiting since the last look, or the age of the oldest that waits when that is more. */
  readonly queueDelayMs: number;
  /** The part of the time since the last look in which a replica worked, 0 to 1, on average over all. */
  readonly busy: number;
  readonly idleMs: number;
}

/**
 * How many replicas a model should have. One more when the queue delay was above its target at two looks in a row and what was asked
 * for last is up; one fewer when the others could have done the work for `downAfterMs`; the last one when nobody asked for as long.
 */
export class Autoscaler {
  readonly #downAfterMs: number;
  #slowLooks = 0;
  #spareSinceMs: number | undefined;

  constructor(downAfterMs: number) {
    this.#downAfterMs = downAfterMs;
  }

  /** @returns the number of replicas wanted from now on */
  look(look: ScaleLook, { min, max, queueDelayMs }: Required<ReplicaRange>): number {
    const { wanted, ready, nowMs } = look;
    if (wanted === 0) return 0; // unloaded: the next request loads it
    const slow = look.queueDelayMs > (queueDelayMs as number);
    this.#slowLooks = slow ? this.#slowLooks + 1 : 0;
    if (this.#slowLooks >= 2 && wanted < max && ready >= wanted) {
      this.#slowLooks = 0;
      this.#spareSinceMs = undefined;
      return wanted + 1;
    }
    if (wanted === 1) return min === 0 && look.idleMs > this.#downAfterMs ? 0 : 1;
    const spare = !slow && wanted > min && look.busy * ready < 0.7 * (wanted - 1);
    if (!spare) this.#spareSinceMs = undefined;
    else this.#spareSinceMs ??= nowMs;
    if (this.#spareSinceMs === undefined || nowMs - this.#spareSinceMs < this.#downAfterMs) return wanted;
    this.#spareSinceMs = undefined;
    return wanted - 1;
  }
}

/** What happened since the last look. */
export interface RecentLoad {
  /** The 90th percentile of the requests' waiting. */
  readonly queueDelayMs: number;
  /** Replicas at work, on average. */
  readonly busyReplicas: number;
}

/** Measures the load between one look and the next, while it is on. */
export class LoadWatch {
  readonly delays = new Latencies();
  busyMs = 0;
  readonly #everyMs: number;
  readonly #look: (nowMs: number, load: RecentLoad) => void;
  #lookedAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(everyMs: number, look: (nowMs: number, load: RecentLoad) => void) {
    this.#everyMs = everyMs;
    this.#look = look;
  }

  get on(): boolean {
    return this.#timer !== undefined;
  }

  set(on: boolean): void {
    if (on === this.on) return;
    clearInterval(this.#timer);
    this.#timer = on ? setInterval(() => this.#tick(), this.#everyMs).unref() : undefined;
    this.#clear();
  }

  #tick(): void {
    const nowMs = performance.now();
    const queueDelayMs = this.delays.quantileMs(0.9);
    const busyReplicas = this.busyMs / Math.max(1, nowMs - this.#lookedAtMs);
    this.#clear();
    this.#look(nowMs, { queueDelayMs, busyReplicas });
  }

  #clear(): void {
    this.delays.clear();
    this.busyMs = 0;
    this.#lookedAtMs = performance.now();
  }
}
