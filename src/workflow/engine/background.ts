import type { Limits } from '../../kernel/limits.ts';
import type { Held } from './held.ts';

/** How long after a caller began to wait the runs that nobody waits for still give way: above the pauses between a caller's requests. */
const GIVE_WAY_MS = 100;

/** Between two batches of starts: an event that nobody waits for should start its run within 20 ms, too. */
const PAUSE_MS = 10;

type BackgroundLimits = Pick<
  Limits,
  'runsBackgroundMax' | 'runsYieldingMax' | 'runsActiveMax' | 'consumerPauseMs'
>;

/**
 * How many runs events may begin now. While callers wait for runs of theirs, the others follow a few at a time instead of competing (a refund
 * costs as much as the decision that it follows from); their events stay in the log meanwhile, so nothing is held in memory for them.
 */
export class Background {
  readonly #limits: BackgroundLimits;
  readonly #monotonicMs: () => number;
  readonly #active: () => number;
  #giveWayUntilMs = Number.NEGATIVE_INFINITY;
  #count = 0;
  #refused = false;
  /** Called when there is room again after there was none. */
  onRoom: () => void = () => {};

  constructor(limits: BackgroundLimits, monotonicMs: () => number, active: () => number) {
    this.#limits = limits;
    this.#monotonicMs = monotonicMs;
    this.#active = active;
  }

  /** A caller begins to wait for a run. */
  giveWay(): void {
    this.#giveWayUntilMs = this.#monotonicMs() + GIVE_WAY_MS;
  }

  room(): number {
    const { runsBackgroundMax, runsYieldingMax, runsActiveMax } = this.#limits;
    const max = this.#givesWay() ? runsYieldingMax : runsBackgroundMax;
    const room = Math.min(max - this.#count, runsActiveMax - this.#active());
    this.#refused = room <= 0;
    return Math.max(0, room);
  }

  /** As long as that of other consumers while runs give way: a batch of few events costs as much as one of many. */
  pauseMs(): number {
    return this.#givesWay() ? this.#limits.consumerPauseMs : PAUSE_MS;
  }

  #givesWay(): boolean {
    return this.#monotonicMs() < this.#giveWayUntilMs;
  }

  /** Counts a run until it leaves memory. */
  begun(held: Held): void {
    this.#count++;
    held.onLeft(() => {
      this.#count--;
      if (this.#refused) this.onRoom();
    });
  }
}
