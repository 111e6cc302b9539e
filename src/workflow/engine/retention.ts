import type { Clock } from '../../kernel/clock.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Flows } from './flows.ts';
import type { RunStore } from './run-store.ts';
import { countDeleted } from './spans.ts';

/**
 * Deletes runs that are over the retention of their flow (`document.metadata.aios.retention`), or over `runRetentionMs`: now and then a pass goes along
 * the key of the runs, a bounded number of rows at each look, so that it holds nobody up. Audit entries and costs are not touched.
 */
export class Retention {
  readonly #store: RunStore;
  readonly #flows: Flows;
  readonly #clock: Clock;
  readonly #limits: Limits;
  /** Where the pass under way is; undefined between two. */
  #afterId: string | undefined = '';
  #passEndedAtMs = 0;

  constructor({
    store,
    flows,
    clock,
    limits,
  }: { store: RunStore; flows: Flows; clock: Clock; limits: Limits }) {
    this.#store = store;
    this.#flows = flows;
    this.#clock = clock;
    this.#limits = limits;
  }

  /** The next rows, when it is time for them; whether the pass has more. */
  async look(): Promise<boolean> {
    const { runRetentionMs, retentionPassMs, retentionRowsMax } = this.#limits;
    if (this.#afterId === undefined) {
      if (this.#clock.monotonicMs() - this.#passEndedAtMs < retentionPassMs) return false;
      this.#afterId = '';
    }
    const nowMs = this.#clock.now();
    const pass = await this.#store.operations.expire({
      endedBeforeMs: new Map([...this.#flows.retentions()].map(([name, ms]) => [name, nowMs - ms])),
      othersEndedBeforeMs: nowMs - runRetentionMs,
      afterId: this.#afterId,
      rowsMax: retentionRowsMax,
    });
    if (pass && pass.deleted > 0) countDeleted(pass.deleted);
    this.#afterId = pass?.lastId;
    if (this.#afterId === undefined) this.#passEndedAtMs = this.#clock.monotonicMs();
    return this.#afterId !== undefined;
  }
}
