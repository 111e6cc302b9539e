import { metrics } from '@opentelemetry/api';
import type { Clock } from '../kernel/clock.ts';
import type { LoggedEvent, LogPosition } from '../kernel/cloudevent.ts';
import { DURATION_BUCKETS_S } from '../kernel/duration-buckets.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Queryable } from '../store/database.ts';
import { type AheadState, FeaturesAhead, type GroupOffsets } from './ahead.ts';
import type { CompiledView } from './compiled.ts';
import { FeatureHorizons } from './expiry/horizons.ts';
import type { FeatureFreshness } from './freshness.ts';
import {
  checkCutoff,
  HISTORICAL_CHUNK,
  HistoricalReader,
  keyOf,
  type SpineRow,
  valuesOf,
} from './historical.ts';
import type { ListedViews } from './projections.ts';
import { RowFeatures, type RowStores } from './row-features.ts';
import type { RowView } from './row-view.ts';
import { type CompiledService, type FeaturePin, pinsOf, vectorsOfRows } from './service.ts';
import type { Reading } from './service-views.ts';
import { StateCache } from './state-cache.ts';
import { type EntityState, type LateEvent, nothingCollected, stateKey, writeCollected } from './storage.ts';
import type { FeatureViews } from './views.ts';
import type { AsOf, FeatureValue } from './windows/state.ts';

/** How the store knows that the stream has been worked through, and by whom. */
export interface StreamProgress extends GroupOffsets {
  /** Resolves once the features consumer has committed past a position, in whichever process. */
  passed(position: LogPosition): Promise<void>;
}

/** Whose vectors are asked for: those of a service, by its name, or of views. */
export type Wanted = string | ListedViews | CompiledService;

export interface OnlineRequest {
  service: Wanted;
  /** Values of the join keys of all the service's views, and those of the request that are the entity's own: they stand before `request`. */
  entities: readonly JsonObject[];
  /** Now, by the clock, when left out. */
  asOf?: AsOf | undefined;
  /** Values of the request itself, for features that are computed: of all entities. */
  request?: JsonObject | undefined;
}

export interface Vectors {
  /** What the features are called, in the order of the values. */
  names: readonly string[];
  /** The same with the name of its view before each: `view__feature`. */
  fullNames: readonly string[];
  rows: FeatureValue[][];
  /** The versions that made them. */
  pins: readonly FeaturePin[];
}

/** The state of an entity in a view, as a vector asks for it. */
interface Asked {
  readonly view: CompiledView;
  readonly entity: string;
  readonly key: string;
  /** What is beyond the committed state. */
  ahead: AheadState | undefined;
  /** The committed one, once it is there. */
  state: EntityState | undefined;
}

/** By entity and stream view. */
type StreamedValues = (readonly FeatureValue[])[][];

