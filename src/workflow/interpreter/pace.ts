import { AiosError } from '../../kernel/errors.ts';

/** How far a run may go on, and when it lets the others of its process have their turn. */
export interface Pace {
  /** The steps that one run may come to: more is a loop that does not end. */
  readonly stepsMax: number;
  /** The limit that says so. */
  readonly limitName: string;
  /** Undefined when it is too early for a pause; otherwise resolves after one. */
  giveWay(): Promise<void> | undefined;
}

/** Steps between two looks at the clock: a look costs as much as a tenth of a step. */
const STEPS_A_LOOK = 64;

/**
 * Counts the steps that a run comes to. Steps that wait for nothing follow each other without a pause: without this, a loop of them would keep
 * the whole process from everything else, from its own time limit and its cancellation too, until the memory is full.
 */
export class StepCount {
  readonly #pace: Pace;
  #steps = 0;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** The run has come to one more step. @throws AiosError `workflow.too_many_steps` */
  next(): Promise<void> | undefined {
    const { stepsMax, limitName } = this.#pace;
    if (++this.#steps > stepsMax) {
      throw new AiosError('workflow.too_many_steps', {
        detail: `The run came to more than ${stepsMax} steps (${limitName}).`,
        extensions: { limitName, limit: stepsMax },
      });
    }
    return this.#steps % STEPS_A_LOOK === 0 ? this.#pace.giveWay() : undefined;
  }
}
