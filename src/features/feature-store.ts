import { metrics } from '@opentelemetry/api';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../kernel/clock.ts';
import type { LoggedEvent, LogPosition } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Queryable } from '../store/database.ts';
import { FeaturesAhead, type GroupOffsets } from './ahead.ts';
import { type CompiledView, entityKey } from './compiled.ts';
import type { FeatureFreshness } from './freshness.ts';
import { type Asked, RowFeatures, type RowStores } from './row-features.ts';
import type { RowView } from './row-view.ts';
import type { CompiledService } from './service.ts';
import { StateCache, weight } from './state-cache.ts';
import { type EntityState, type LateEvent, nothingCollected, readStates, writeCollected } from './storage.ts';
import type { FeatureViews } from './views.ts';
import { type AsOf, type Contribution, evaluateExact, type FeatureValue } from './windows/state.ts';
import { evaluateTiled } from './windows/tile.ts';

/** How the store knows that the stream has been worked through, and by whom. */
export interface StreamProgress extends GroupOffsets {
  /** Resolves once the features consumer has committed past a position, in whichever process. */
  passed(position: LogPosition): Promise<void>;
}

export interface OnlineRequest {
  service: string;
  /** Values of the join keys of all the service's views. */
  entities: readonly JsonObject[];
  /** Now, by the clock, when left out. */
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
  db: Queryable;
  views: FeatureViews;
  clock: Pick<Clock, 'now'>;
  limits: Pick<Limits, 'featureEntitiesCachedMax' | 'featureContributionsCachedMax'>;
  progress: StreamProgress;
  /** Of the batch and push views. */
  rows: RowStores;
  freshness: Pick<FeatureFreshness, 'note'>;
}

const HISTORICAL_CHUNK = 500;

const meter = metrics.getMeter('aios.features');
const freshness = meter.createHistogram('aios.features.freshness', {
  description: 'From the commit of an event to the commit of the features that it changed',
  unit: 's',
});
const lateCounter = meter.createCounter('aios.features.late', {
  description: 'Events that came later than a view bears, by what became of them (drop, dead-letter)',
  unit: '{event}',
});

/**
 * Feature vectors online and historical, by one computation over one state: training and serving cannot differ.
 *
 * @example await store.online({ service: 'return-risk', entities: [{ customer: 'c-1' }] })
 */
export class FeatureStore {
  readonly #db: Queryable;
  readonly #views: FeatureViews;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #limits: Dependencies['limits'];
  readonly #progress: StreamProgress;
  readonly #cache: StateCache;
  readonly #ahead: FeaturesAhead;
  readonly #rows: RowFeatures;
  readonly #freshness: Dependencies['freshness'];

  constructor({ db, views, clock, limits, progress, rows, freshness }: Dependencies) {
    this.#db = db;
    this.#views = views;
    this.#clock = clock;
    this.#limits = limits;
    this.#progress = progress;
    this.#cache = new StateCache(db, limits, () => progress.continuity());
    this.#ahead = new FeaturesAhead(views, progress);
    this.#rows = new RowFeatures(rows);
    this.#freshness = freshness;
  }

  /** Takes events in that this process has just committed to the log: vectors see them before the consumer has stored what they mean. */
  apply(events: readonly LoggedEvent[]): void {
    this.#ahead.apply(events);
  }

