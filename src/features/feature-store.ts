import { LRUCache } from 'lru-cache';
import type { LoggedEvent, LogPosition } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Database, Queryable } from '../store/database.ts';
import type { CompiledService, CompiledView } from './compiled.ts';
import { entityKey } from './compiled.ts';
import {
  type AsOf,
  type Contribution,
  evaluateExact,
  evaluateTiled,
  type FeatureValue,
  insertContribution,
  mergeTile,
  type Tile,
  tileOf,
} from './state.ts';
import {
  addTiles,
  type ContributionRow,
  type EntityState,
  readStates,
  type TileRow,
  writeContributions,
} from './storage.ts';
import type { FeatureViews } from './views.ts';

/** How the store knows that the stream has been worked through, and by whom. */
export interface StreamProgress {
  /** Resolves once the features consumer has committed past a position, in whichever process. */
  passed(position: LogPosition): Promise<void>;
  /** Changes whenever another process has worked on the stream: what is in memory here may then be behind. */
  continuity(): number;
}

export interface OnlineRequest {
  service: string;
  /** Values of the join keys of all the service's views. */
  entities: readonly JsonObject[];
  /** Everything that is known now when left out. */
  asOf?: AsOf | undefined;
  /** Values of the request itself, for derived features. */
  request?: JsonObject | undefined;
}

export interface Vectors {
  names: readonly string[];
  rows: FeatureValue[][];
  /** The versions that made them. */
  pins: { kind: 'feature-service' | 'feature-view'; name: string; version: string; digest?: string }[];
}

export interface SpineRow {
  keys: JsonObject;
  asOf: AsOf;
  request?: JsonObject;
}

interface Dependencies {
  db: Database;
  views: FeatureViews;
  limits: Pick<Limits, 'featureEntitiesCachedMax'>;
  progress: StreamProgress;
}

interface Wanted {
  view: CompiledView;
  entity: string;
  resolve(state: EntityState): void;
  reject(error: unknown): void;
}

const HISTORICAL_CHUNK = 500;

/**
 * Feature vectors online and historical, by one computation over one state: training and serving cannot differ.
 *
 * @example await store.online({ service: 'return-risk', entities: [{ customer: 'c-1' }], asOf: { timeMs: Date.now() } })
 */
export class FeatureStore {
  readonly #db: Database;
  readonly #views: FeatureViews;
  readonly #progress: StreamProgress;
  readonly #cache: LRUCache<string, EntityState>;
  #continuity = -1;
  #wanted: Wanted[] = [];
  #reading = false;

  constructor({ db, views, limits, progress }: Dependencies) {
    this.#db = db;
    this.#views = views;
    this.#progress = progress;
    this.#cache = new LRUCache({ max: limits.featureEntitiesCachedMax });
  }

