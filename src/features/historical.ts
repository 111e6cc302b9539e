import { LRUCache } from 'lru-cache';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Queryable } from '../store/database.ts';
import { type CompiledView, entityKey } from './compiled.ts';
import type { FeatureHorizons } from './expiry/horizons.ts';
import type { Asked, RowFeatures } from './row-features.ts';
import type { RowView } from './row-view.ts';
import { type CompiledService, vectorsOfRows } from './service.ts';
import type { Reading } from './service-views.ts';
import { weight } from './state-cache.ts';
import { type EntityState, readStates, stateKey } from './storage.ts';
import { type AsOf, type Contribution, evaluateExact, type FeatureValue } from './windows/state.ts';
import { evaluateTiled } from './windows/tile.ts';

export interface SpineRow {
  keys: JsonObject;
  asOf: AsOf;
  request?: JsonObject;
}

/** Values of views that were worked out before: one list for each row of a chunk. */
type KnownValues = ReadonlyMap<Reading<RowView>, readonly (readonly FeatureValue[])[]>;

/** Rows of the past that are computed together: their entities are read in one round trip. */
export const HISTORICAL_CHUNK = 500;

/**
 * Vectors of a service at many places in the past, chunk by chunk: an entity's state is read once as long as what was read fits in memory.
 *
 * @example for (const chunk of chunks) rows.push(...(await reader.vectors(chunk, { before: rows.length, count })))
 */
export class HistoricalReader {
  readonly service: CompiledService;
  readonly #db: Queryable;
  readonly #rows: RowFeatures;
  readonly #horizons: FeatureHorizons;
  readonly #read: LRUCache<string, EntityState>;

  constructor(
    service: CompiledService,
    db: Queryable,
    rows: RowFeatures,
    limits: Pick<Limits, 'featureContributionsCachedMax'>,
    horizons: FeatureHorizons,
  ) {
    this.service = service;
    this.#db = db;
    this.#rows = rows;
    this.#horizons = horizons;
    this.#read = new LRUCache({
      maxSize: limits.featureContributionsCachedMax,
      sizeCalculation: weight,
    });
  }

  /** The values of a row view at places in the past. @throws AiosError `features.missing_key`, and what its source refuses */
  past(reading: Reading<RowView>, spine: readonly SpineRow[]): Promise<(readonly FeatureValue[])[]> {
    return this.#rows.past(
      reading,
      spine.map((row) => askedOf(reading, row)),
    );
  }

  /**
   * @param place how many rows are in front of the chunk, and how many there are in all
   * @throws AiosError `features.missing_key`, `features.no_cutoff`, `features.state_gone`, what a source refuses, and what is wrong with a row
   */
  async vectors(
    chunk: readonly SpineRow[],
    place: { before: number; count: number },
    known?: KnownValues,
  ): Promise<FeatureValue[][]> {
    const { streams, rows } = this.service;
    const keys = chunk.map((row) => streams.map((reading) => keyOf(reading, row.keys)));
    const [states, fromRows] = await Promise.all([
      this.#statesOf(keys),
      Promise.all(rows.map((reading) => known?.get(reading) ?? this.past(reading, chunk))),
    ]);
    if (streams.length > 0) await this.#checkHorizons(chunk);
    const inputOf = (index: number) => {
      const { asOf, request = {} } = chunk[index]!;
      const values: (readonly FeatureValue[])[] = streams.map(({ view }, at) =>
        valuesOf(view, states.get(stateKey(view.id, keys[index]![at]!))!, asOf),
      );
      for (const each of fromRows) values.push(each[index]!);
      return { values, request, nowMs: asOf.timeMs };
    };
    return vectorsOfRows(this.service, chunk.length, inputOf, place);
  }

  /** After the read: what had gone by then was announced before. */
  async #checkHorizons(chunk: readonly SpineRow[]): Promise<void> {
    await this.#horizons.refresh();
    for (const { view } of this.service.streams)
      for (const { asOf } of chunk) this.#horizons.check(view, asOf);
  }

  /** The states of a chunk's entities: those that were read before, and the others in one round trip. */
  async #statesOf(chunk: readonly (readonly string[])[]): Promise<Map<string, EntityState>> {
    const states = new Map<string, EntityState>();
    const wanted = new Map<string, { view: CompiledView; entity: string }>();
    for (const row of chunk) {
      for (const [at, { view }] of this.service.streams.entries()) {
        const entity = row[at]!;
        const key = stateKey(view.id, entity);
        const known = this.#read.get(key);
        if (known) states.set(key, known);
        else wanted.set(key, { view, entity });
      }
    }
    const found = await readStates(this.#db, [...wanted.values()]);
    for (const [index, key] of [...wanted.keys()].entries()) {
      states.set(key, found[index]!);
      this.#read.set(key, found[index]!);
    }
    return states;
  }
}

/** A tile holds events whenever they were recorded; only where none comes after its lateness does a cut-off say which tiles were whole. */
export function checkCutoff({ streams }: CompiledService): void {
  const found = streams.find(({ view: { plan, latenessMs } }) => plan && latenessMs === undefined);
  if (found) {
    throw new AiosError('features.no_cutoff', {
      detail: `The tiled view “${found.view.name}” states no lateness.`,
    });
  }
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

function askedOf(reading: Reading, { keys, asOf }: SpineRow): Asked {
  return { keys, entity: keyOf(reading, keys), asOf };
}

/** An entity that a request does not name (no customer on record) has an empty state. @throws AiosError `features.missing_key`, `features.invalid_key` */
export function keyOf({ view, keys: names, keyTypes }: Reading, keys: JsonObject): string {
  for (const name of names) {
    if (!Object.hasOwn(keys, name)) {
      const absent = names.filter((each) => !Object.hasOwn(keys, each));
      throw new AiosError('features.missing_key', {
        detail: `The view “${view.name}” needs the join key ${absent.join(', ')}.`,
      });
    }
  }
  return entityKey(view.name, names, (name) => keys[name], keyTypes) ?? '';
}