  /**
   * Works on events in the consumer's transaction; memory follows after its commit. It must see every batch of the group, whatever
   * its types: only so does it notice a view that another process let join.
   */
  async handle(events: readonly LoggedEvent[], tx: Queryable): Promise<() => void> {
    const collected = nothingCollected();
    for (const logged of events) this.#ahead.take(logged, collected);
    const batch = this.#cache.begin();
    // Sent together: neither needs the other's answer.
    const [isCurrent] = await Promise.all([this.#views.isCurrent(tx), writeCollected(tx, collected)]);
    if (!isCurrent) {
      // Another process let a view join: what was collected misses it. The consumer comes again with the same events.
      await this.#views.reload();
      throw new AiosError('store.conflict', { detail: 'A feature view joined the stream.' });
    }
    return () => {
      this.#cache.follow(batch, collected);
      this.#ahead.follow(collected);
      countLate(collected.late);
      this.#noteNewest(events);
      if (collected.contributions.length > 0 || collected.tiles.size > 0)
        freshness.record(Math.max(0, this.#clock.now() - events[0]!.recordedAtMs) / 1000);
    };
  }

  /**
   * Vectors for many entities. With a position, the stream before that place counts: what of it is in the log is taken from memory, and
   * where memory cannot tell, the consumer's commit is waited for.
   *
   * @throws AiosError `features.unknown_service`, `features.building`, `features.missing_key`, `features.no_cutoff`, `features.offline_only`
   */
  async online({
    service: name,
    entities,
    asOf = { timeMs: this.#clock.now() },
    request = {},
  }: OnlineRequest): Promise<Vectors> {
    const service = this.#views.service(name);
    if (asOf.recordedByMs !== undefined) checkCutoff(service);
    const found = service.rows.map((view) =>
      this.#rows.current(
        view,
        entities.map((values) => keyOf(view, values)),
        entities,
        asOf,
      ),
    );
    const fromRows = found.some((each) => each instanceof Promise)
      ? await Promise.all(found)
      : (found as (readonly FeatureValue[])[][]);
    const fromStreams =
      service.streams.length > 0 ? await this.#streamed(service, entities, asOf) : undefined;
    const rows = entities.map((_, at) => {
      const values: (readonly FeatureValue[])[] = fromStreams ? fromStreams[at]! : [];
      for (const each of fromRows) values.push(each[at]!);
      return service.vector(values, request, asOf.timeMs);
    });
    return { names: service.names, rows, pins: pinsOf(service) };
  }

  /** Per entity and stream view: the values of its features. */
  async #streamed(
    service: CompiledService,
    entities: readonly JsonObject[],
    asOf: AsOf,
  ): Promise<(readonly FeatureValue[])[][]> {
    const { streams } = service;
    const keys = entities.map((values) => streams.map((view) => keyOf(view, values)));
    if (this.#mustWait(service, keys, asOf)) await this.#passed(asOf.position);
    const ahead = keys.map((row) => row.map((key, index) => this.#ahead.of(streams[index]!, key)));
    const states = keys.map((row) => row.map((key, index) => this.#cache.get(streams[index]!, key)));
    const missing = states.flatMap((row) => row.filter((state) => state instanceof Promise));
    if (missing.length > 0) await Promise.all(missing);
    const rows: (readonly FeatureValue[])[][] = [];
    for (const [at, row] of states.entries()) {
      const known = missing.length > 0 ? await Promise.all(row) : (row as EntityState[]);
      const merged = known.map((state, index) => {
        const more = ahead[at]![index];
        return more ? { ...state, contributions: this.#ahead.merge(more, state.contributions, asOf) } : state;
      });
      rows.push(streams.map((view, index) => valuesOf(view, merged[index]!, asOf)));
    }
    return rows;
  }

  /**
   * Vectors for many places in the past: the same computation over the same state, chunk by chunk; an entity is read once
   * as long as what was read fits in memory.
   *
   * @throws AiosError `features.unknown_service`, `features.building`, `features.missing_key`, `features.no_cutoff`
   */
  async historical(name: string, spine: readonly SpineRow[]): Promise<Vectors> {
    const service = this.#views.service(name);
    if (spine.some(({ asOf }) => asOf.recordedByMs !== undefined)) checkCutoff(service);
    const { streams } = service;
    if (streams.length > 0) await Promise.all(newestPlaces(spine).map((position) => this.#passed(position)));
    const read = new LRUCache<string, EntityState>({
      maxSize: this.#limits.featureContributionsCachedMax,
      sizeCalculation: weight,
    });
    const rows: FeatureValue[][] = [];
    for (let from = 0; from < spine.length; from += HISTORICAL_CHUNK) {
      const chunk = spine.slice(from, from + HISTORICAL_CHUNK);
      const keys = chunk.map((row) => streams.map((view) => keyOf(view, row.keys)));
      const [states, fromRows] = await Promise.all([
        this.#statesOf(streams, keys, read),
        Promise.all(
          service.rows.map((view) =>
            this.#rows.past(
              view,
              chunk.map((row) => askedOf(view, row)),
            ),
          ),
        ),
      ]);
      for (const [index, { asOf, request = {} }] of chunk.entries()) {
        const values: (readonly FeatureValue[])[] = streams.map((view, at) =>
          valuesOf(view, states.get(`${view.id}/${keys[index]![at]}`)!, asOf),
        );
        for (const each of fromRows) values.push(each[index]!);
        rows.push(service.vector(values, request, asOf.timeMs));
      }
    }
    return { names: service.names, rows, pins: pinsOf(service) };
  }

  /** The states of a chunk's entities: those that were read before, and the others in one round trip. */
  async #statesOf(
    views: readonly CompiledView[],
    chunk: readonly (readonly string[])[],
    read: LRUCache<string, EntityState>,
  ): Promise<Map<string, EntityState>> {
    const states = new Map<string, EntityState>();
    const wanted = new Map<string, { view: CompiledView; entity: string }>();
    for (const row of chunk) {
      for (const [at, view] of views.entries()) {
        const entity = row[at]!;
        const key = `${view.id}/${entity}`;
        const known = read.get(key);
        if (known) states.set(key, known);
        else wanted.set(key, { view, entity });
      }
    }
    const found = await readStates(this.#db, [...wanted.values()]);
    for (const [index, key] of [...wanted.keys()].entries()) {
      states.set(key, found[index]!);
      read.set(key, found[index]!);
    }
    return states;
  }

  /** Once per batch and type, not per event and view. */
  #noteNewest(events: readonly LoggedEvent[]): void {
    const newest = new Map<string, number>();
    for (const { event, timeMs } of events)
      if (timeMs > (newest.get(event.type) ?? Number.NEGATIVE_INFINITY)) newest.set(event.type, timeMs);
    for (const [type, timeMs] of newest)
      for (const { name } of this.#views.ofType(type)) this.#freshness.note(name, timeMs);
  }

  #mustWait(service: CompiledService, keys: readonly (readonly string[])[], asOf: AsOf): boolean {
    if (asOf.position && !this.#ahead.covers(asOf.position)) return true;
    return keys.some((row) =>
      row.some((key, index) => {
        const ahead = this.#ahead.of(service.streams[index]!, key);
        return ahead !== undefined && ahead.tiles.length > 0 && this.#ahead.hidesTile(ahead, asOf.timeMs);
      }),
    );
  }

  async #passed(position: LogPosition | undefined): Promise<void> {
    if (position && position.offset > 0)
      await this.#progress.passed({ partition: position.partition, offset: position.offset - 1 });
  }
}

/** A tile holds events whenever they were recorded; only where none comes after its lateness does a cut-off say which tiles were whole. */
function checkCutoff({ streams }: CompiledService): void {
  const view = streams.find(({ plan, latenessMs }) => plan && latenessMs === undefined);
  if (view) {
    throw new AiosError('features.no_cutoff', {
      detail: `The tiled view “${view.name}” states no lateness.`,
    });
  }
}

function countLate(late: readonly LateEvent[]): void {
  for (const { view } of late) lateCounter.add(1, { view: view.name, outcome: view.late });
}

/** The last place of each partition that a spine names. */
function newestPlaces(spine: readonly SpineRow[]): LogPosition[] {
  const newest = new Map<number, LogPosition>();
  for (const { asOf } of spine) {
    const { position } = asOf;
    if (position && position.offset > (newest.get(position.partition)?.offset ?? -1))
      newest.set(position.partition, position);
  }
  return [...newest.values()];
}

/** What a stream view says of an entity as of a place. */
export function valuesOf(
  view: CompiledView,
  { contributions, tiles }: Readonly<Pick<EntityState, 'tiles'> & { contributions: readonly Contribution[] }>,
  asOf: AsOf,
): FeatureValue[] {
  return view.plan
    ? evaluateTiled(view.plan, tiles, asOf)
    : evaluateExact(view.features, contributions, asOf);
}

function askedOf(view: RowView, { keys, asOf }: SpineRow): Asked {
  return { keys, entity: keyOf(view, keys), asOf };
}

/** An entity that a request does not name (no customer on record) has an empty state. */
export function keyOf(view: CompiledView | RowView, keys: JsonObject): string {
  const { joinKeys } = view;
  for (const key of joinKeys) {
    if (!(key in keys)) {
      const absent = joinKeys.filter((each) => !(each in keys));
      throw new AiosError('features.missing_key', {
        detail: `The view “${view.name}” needs the join key ${absent.join(', ')}.`,
      });
    }
  }
  return entityKey(view.name, joinKeys, (key) => keys[key], view.keyTypes) ?? '';
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
      ...[...service.streams, ...service.rows, ...service.onDemand].map(({ name, version }) => ({
        kind: 'feature-view' as const,
        name,
        version: String(version),
      })),
    ];
    pins.set(service, known);
  }
  return known;
}
