import { LRUCache } from 'lru-cache';
import type { Limits } from '../kernel/limits.ts';
import type { Queryable } from '../store/database.ts';
import {
  type NewRow,
  type OnlineRow,
  type OnlineStore,
  REMOVED_KEPT_MS,
  type Removed,
  type UnseenPage,
} from './online-store.ts';

/** An entity without a row is known, too: asking again for what is not there costs nothing. */
const ABSENT: OnlineRow = { timeMs: 0, createdMs: 0, validToMs: 0, values: {} };

/**
 * Rows in the memory of this process, over another store. A row that this process writes is gone from memory with its commit; one that another process
 * writes is seen within `featureOnlineStaleMs`: when so long ago nobody looked, the next reader looks first (one small query), and waits for it.
 */
export class CachedOnlineStore implements OnlineStore {
  readonly #inner: OnlineStore;
  readonly #db: Queryable;
  readonly #staleMs: number;
  readonly #views = new Map<string, LRUCache<string, OnlineRow>>();
  readonly #countMax: number;
  /** Moves with everything that was forgotten: what was read before may be older than what was written since. */
  #generation = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  /** Every transaction before this one had ended when it was looked last. */
  #seen = '';

  constructor(
    inner: OnlineStore,
    db: Queryable,
    limits: Pick<Limits, 'featureRowsCachedMax' | 'featureOnlineStaleMs'>,
  ) {
    this.#inner = inner;
    this.#db = db;
    this.#staleMs = limits.featureOnlineStaleMs;
    this.#countMax = limits.featureRowsCachedMax;
  }

  read(
    view: string,
    entities: readonly string[],
  ): readonly (OnlineRow | undefined)[] | Promise<readonly (OnlineRow | undefined)[]> {
    const age = performance.now() - this.#lookedAtMs;
    if (age > this.#staleMs) return this.#look().then(() => this.#known(view, entities));
    if (age > this.#staleMs / 2) this.#look().catch(() => {}); // whoever has to wait for it is told
    return this.#known(view, entities);
  }

  async write(tx: Queryable, view: string, rows: readonly NewRow[]): Promise<() => void> {
    const written = await this.#inner.write(tx, view, rows);
    return () => {
      written();
      this.#forget(
        view,
        rows.map(({ entity }) => entity),
      );
    };
  }

  async removeUnseen(tx: Queryable, view: string, page: UnseenPage): Promise<Removed> {
    const removed = await this.#inner.removeUnseen(tx, view, page);
    return {
      ...removed,
      told: () => {
        removed.told();
        this.#forget(view, removed.entities);
      },
    };
  }

  #known(
    view: string,
    entities: readonly string[],
  ): readonly (OnlineRow | undefined)[] | Promise<readonly (OnlineRow | undefined)[]> {
    const cache = this.#cacheOf(view);
    const rows = new Array<OnlineRow | undefined>(entities.length);
    let missing: number[] | undefined;
    for (let i = 0; i < entities.length; i++) {
      const row = cache.get(entities[i]!);
      if (row === undefined) {
        missing ??= [];
        missing.push(i);
      } else if (row !== ABSENT) rows[i] = row;
    }
    return missing ? this.#fill(cache, view, entities, rows, missing) : rows;
  }

  async #fill(
    cache: LRUCache<string, OnlineRow>,
    view: string,
    entities: readonly string[],
    rows: (OnlineRow | undefined)[],
    missing: readonly number[],
  ): Promise<readonly (OnlineRow | undefined)[]> {
    const generation = this.#generation;
    const read = await this.#inner.read(
      view,
      missing.map((at) => entities[at]!),
    );
    for (const [index, at] of missing.entries()) {
      rows[at] = read[index];
      if (generation === this.#generation) cache.set(entities[at]!, read[index] ?? ABSENT);
    }
    return rows;
  }

  /** What other processes have written since it was looked last; one look at a time. */
  #look(): Promise<void> {
    this.#looking ??= this.#lookNow().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #lookNow(): Promise<void> {
    const askedAtMs = performance.now();
    // What is left of removed rows may have gone since then.
    const isLongAgo = askedAtMs - this.#lookedAtMs > REMOVED_KEPT_MS / 2;
    if (this.#views.size === 0 || this.#seen === '' || isLongAgo) {
      const [row] = await this.#db.query<{ seen: string }>(
        'select pg_snapshot_xmin(pg_current_snapshot())::text as seen',
      );
      this.#seen = row!.seen;
      await this.#inner.refresh?.();
      this.#forgetAll();
    } else {
      // Ids of transactions are given when they begin: one that was under way at the last look is not before its `seen`.
      const rows = await this.#db.query<{ seen: string; view: string | null; entity: string | null }>(
        `select s.seen, w.view, w.entity from (select pg_snapshot_xmin(pg_current_snapshot())::text as seen) s
         left join (select view, entity from feature_online where written >= $1::text::xid8 limit $2) w on true`,
        [this.#seen, this.#countMax],
      );
      this.#seen = rows[0]!.seen;
      await this.#inner.refresh?.(); // what is read again must not come from before
      if (rows.length >= this.#countMax) this.#forgetAll();
      else for (const { view, entity } of rows) if (view !== null) this.#forget(view, [entity!]);
    }
    this.#lookedAtMs = askedAtMs;
  }

  #forget(view: string, entities: readonly string[]): void {
    this.#generation++;
    const cache = this.#views.get(view);
    if (cache) for (const entity of entities) cache.delete(entity);
  }

  #forgetAll(): void {
    this.#generation++;
    for (const cache of this.#views.values()) cache.clear();
  }

  #cacheOf(view: string): LRUCache<string, OnlineRow> {
    let cache = this.#views.get(view);
    if (!cache) {
      cache = new LRUCache({ max: this.#countMax });
      this.#views.set(view, cache);
    }
    return cache;
  }
}
