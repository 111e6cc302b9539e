import type { LoggedEvent } from '../../kernel/cloudevent.ts';
import type { Pin, StepContext } from '../catalog/primitive.ts';
import { withoutAttempts } from '../language/flow.ts';
import type { LiveBranch } from './branch.ts';
import type { Origin } from './stored-run.ts';

/** The identity of a run while a worker holds it. */
export interface RunIdentity {
  readonly id: string;
  readonly workflow: string;
  readonly version: number;
  readonly digest: string;
  readonly epoch: number;
  readonly attempt: number;
  readonly origin: Origin;
  readonly idempotencyKey: string | null;
  readonly startedAtMs: number;
}

/** The flow itself, as what a run is made with names it. */
export function flowPin({ workflow, version, digest }: RunIdentity): Pin {
  return { kind: 'workflow', name: workflow, version: String(version), digest };
}

/** Made for each step: its AbortSignal only when the step asks for it (an AbortController costs as much as a small step). */
export class LiveContext implements StepContext {
  readonly #run: RunIdentity;
  readonly #branch: LiveBranch;
  readonly #suffix: string;
  readonly #pins: ReadonlyMap<string, Pin>;
  readonly stepKey: string;
  readonly nowMs: number;

  constructor(
    run: RunIdentity,
    {
      stepKey,
      nowMs,
      branch,
      suffix,
    }: { stepKey: string; nowMs: number; branch: LiveBranch; suffix: string },
    pins: ReadonlyMap<string, Pin>,
  ) {
    this.#run = run;
    this.#pins = pins;
    this.stepKey = stepKey;
    this.nowMs = nowMs;
    this.#branch = branch;
    this.#suffix = suffix;
  }

  get runId(): string {
    return this.#run.id;
  }

  /**
   * Without the attempt of a `try`: one that was given up may have been done, and its receiver knows it by this key (decisions/0007). With that of
   * the run when it sends something else than an attempt before it (decisions/0012).
   */
  get idempotencyKey(): string {
    return `${this.#run.id}/${withoutAttempts(this.stepKey)}${this.#suffix}`;
  }

  get madeWith(): readonly Pin[] {
    return [...this.#pins.values(), flowPin(this.#run)];
  }

  get attempt(): number {
    return this.#run.attempt;
  }

  get workflow(): string {
    return this.#run.workflow;
  }

  get event(): LoggedEvent | undefined {
    return this.#run.origin.event;
  }

  get startedBy(): string | undefined {
    return this.#run.origin.startedBy;
  }

  get signal(): AbortSignal {
    return this.#branch.signal;
  }
}
