import { LRUCache } from 'lru-cache';
import type { Limits } from '../kernel/limits.ts';
import type { Queryable } from '../store/database.ts';
import type { CompiledView } from './compiled.ts';
import { type Collected, type EntityState, readStates, stateKey } from './storage.ts';
import { insertContribution } from './windows/state.ts';
import { insertTile } from './windows/tile.ts';

interface Cached extends EntityState {
  /** The newest batch that had begun when the state was read: that one and those before it may be in it already. */
  readonly batch: number;
}

interface Wanted {
  view: CompiledView;
  entity: string;
  key: string;
  resolve(state: EntityState): void;
  reject(error: unknown): void;
}

/** Entities in one statement: past this it is longer, not cheaper, and others wait for it. */
const READ_KEYS_MAX = 1_000;

/** Contributions and tiles of a state: what it weighs. */
export function weight({ contributions, tiles }: EntityState): number {
  return 1 + contributions.length + tiles.length;
}

/**
 * The states of entities: from memory, or read from Postgres, with all that is asked for while a read is under way in the next one.
 *
 * Memory follows the stream batch by batch, after each commit. A read may see a commit before this process is told of it, and
 * may miss one that it is told of meanwhile: the first state is dropped when the batch is followed, the second is not kept.
 */
export class StateCache {
  readonly #db: Queryable;
  readonly #continuity: () => number;
  readonly #states: LRUCache<string, Cached>;
  #known = -1;
  #wanted: Wanted[] = [];
  #reading = false;
  #batches = 0;
  /** Entities whose batches were followed while a read was under way. */
  readonly #touched = new Set<string>();

  constructor(
    db: Queryable,
    limits: Pick<Limits, 'featureEntitiesCachedMax' | 'featureContributionsCachedMax'>,
    continuity: () => number,
  ) {
    this.#db = db;
    this.#continuity = continuity;
    this.#states = new LRUCache<string, Cached>({
      max: limits.featureEntitiesCachedMax,
      maxSize: limits.featureContributionsCachedMax,
      sizeCalculation: weight,
    });
  }

  /** The state of an entity in a view; `key` is the `stateKey` of both. */
  get(view: CompiledView, entity: string, key: string): EntityState | Promise<EntityState> {
    this.#continue();
    const cached = this.#states.get(key);
    if (cached) return cached;
    return new Promise((resolve, reject) => {
      this.#wanted.push({ view, entity, key, resolve, reject });
      if (this.#reading) return;
      this.#reading = true;
      queueMicrotask(() => void this.#read()); // once the caller has asked for its other views and entities
    });
  }

  /** A batch begins to be written; its number goes to `follow` after the commit. */
  begin(): number {
    return ++this.#batches;
  }

  follow(batch: number, { contributions, tiles }: Collected): void {
    this.#continue();
    if (this.#states.size === 0 && !this.#reading) return;
    for (const { view, entity, timeMs, recordedAtMs, partition, offset, values } of contributions) {
      const state = this.#stateBefore(batch, stateKey(view, entity));
      if (state) insertContribution(state.contributions, { timeMs, recordedAtMs, partition, offset, values });
    }
    for (const [key, { plan, tiles: added }] of tiles) {
      const state = this.#stateBefore(batch, key);
      if (state) for (const tile of added) insertTile(plan, state.tiles, tile);
    }
  }

  #stateBefore(batch: number, key: string): Cached | undefined {
    if (this.#reading) this.#touched.add(key);
    const state = this.#states.peek(key);
    if (!state || state.batch < batch) return state;
    this.#states.delete(key);
    return undefined;
  }

  /** Another process has worked on the stream: what is in memory may miss it. */
  #continue(): void {
    const continuity = this.#continuity();
    if (continuity === this.#known) return;
    this.#states.clear();
    this.#known = continuity;
  }

  async #read(): Promise<void> {
    while (this.#wanted.length > 0) {
      const wanted = this.#wanted.splice(0, READ_KEYS_MAX);
      const continuity = this.#continuity();
      this.#touched.clear();
      try {
        const states = await readStates(this.#db, wanted);
        const keep = continuity === this.#continuity();
        for (const [index, { key, resolve }] of wanted.entries()) {
          const state = { ...states[index]!, batch: this.#batches };
          if (keep && !this.#touched.has(key)) this.#states.set(key, state);
          resolve(state);
        }
      } catch (error) {
        for (const { reject } of wanted) reject(error);
      }
    }
    this.#reading = false;
  }
}
