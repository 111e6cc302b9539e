import { AiosError } from '../../kernel/errors.ts';
import type { Queryable } from '../../store/database.ts';
import type { CompiledView } from '../compiled.ts';
import type { AsOf } from '../windows/state.ts';

/** From when on the state of each stream view is whole: what lies before may have been dropped. */
export class FeatureHorizons {
  readonly #db: Queryable;
  #keptFrom: ReadonlyMap<number, number> = new Map();
  #generation = -1;
  #following: Promise<void> | undefined;

  constructor(db: Queryable) {
    this.#db = db;
  }

  /** Sees what any process has announced. */
  async refresh(): Promise<void> {
    const rows = await this.#db.query<{ id: number; keptFromMs: number }>(
      'select id, kept_from_ms as "keptFromMs" from feature_views where kept_from_ms is not null',
    );
    this.#keptFrom = new Map(rows.map(({ id, keptFromMs }) => [id, keptFromMs]));
  }

  /**
   * Sees what was announced of views that are served only now; `generation` changes whenever they may be others. Undefined when that is seen already: a promise
   * would be waited for by each vector.
   */
  follow(generation: number): Promise<void> | undefined {
    if (generation === this.#generation) return this.#following;
    this.#generation = generation;
    const following = this.refresh();
    this.#following = following;
    following.then(
      () => {
        if (this.#following === following) this.#following = undefined;
      },
      () => {
        if (this.#following === following) this.#generation = -1; // the next one asks again
      },
    );
    return following;
  }

  /** @throws AiosError `features.state_gone` when a vector of that time would need what may have been dropped */
  check(view: CompiledView, { timeMs, recordedByMs = timeMs }: AsOf): void {
    if (this.#keptFrom.size === 0) return;
    const keptFromMs = this.#keptFrom.get(view.id);
    if (keptFromMs === undefined || Math.min(timeMs, recordedByMs) - view.reachMs >= keptFromMs) return;
    throw new AiosError('features.state_gone', {
      detail: `The view “${view.name}” answers from ${new Date(keptFromMs + view.reachMs).toISOString()} on.`,
    });
  }
}