  /** Works on events in the consumer's transaction; memory follows after its commit. */
  async handle(events: readonly LoggedEvent[], tx: Queryable): Promise<() => void> {
    const current = this.#views.isCurrent(tx);
    const contributions: ContributionRow[] = [];
    const tiles: TileRow[] = [];
    for (const logged of events) {
      for (const view of this.#views.ofType(logged.event.type)) {
        if (logged.offset >= this.#views.joined(view, logged.partition))
          collect(view, logged, contributions, tiles);
      }
    }
    // Sent together: none needs the others' answers.
    const [isCurrent] = await Promise.all([
      current,
      writeContributions(tx, contributions),
      addTiles(tx, tiles),
    ]);
    if (!isCurrent) {
      // Another process let a view join: what was collected misses it. The consumer comes again with the same events.
      await this.#views.reload();
      throw new AiosError('store.conflict', { detail: 'A feature view joined the stream.' });
    }
    return () => this.#follow(contributions, tiles);
  }

  /**
   * Vectors for many entities. With a position, it waits until the stream before that place has been worked through.
   *
   * @throws AiosError `features.unknown_service`, `features.building`, `features.missing_key`
   */
  async online({
    service: name,
    entities,
    asOf = { timeMs: Number.MAX_SAFE_INTEGER },
    request = {},
  }: OnlineRequest): Promise<Vectors> {
    const service = this.#views.service(name);
    const { position } = asOf;
    if (position && position.offset > 0)
      await this.#progress.passed({ partition: position.partition, offset: position.offset - 1 });
    const nowMs = asOf.timeMs === Number.MAX_SAFE_INTEGER ? Date.now() : asOf.timeMs;
    const rows: FeatureValue[][] = [];
    for (const keys of entities) {
      const states: EntityState[] = [];
      const missing: Promise<unknown>[] = [];
      for (const [index, view] of service.views.entries()) {
        const state = this.#state(view, keyOf(view, keys));
        if (state instanceof Promise)
          missing.push(
            state.then((read) => {
              states[index] = read;
            }),
          );
        else states[index] = state;
      }
      if (missing.length > 0) await Promise.all(missing);
      rows.push(
        service.vector(
          service.views.map((view, index) => evaluate(view, states[index]!, asOf)),
          request,
          nowMs,
        ),
      );
    }
    return { names: service.names, rows, pins: pinsOf(service) };
  }

  /** Vectors for many places in the past: the same computation, over the same state, in chunks. */
  async historical(name: string, spine: readonly SpineRow[]): Promise<Vectors> {
    const service = this.#views.service(name);
    const rows: FeatureValue[][] = [];
    for (let from = 0; from < spine.length; from += HISTORICAL_CHUNK) {
      const chunk = spine.slice(from, from + HISTORICAL_CHUNK);
      const places = new Map<string, number>();
      const keys: { view: number; entity: string; tiled: boolean }[] = [];
      const place = (view: CompiledView, entity: string) => {
        const key = `${view.id}/${entity}`;
        let at = places.get(key);
        if (at === undefined) {
          at = keys.push({ view: view.id, entity, tiled: view.tileMs !== undefined }) - 1;
          places.set(key, at);
        }
        return at;
      };
      const wanted = chunk.map((row) => service.views.map((view) => place(view, keyOf(view, row.keys))));
      const states = await readStates(this.#db, keys);
      for (const [index, { asOf, request = {} }] of chunk.entries()) {
        const values = service.views.map((view, at) => evaluate(view, states[wanted[index]![at]!]!, asOf));
        rows.push(service.vector(values, request, asOf.timeMs));
      }
    }
    return { names: service.names, rows, pins: pinsOf(service) };
  }

  #state(view: CompiledView, entity: string): EntityState | Promise<EntityState> {
    const continuity = this.#progress.continuity();
    if (continuity !== this.#continuity) {
      this.#cache.clear();
      this.#continuity = continuity;
    }
    const cached = this.#cache.get(`${view.id}/${entity}`);
    if (cached) return cached;
    return new Promise((resolve, reject) => {
      this.#wanted.push({ view, entity, resolve, reject });
      if (!this.#reading) void this.#read();
    });
  }

  /** What is asked for while a read is under way goes into the next one. */
  async #read(): Promise<void> {
    this.#reading = true;
    while (this.#wanted.length > 0) {
      const batch = this.#wanted;
      this.#wanted = [];
      try {
        const continuity = this.#continuity;
        const epoch = this.#followed;
        const states = await readStates(
          this.#db,
          batch.map(({ view, entity }) => ({ view: view.id, entity, tiled: view.tileMs !== undefined })),
        );
        for (const [index, { view, entity, resolve }] of batch.entries()) {
          // A commit that was followed while the read was under way may be missing from it: such a state serves its callers, no more.
          if (epoch === this.#followed && continuity === this.#continuity)
            this.#cache.set(`${view.id}/${entity}`, states[index]!);
          resolve(states[index]!);
        }
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#reading = false;
  }

  /** Commits followed so far. */
  #followed = 0;

  #follow(contributions: readonly ContributionRow[], tiles: readonly TileRow[]): void {
    this.#followed++;
    for (const { view, entity, timeMs, partition, offset, values } of contributions) {
      const state = this.#cache.peek(`${view}/${entity}`);
      if (state) insertContribution(state.contributions, { timeMs, partition, offset, values });
    }
    for (const { view, entity, ...tile } of tiles) {
      const state = this.#cache.peek(`${view}/${entity}`);
      if (state) addToTiles(state.tiles, tile);
    }
  }
}

export function collect(
  view: CompiledView,
  logged: LoggedEvent,
  contributions: ContributionRow[],
  tiles: TileRow[],
): void {
  const { partition, offset, timeMs } = logged;
  for (const { entity, item, values } of view.extract(logged)) {
    if (view.tileMs === undefined)
      contributions.push({ view: view.id, entity, item, timeMs, partition, offset, values });
    else
      tiles.push({
        view: view.id,
        entity,
        ...tileOf(Math.floor(timeMs / view.tileMs) * view.tileMs, values),
      });
  }
}

function evaluate(
  view: CompiledView,
  { contributions, tiles }: { contributions: readonly Contribution[]; tiles: readonly Tile[] },
  asOf: AsOf,
): FeatureValue[] {
  return view.tileMs === undefined
    ? evaluateExact(view.features, contributions, asOf)
    : evaluateTiled(view.features, tiles, view.tileMs, asOf);
}

function addToTiles(tiles: Tile[], tile: Tile): void {
  let at = tiles.length;
  while (at > 0 && tiles[at - 1]!.startMs > tile.startMs) at--;
  const before = tiles[at - 1];
  if (before?.startMs === tile.startMs) mergeTile(before, tile);
  else tiles.splice(at, 0, structuredClone(tile));
}

/** An entity that a request does not name (no customer on record) has an empty state. */
function keyOf(view: CompiledView, keys: JsonObject): string {
  const absent = view.joinKeys.filter((key) => !(key in keys));
  if (absent.length > 0) {
    throw new AiosError('features.missing_key', {
      detail: `The view “${view.name}” needs the join key ${absent.join(', ')}.`,
    });
  }
  return entityKey(view.joinKeys, (key) => keys[key]) ?? '';
}

const pins = new WeakMap<CompiledService, Vectors['pins']>();

function pinsOf(service: CompiledService): Vectors['pins'] {
  let known = pins.get(service);
  if (!known) {
    known = [
      {
        kind: 'feature-service',
        name: service.name,
        version: String(service.version),
        digest: service.digest,
      },
      ...service.views.map(({ name, version }) => ({
        kind: 'feature-view' as const,
        name,
        version: String(version),
      })),
    ];
    pins.set(service, known);
  }
  return known;
}
