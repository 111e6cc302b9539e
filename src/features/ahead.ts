import type { LoggedEvent, LogPosition } from '../kernel/cloudevent.ts';
import type { CompiledView } from './compiled.ts';
import { type Collected, collect, mergeCollected, nothingCollected, stateKey } from './storage.ts';
import type { FeatureViews } from './views.ts';
import { type AsOf, type Contribution, insertContribution, isBefore } from './windows/state.ts';

/** How far the consumer of the features has come, as this process knows it. */
export interface GroupOffsets {
  /** The offset of a log partition before which all is committed. */
  offset(partition: number): number;
  /** Changes whenever another process has moved the offsets. */
  continuity(): number;
}

/** A tile that an event adds to: told apart from those that are committed by its place only. */
interface AheadTile extends LogPosition {
  /** From when on it counts. */
  completeMs: number;
}

/** What an entity has in a view beyond what is committed. The lists only grow at their end: what is forgotten leaves others in their place. */
export interface AheadState {
  contributions: Contribution[];
  tiles: AheadTile[];
}

/**
 * What the events mean that are durable in the log while the consumer has not committed their features yet. State is a function of the log, so it may be
 * read as soon as its events are: a run need not wait for the consumer's commit (one of three in a row on the path).
 *
 * Contributions carry their place in the log, so one that is committed meanwhile is recognized and counts once. Sums of tiles cannot be told
 * apart: whoever would see such a tile waits for the commit.
 */
export class FeaturesAhead {
  readonly #views: FeatureViews;
  readonly #group: GroupOffsets;
  /** Per log partition: everything before it is committed or here. */
  readonly #applied: number[] = [];
  readonly #states = new Map<string, AheadState>();
  /** What each event means, computed once: the consumer comes for it later, and takes it. */
  #extracted = new WeakMap<LoggedEvent, Collected>();
  #generation = -1;
  #continuity = -1;

  constructor(views: FeatureViews, group: GroupOffsets) {
    this.#views = views;
    this.#group = group;
  }

  /** Takes in events that this process has committed to the log; one after a gap, or that a view fails on, is left to the consumer. */
  apply(events: readonly LoggedEvent[]): void {
    this.#begin();
    for (const event of events) {
      if (event.offset !== this.#next(event.partition)) continue;
      try {
        const collected = nothingCollected();
        this.#collect(event, collected);
        this.#extracted.set(event, collected);
        this.#add(event, collected);
        this.#applied[event.partition] = event.offset + 1;
      } catch {
        // The consumer will fail on it too, and puts it aside: from there on memory follows again.
      }
    }
  }

  /**
   * Adds what an event means to the views that the stream keeps to that of its batch; kept no longer than until then.
   *
   * @throws AiosError when an expression of a view fails on it
   */
  take(logged: LoggedEvent, into: Collected): void {
    this.#begin();
    const known = this.#extracted.get(logged);
    if (known === undefined) {
      this.#collect(logged, into);
      return;
    }
    this.#extracted.delete(logged);
    mergeCollected(into, known);
  }

  #collect(logged: LoggedEvent, into: Collected): void {
    for (const view of this.#views.ofType(logged.event.type)) {
      if (logged.offset < this.#views.joined(view, logged.partition)) continue;
      if (this.#views.isReplaced(view)) collectReplaced(view, logged, into);
      else collect(view, logged, into);
    }
  }

  /** Whether everything before a place is committed or here. */
  covers({ partition, offset }: LogPosition): boolean {
    this.#begin();
    return this.#next(partition) >= offset;
  }

  /** What an entity has in a view (`stateKey`) beyond what is committed; take it before the committed state is read. */
  of(key: string): AheadState | undefined {
    return this.#states.get(key);
  }

  /** Whether a vector as of this time would see a tile whose last events are not committed. */
  hidesTile({ tiles }: AheadState, timeMs: number): boolean {
    return tiles.some((tile) => tile.completeMs <= timeMs && this.#isAhead(tile));
  }

  /** The committed contributions and those beyond them that count as of a place, each once, in their order. */
  merge(
    { contributions }: AheadState,
    committed: readonly Contribution[],
    asOf: AsOf,
  ): readonly Contribution[] {
    let merged: Contribution[] | undefined;
    for (const contribution of contributions) {
      if (contribution.timeMs > asOf.timeMs || !isBefore(contribution, asOf)) continue;
      if (holds(committed, contribution)) continue;
      merged ??= [...committed];
      insertContribution(merged, contribution);
    }
    return merged ?? committed;
  }

  /** Forgets what the consumer has committed. */
  follow({ contributions, tiles }: Collected): void {
    if (this.#states.size === 0) return;
    for (const { view, entity } of contributions) this.#prune(stateKey(view, entity));
    for (const key of tiles.keys()) this.#prune(key);
  }

  #add({ partition, offset }: LoggedEvent, { contributions, tiles }: Collected): void {
    for (const row of contributions) this.#at(stateKey(row.view, row.entity)).contributions.push(row);
    for (const [key, { plan, tiles: own }] of tiles) {
      const state = this.#at(key);
      for (const { startMs } of own)
        state.tiles.push({ partition, offset, completeMs: startMs + plan.tileMs + plan.latenessMs });
    }
  }

  #at(key: string): AheadState {
    let state = this.#states.get(key);
    if (!state) {
      state = { contributions: [], tiles: [] };
      this.#states.set(key, state);
    }
    return state;
  }

  #prune(key: string): void {
    const known = this.#states.get(key);
    if (!known) return;
    const contributions = known.contributions.filter((each) => this.#isAhead(each));
    const tiles = known.tiles.filter((each) => this.#isAhead(each));
    if (contributions.length === 0 && tiles.length === 0) this.#states.delete(key);
    else this.#states.set(key, { contributions, tiles });
  }

  #isAhead({ partition, offset }: LogPosition): boolean {
    return offset >= this.#group.offset(partition);
  }

  #next(partition: number): number {
    return Math.max(this.#applied[partition] ?? 0, this.#group.offset(partition));
  }

  /** Begins anew when other views are kept; forgets what another process has committed. */
  #begin(): void {
    const generation = this.#views.generation;
    if (generation !== this.#generation) {
      this.#generation = generation;
      this.#states.clear();
      this.#applied.length = 0;
      this.#extracted = new WeakMap();
    }
    const continuity = this.#group.continuity();
    if (continuity === this.#continuity) return;
    this.#continuity = continuity;
    for (const key of [...this.#states.keys()]) this.#prune(key);
  }
}

/** What a view that was replaced fails on holds nobody up: it may have been replaced for that, and whoever serves it still looks again soon. */
function collectReplaced(view: CompiledView, logged: LoggedEvent, into: Collected): void {
  const own = nothingCollected();
  try {
    collect(view, logged, own);
  } catch {
    return;
  }
  mergeCollected(into, { ...own, late: [] }); // the view that took its place tells of those
}

/** Whether an event is among the committed ones: its contributions are committed together, all at its time. */
function holds(committed: readonly Contribution[], { partition, offset, timeMs }: Contribution): boolean {
  for (let at = committed.length - 1; at >= 0; at--) {
    const known = committed[at]!;
    if (known.timeMs < timeMs) return false;
    if (known.offset === offset && known.partition === partition) return true;
  }
  return false;
}
