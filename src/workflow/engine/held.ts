import type { Execution } from './execution.ts';
import type { Entry, RunChange, RunResult, RunStatus } from './stored-run.ts';

/** What a barrier makes of the run's row. */
export interface Patch {
  readonly status: RunStatus;
  readonly result: RunResult | null;
  readonly wakeAtMs: number | null;
  readonly waitingFor: string | null;
  readonly subject: string | null;
  readonly outcome: string | null;
}

/** A run begun inside the transaction of an event consumer: its first barrier is written there, not by group commit. */
export interface InlineStart {
  /** Resolves after that transaction: true when this barrier was part of it, false when it is still to be written. */
  barrier(patch: Patch): Promise<boolean>;
}

/** A run in the memory of a worker, and how far it is written. */
export class Held {
  readonly execution: Execution;
  /** The number of the next barrier. */
  seq: number;
  /** There is a row. */
  durable = false;
  /** That it began is told; see lifecycle.ts. */
  startTold = false;
  /** The phase that was told last, of a flow that tells it; see lifecycle.ts. */
  phaseTold: string | undefined;
  /** No more than one flush waits behind the one under way. */
  flushing = false;
  parkScheduled = false;
  /** Its worker's lease had run out: another may hold it. */
  doubted = false;
  /** Its last barrier has been begun: nothing else may put it away. */
  ending = false;
  /** It is in this memory no more. */
  gone = false;
  /** Why it was let go without an end. */
  lostBy: unknown;
  inline: InlineStart | undefined;
  /** Resolves when the barriers begun so far are written; never rejects. */
  written: Promise<void> = Promise.resolve();
  lastChange: RunChange | undefined;
  #onWritten: { done: () => void; failed: () => void }[] = [];
  #onLeft: (() => void)[] = [];

  constructor(execution: Execution, seq: number) {
    this.execution = execution;
    this.seq = seq;
  }

  get id(): string {
    return this.execution.run.id;
  }

  change(patch: Patch, entries: readonly Entry[], worker: string | null, nowMs: number): RunChange {
    const { run } = this.execution;
    return {
      insert: !this.durable,
      id: run.id,
      workflow: run.workflow,
      version: run.version,
      epoch: run.epoch,
      origin: run.origin,
      idempotencyKey: run.idempotencyKey,
      startedAtMs: run.startedAtMs,
      ...patch,
      worker,
      updatedAtMs: nowMs,
      entries,
      seq: this.seq,
    };
  }

  /** Called once, after the next barrier: written or not. */
  onceWritten(done: () => void, failed: () => void): void {
    this.#onWritten.push({ done, failed });
  }

  settleWritten(ok: boolean): void {
    if (this.#onWritten.length === 0) return;
    const listeners = this.#onWritten;
    this.#onWritten = [];
    for (const { done, failed } of listeners) ok ? done() : failed();
  }

  /** Called once, when the run leaves memory. */
  onLeft(listener: () => void): void {
    if (this.gone) listener();
    else this.#onLeft.push(listener);
  }

  left(): void {
    for (const listener of this.#onLeft) listener();
    this.#onLeft = [];
  }
}