async function keepState(asked: Asked, state: Promise<EntityState>): Promise<void> {
  asked.state = await state;
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

const meter = metrics.getMeter('aios.features');
const freshness = meter.createHistogram('aios.features.freshness', {
  description: 'From the commit of an event to the commit of the features that it changed',
  advice: { explicitBucketBoundaries: DURATION_BUCKETS_S },
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
  /** From when on the state is whole. */
  readonly horizons: FeatureHorizons;

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
    this.horizons = new FeatureHorizons(db);
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
   * @throws AiosError `features.unknown_service`, `features.building`, `features.missing_key`, `features.no_cutoff`, `features.offline_only`,
   * `features.state_gone`
   */
  async online({
    service: wanted,
    entities,
    asOf = { timeMs: this.#clock.now() },
    request = {},
  }: OnlineRequest): Promise<Vectors> {
    const service = this.#service(wanted);
    if (asOf.recordedByMs !== undefined) checkCutoff(service);
    const found = service.rows.map((reading) =>
      this.#rows.current(
        reading,
        entities.map((values) => keyOf(reading, values)),
        entities,
        asOf,
      ),
    );
    const fromRows = found.some((each) => each instanceof Promise)
      ? await Promise.all(found)
      : (found as (readonly FeatureValue[])[][]);
    const following = service.streams.length > 0 ? this.horizons.follow(this.#views.generation) : undefined;
    if (following) await following;
    const streamed = service.streams.length > 0 ? this.#streamed(service, entities, asOf) : undefined;
    const fromStreams = streamed instanceof Promise ? await streamed : streamed;
    const valuesAt = (at: number) => {
      const values: (readonly FeatureValue[])[] = fromStreams ? fromStreams[at]! : [];
      for (const each of fromRows) values.push(each[at]!);
      return values;
    };
    // As in a spine, where the keys of a row and what a request would bring are one: what is computed of them in the past is computed of them now. Without
    // anything to compute nobody looks at them.
    const requestOf = (own: JsonObject) => (service.slots ? request : { ...request, ...own });
    const rows = await vectorsOfRows(service, entities.length, (at) => ({
      ...{ values: valuesAt(at), request: requestOf(entities[at]!), nowMs: asOf.timeMs },
    }));
    return vectorsOf(service, rows);
  }

  /** Per entity and stream view: the values of its features; at once where all of it is in memory. */
  #streamed(
    service: CompiledService,
    entities: readonly JsonObject[],
    asOf: AsOf,
  ): StreamedValues | Promise<StreamedValues> {
    const { streams } = service;
    for (const { view } of streams) this.horizons.check(view, asOf);
    const isCovered = !asOf.position || this.#ahead.covers(asOf.position);
    const rows = entities.map((values) => streams.map((reading) => this.#asked(reading, values)));
    if (isCovered && !rows.some((row) => row.some((one) => this.#isHidden(one, asOf))))
      return this.#read(rows, asOf);
    return this.#passed(asOf.position).then(() => {
      for (const row of rows) for (const one of row) one.ahead = this.#ahead.of(one.key);
      return this.#read(rows, asOf);
    });
  }

  #isHidden({ ahead }: Asked, { timeMs }: AsOf): boolean {
    return ahead !== undefined && this.#ahead.hidesTile(ahead, timeMs);
  }

  #read(rows: readonly (readonly Asked[])[], asOf: AsOf): StreamedValues | Promise<StreamedValues> {
    const missing: Promise<void>[] = [];
    for (const row of rows)
      for (const one of row) {
        const state = this.#cache.get(one.view, one.entity, one.key);
        if (state instanceof Promise) missing.push(keepState(one, state));
        else one.state = state;
      }
    const values = () => rows.map((row) => row.map((one) => this.#valuesOf(one, asOf)));
    return missing.length > 0 ? Promise.all(missing).then(values) : values();
  }

  /** The state that is asked for; what is beyond what is committed is taken before that is read. */
  #asked(reading: Reading<CompiledView>, values: JsonObject): Asked {
    const { view } = reading;
    const entity = keyOf(reading, values);
    const key = stateKey(view.id, entity);
    return { view, entity, key, ahead: this.#ahead.of(key), state: undefined };
  }

  #valuesOf({ view, ahead, state }: Asked, asOf: AsOf): FeatureValue[] {
    const { contributions, tiles } = state!;
    const merged = ahead ? this.#ahead.merge(ahead, contributions, asOf) : contributions;
    return valuesOf(view, { contributions: merged, tiles }, asOf);
  }

  /**
   * Vectors for many places in the past: the same computation over the same state, chunk by chunk.
   *
   * @throws AiosError `features.unknown_service`, `features.building`, `features.missing_key`, `features.no_cutoff`,
   * `features.state_gone`
   */
  async historical(wanted: Wanted, spine: readonly SpineRow[]): Promise<Vectors> {
    const reader = this.historicalReader(wanted);
    const { service } = reader;
    if (spine.some(({ asOf }) => asOf.recordedByMs !== undefined)) checkCutoff(service);
    if (service.streams.length > 0)
      await Promise.all(newestPlaces(spine).map((position) => this.#passed(position)));
    // Files are read once for all rows, not once for a chunk.
    const fromFiles = new Map<Reading<RowView>, (readonly FeatureValue[])[]>();
    for (const each of service.rows) if (each.view.files) fromFiles.set(each, await reader.past(each, spine));
    const rows: FeatureValue[][] = [];
    for (let from = 0; from < spine.length; from += HISTORICAL_CHUNK) {
      const to = from + HISTORICAL_CHUNK;
      const known = new Map([...fromFiles].map(([each, values]) => [each, values.slice(from, to)]));
      const place = { before: from, count: spine.length };
      rows.push(...(await reader.vectors(spine.slice(from, to), place, known)));
    }
    return vectorsOf(service, rows);
  }

  /** Vectors of the past for more rows than one answer holds. @throws AiosError `features.unknown_service`, `features.building` */
  historicalReader(wanted: Wanted): HistoricalReader {
    return new HistoricalReader(this.#service(wanted), this.#db, this.#rows, this.#limits, this.horizons);
  }

  #service(wanted: Wanted): CompiledService {
    if (typeof wanted === 'string') return this.#views.service(wanted);
    return 'names' in wanted ? wanted : this.#views.serviceOf('the request', wanted);
  }

  /** Once per batch and type, not per event and view. */
  #noteNewest(events: readonly LoggedEvent[]): void {
    const newest = new Map<string, number>();
    for (const { event, timeMs, recordedAtMs } of events) {
      const atMs = timeMs < recordedAtMs ? timeMs : recordedAtMs; // nothing is newer than when it came
      if (atMs > (newest.get(event.type) ?? Number.NEGATIVE_INFINITY)) newest.set(event.type, atMs);
    }
    for (const [type, timeMs] of newest)
      for (const { name } of this.#views.ofType(type)) this.#freshness.note(name, timeMs);
  }

  async #passed(position: LogPosition | undefined): Promise<void> {
    if (position && position.offset > 0)
      await this.#progress.passed({ partition: position.partition, offset: position.offset - 1 });
  }
}

function vectorsOf(service: CompiledService, rows: FeatureValue[][]): Vectors {
  const { names, fullNames } = service;
  return { names, fullNames, rows, pins: pinsOf(service) };
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
