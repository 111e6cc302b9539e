import { LRUCache } from 'lru-cache';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Queryable } from '../store/database.ts';
import { type CompiledView, entityKey } from './compiled.ts';
import type { FeatureHorizons } from './expiry/horizons.ts';
import type { Asked, RowFeatures } from './row-features.ts';
import type { RowView } from './row-view.ts';
import type { CompiledService } from './service.ts';
import { weight } from './state-cache.ts';
import { type EntityState, readStates } from './storage.ts';
import { type AsOf, type Contribution, evaluateExact, type FeatureValue } from './windows/state.ts';
import { evaluateTiled } from './windows/tile.ts';

export interface SpineRow {
  keys: JsonObject;
  asOf: AsOf;
  request?: JsonObject;
}

/** Values of views that were worked out before, by the view's name: one list for each row of a chunk. */
type KnownValues = ReadonlyMap<string, readonly (readonly FeatureValue[])[]>;

/** Rows of the past that are computed together: their entities are read in one round trip. */
export const HISTORICAL_CHUNK = 500;

/**
 * Vectors of a service at many places in the past, chunk by chunk: an entity's state is read once as long as what was read fits in memory.
 *
 * @example for (const chunk of chunks) rows.push(...(await reader.vectors(chunk)))
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
  past(view: RowView, spine: readonly SpineRow[]): Promise<(readonly FeatureValue[])[]> {
    return this.#rows.past(
      view,
      spine.map((row) => askedOf(view, row)),
    );
  }

  /** @throws AiosError `features.missing_key`, `features.no_cutoff`, `features.state_gone`, and what a source refuses */
  async vectors(chunk: readonly SpineRow[], known?: KnownValues): Promise<FeatureValue[][]> {
    const { streams, rows, vector, coded } = this.service;
    const keys = chunk.map((row) => streams.map((view) => keyOf(view, row.keys)));
    const [states, fromRows] = await Promise.all([
      this.#statesOf(keys),
      Promise.all(rows.map((view) => known?.get(view.name) ?? this.past(view, chunk))),
    ]);
    if (streams.length > 0) await this.#checkHorizons(chunk);
    const inputs = chunk.map(({ asOf, request = {} }, index) => {
      const values: (readonly FeatureValue[])[] = streams.map((view, at) =>
        valuesOf(view, states.get(`${view.id}/${keys[index]![at]}`)!, asOf),
      );
      for (const each of fromRows) values.push(each[index]!);
      return { values, request, nowMs: asOf.timeMs };
    });
    return coded ? coded(inputs) : inputs.map(({ values, request, nowMs }) => vector(values, request, nowMs));
  }

  /** After the read: what had gone by then was announced before. */
  async #checkHorizons(chunk: readonly SpineRow[]): Promise<void> {
    await this.#horizons.refresh();
    for (const view of this.service.streams) for (const { asOf } of chunk) this.#horizons.check(view, asOf);
  }

  /** The states of a chunk's entities: those that were read before, and the others in one round trip. */
  async #statesOf(chunk: readonly (readonly string[])[]): Promise<Map<string, EntityState>> {
    const states = new Map<string, EntityState>();
    const wanted = new Map<string, { view: CompiledView; entity: string }>();
    for (const row of chunk) {
      for (const [at, view] of this.service.streams.entries()) {
        const entity = row[at]!;
        const key = `${view.id}/${entity}`;
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
  const view = streams.find(({ plan, latenessMs }) => plan && latenessMs === undefined);
  if (view) {
    throw new AiosError('features.no_cutoff', {
      detail: `The tiled view “${view.name}” states no lateness.`,
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
