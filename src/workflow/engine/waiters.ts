import type { Json } from '../../kernel/json.ts';
import type { Write } from '../../store/lane.ts';
import { Abandoned } from '../catalog/flow-errors.ts';
import type { WaitOutcome } from '../catalog/primitive.ts';
import type { LiveBranch } from './branch.ts';
import type { Recorder } from './recorder.ts';
import type { Signal } from './stored-run.ts';

/** What is waited for by its name: time, and another run. The others are what people and systems outside answer. */
export const TIMER = 'timer';
export const CHILD = 'run';

interface Waiter {
  readonly key: string;
  readonly label: string;
  readonly dueMs: number | undefined;
  /** The writes that close what was opened, when the wait is given up. */
  readonly close: (() => readonly Write[]) | undefined;
  readonly taken: WaitRequest['taken'];
  resolve(outcome: WaitOutcome): void;
}

export interface WaitRequest {
  key: string;
  /** What is waited for, for those who look at the run. */
  label: string;
  dueMs?: number | undefined;
  branch: LiveBranch;
  close?: () => readonly Write[];
  /** The key is the beginning of many signals' keys: the first in their order is taken, and told at once. */
  taken?: (signalKey: string, payload: Json) => void;
}

/** The waits of a run in memory, and the signals that came before the step that waits for them. */
export class Waiters {
  readonly #recorder: Recorder;
  readonly #nowMs: () => number;
  /** Called when a wait has begun that nothing ends at once. */
  readonly #onWait: () => void;
  readonly #signals = new Map<string, Json>();
  readonly #waiters = new Map<string, Waiter>();
  /** Signals under a common beginning that were taken: they may come again until their removal is written. */
  readonly #used = new Set<string>();

  constructor(recorder: Recorder, signals: readonly Signal[], nowMs: () => number, onWait: () => void) {
    this.#recorder = recorder;
    this.#nowMs = nowMs;
    this.#onWait = onWait;
    for (const { key, payload } of signals) {
      // An answer that came after the one that stood is put out of the way.
      if (recorder.find(key)) recorder.unwritten.consumed.push(key);
      else this.#signals.set(key, payload);
    }
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** The earliest deadline. */
  get dueMs(): number | undefined {
    let due: number | undefined;
    for (const { dueMs } of this.#waiters.values()) {
      if (dueMs !== undefined && (due === undefined || dueMs < due)) due = dueMs;
    }
    return due;
  }

  /** What is waited for; another run, or a timer, only when there is nothing that somebody answers. */
  get label(): string | null {
    const labels = new Set([...this.#waiters.values()].map(({ label }) => label));
    const [answered] = [...labels].filter((label) => label !== TIMER && label !== CHILD);
    return answered ?? (labels.has(CHILD) ? CHILD : labels.has(TIMER) ? TIMER : null);
  }

  wait({ key, label, dueMs, branch, close, taken }: WaitRequest): Promise<WaitOutcome> {
    return new Promise((resolve, reject) => {
      if (branch.abandoned) return reject(new Abandoned());
      const waiter: Waiter = { key, label, dueMs, resolve, close, taken };
      this.#waiters.set(key, waiter);
      branch.onAbandon(() => {
        if (this.#waiters.get(key) !== waiter) return;
        this.#waiters.delete(key);
        if (close) this.#recorder.unwritten.writes.push(...close());
        reject(new Abandoned());
      });
      if (this.#offer(key)) return;
      if (dueMs !== undefined && dueMs <= this.#nowMs()) this.#settle(waiter, { kind: 'deadline' });
      else this.#onWait();
    });
  }

  /** Takes signals that came; answers with the keys of those for which no step waits yet. */
  deliver(signals: readonly Signal[]): string[] {
    for (const { key, payload } of signals) if (!this.#used.has(key)) this.#signals.set(key, payload);
    for (const { key } of [...this.#waiters.values()]) this.#offer(key);
    return [...this.#signals.keys()];
  }

  /** Puts the signals under this beginning out of the way; answers with their keys. */
  drop(prefix: string): string[] {
    const keys = this.#keysUnder(prefix);
    for (const key of keys) this.#signals.delete(key);
    return keys;
  }

  /** Ends the waits that are due. */
  tick(nowMs: number): void {
    for (const waiter of [...this.#waiters.values()]) {
      if (waiter.dueMs !== undefined && waiter.dueMs <= nowMs) this.#settle(waiter, { kind: 'deadline' });
    }
  }

  #offer(key: string): boolean {
    const waiter = this.#waiters.get(key);
    if (!waiter) return false;
    const signalKey = waiter.taken ? this.#keysUnder(key)[0] : key;
    const payload = signalKey === undefined ? undefined : this.#signals.get(signalKey);
    if (signalKey === undefined || payload === undefined) return false;
    this.#signals.delete(signalKey);
    if (waiter.taken) this.#used.add(signalKey);
    this.#recorder.unwritten.consumed.push(signalKey);
    waiter.taken?.(signalKey, payload);
    this.#settle(waiter, { kind: 'signal', payload });
    return true;
  }

  #keysUnder(prefix: string): string[] {
    return [...this.#signals.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  #settle(waiter: Waiter, outcome: WaitOutcome): void {
    if (this.#waiters.delete(waiter.key)) waiter.resolve(outcome);
  }
}
