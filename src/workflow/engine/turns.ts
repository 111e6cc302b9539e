import type { Limits } from '../../kernel/limits.ts';
import type { Pace } from '../interpreter/pace.ts';
import type { Execution } from './execution.ts';

/** What a pause tells of, so that nobody takes a run that pauses for one that waits. */
interface TurnHooks {
  begun(): void;
  /** False when the run is not to go on. */
  ended(): boolean;
}

/** Lets a run go on for some milliseconds at a time: what else its process has to do comes between. */
export class Turns implements Pace {
  readonly stepsMax: number;
  readonly limitName: string;
  readonly #turnMs: number;
  readonly #hooks: TurnHooks | undefined;
  #sinceMs = performance.now();

  constructor(
    { stepsMax, limitName, turnMs }: Pick<Pace, 'stepsMax' | 'limitName'> & { turnMs: number },
    hooks?: TurnHooks,
  ) {
    this.stepsMax = stepsMax;
    this.limitName = limitName;
    this.#turnMs = turnMs;
    this.#hooks = hooks;
  }

  giveWay(): Promise<void> | undefined {
    if (performance.now() - this.#sinceMs < this.#turnMs) return undefined;
    this.#hooks?.begun();
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#sinceMs = performance.now();
        if (this.#hooks?.ended() ?? true) resolve();
      });
    });
  }
}

/** The turns of a run in memory: while it pauses it counts as performing, so that it is not put away as one that waits. */
export function turnsOf(
  execution: Execution,
  { runStepsMax, runTurnMs }: Pick<Limits, 'runStepsMax' | 'runTurnMs'>,
): Turns {
  const pace = { stepsMax: runStepsMax, limitName: 'runStepsMax', turnMs: runTurnMs };
  return new Turns(pace, {
    begun: () => {
      execution.running++;
    },
    ended: () => {
      execution.running--;
      execution.quiet();
      return !execution.holding;
    },
  });
}
