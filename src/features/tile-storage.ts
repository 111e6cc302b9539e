import type { Json } from '../kernel/json.ts';
import type { Queryable } from '../store/database.ts';
import { columns } from '../store/rows.ts';
import type { CompiledView } from './compiled.ts';
import {
  NUMBER_COLUMNS,
  numberClauses,
  numberParameters,
  type StoredNumbers,
  tileNumbers,
} from './tile-numbers.ts';
import type { Aggregate, FeatureValue } from './windows/state.ts';
import { type Edge, type Kept, mergeKept, type Tile, type TilePlan } from './windows/tile.ts';

/** Tiles of an entity in a view, in the order of their starts. */
export interface EntityTiles {
  readonly view: number;
  readonly entity: string;
  readonly plan: TilePlan;
  readonly tiles: Tile[];
}

/** Adds tiles to those that are there. Sorted, so that two processes lock them in the same order; one statement per shape of tile. */
export async function writeTiles(tx: Queryable, all: ReadonlyMap<string, EntityTiles>): Promise<void> {
  if (all.size === 0) return;
  const byShape = new Map<string, EntityTiles[]>();
  for (const each of all.values()) {
    const same = byShape.get(each.plan.shape);
    if (same) same.push(each);
    else byShape.set(each.plan.shape, [each]);
  }
  const shapes = [...byShape.values()].sort((a, b) => (a[0]!.plan.shape < b[0]!.plan.shape ? -1 : 1));
  await Promise.all(shapes.map((entities) => addTiles(tx, entities.sort(inOrder))));
}

function inOrder(a: EntityTiles, b: EntityTiles): number {
  return a.view - b.view || (a.entity < b.entity ? -1 : 1);
}

interface Returned {
  view: number;
  entity: string;
  startMs: number;
  kept: Json[] | null;
  merged: boolean;
}

/** Numbers are added by Postgres; what a tile keeps beside them is merged here, under the lock of its row that the addition holds. */
async function addTiles(tx: Queryable, entities: readonly EntityTiles[]): Promise<void> {
  const { plan } = entities[0]!;
  const { withDecimals, parameters } = parametersOf(entities, plan);
  const returned = await tx.query<Returned>(statementOf(plan, withDecimals), parameters);
  if (returned.length === 0) return;
  const byKey = new Map(entities.map((each) => [`${each.view}/${each.entity}`, each]));
  const changed = returned.flatMap(({ view, entity, startMs, kept, merged }) => {
    if (!merged) return [];
    const { plan, tiles } = byKey.get(`${view}/${entity}`)!;
    const tile = tiles.find((each) => each.startMs === startMs)!;
    const after = mergeKept(plan.keptAs, decodeKept(plan.keptAs, kept ?? []), tile.kept);
    return [{ view, entity, startMs, kept: JSON.stringify(encodeKept(after)) }];
  });
  if (changed.length === 0) return;
  await tx.query(
    `update feature_tiles t set kept = r.kept
     from unnest($1::int[], $2::text[], $3::bigint[], $4::json[]) as r(view, entity, start_ms, kept)
     where t.view = r.view and t.entity = r.entity and t.start_ms = r.start_ms`,
    columns(changed, ({ view, entity, startMs, kept }) => [view, entity, startMs, kept]),
  );
}

/** A list of values per number of a tile: arrays of arrays would have to be written and read as text, row by row. */
function parametersOf(
  entities: readonly EntityTiles[],
  plan: TilePlan,
): { withDecimals: boolean; parameters: unknown[][] } {
  const views: number[] = [];
  const names: string[] = [];
  const tiles: Tile[] = [];
  for (const of of entities) {
    for (const tile of of.tiles) {
      views.push(of.view);
      names.push(of.entity);
      tiles.push(tile);
    }
  }
  const { numbers, decimals } = numberParameters(tiles, plan);
  const parameters: unknown[][] = [
    views,
    names,
    tiles.map((tile) => tile.startMs),
    tiles.map((tile) => tile.count),
    ...numbers,
    ...(decimals ?? []),
  ];
  if (plan.keptAs.length > 0) parameters.push(tiles.map((tile) => JSON.stringify(encodeKept(tile.kept))));
  return { withDecimals: decimals !== undefined, parameters };
}

const statements = new Map<string, string>();

function statementOf(plan: TilePlan, withDecimals: boolean): string {
  const key = withDecimals ? `${plan.shape} decimals` : plan.shape;
  let statement = statements.get(key);
  if (statement === undefined) {
    statement = addTilesOf(plan, withDecimals);
    statements.set(key, statement);
  }
  return statement;
}

/** Number by number: merging lists with `array_agg` over `unnest` cost 23 µs a tile instead of 7. */
function addTilesOf(plan: TilePlan, withDecimals: boolean): string {
  const hasKept = plan.keptAs.length > 0;
  const numbers = numberClauses(plan, withDecimals);
  const head = ['view', 'entity', 'start_ms', 'count'];
  const kept = hasKept ? ['kept'] : [];
  const sent = [
    { name: 'view', type: 'int' },
    { name: 'entity', type: 'text' },
    { name: 'start_ms', type: 'bigint' },
    { name: 'count', type: 'bigint' },
    ...numbers.sent,
    ...kept.map((name) => ({ name, type: 'json' })),
  ];
  // A row that was inserted has no locker (xmax 0): what it keeps is what it was given.
  const returning = hasKept
    ? 'returning t.view, t.entity, t.start_ms as "startMs", t.kept, t.xmax <> 0 as merged'
    : '';
  return `insert into feature_tiles as t (${[...head, ...numbers.columns, ...kept].join(', ')})
  select ${[...head, ...numbers.made, ...kept].join(', ')}
  from unnest(${sent.map(({ type }, index) => `$${index + 1}::${type}[]`).join(', ')}) as r(${sent.map(({ name }) => name).join(', ')})
  on conflict (view, entity, start_ms) do update set ${['count = t.count + excluded.count', ...numbers.sets].join(', ')} ${returning}`;
}

interface StoredTile extends StoredNumbers {
  index: number;
  startMs: number;
  count: number;
  kept: Json[] | null;
}

/** The tiles of many entities, in the order of their starts. */
export async function readTiles(
  db: Queryable,
  keys: readonly { index: number; view: CompiledView; entity: string }[],
  add: (index: number, tile: Tile) => void,
): Promise<void> {
  if (keys.length === 0) return;
  const plans = new Map(keys.map(({ index, view }) => [index, view.plan!]));
  const rows = await db.query<StoredTile>(
    `select k.index, t.start_ms as "startMs", t.count, ${NUMBER_COLUMNS.map((column) => `t.${column}`).join(', ')}, t.floats, t.decimals::text[], t.kept
     from unnest($1::int[], $2::int[], $3::text[]) as k(index, view, entity)
     join feature_tiles t on t.view = k.view and t.entity = k.entity order by k.index, t.start_ms`,
    columns(keys, (key) => [key.index, key.view.id, key.entity]),
  );
  for (const row of rows) {
    const { index, startMs, count, kept } = row;
    const plan = plans.get(index)!;
    add(index, {
      startMs,
      count,
      ...tileNumbers(row, plan),
      kept: kept ? decodeKept(plan.keptAs, kept) : [],
    });
  }
}

/** Registers of HyperLogLog as base64, hashes as they are; a first or last value with its place. */
function encodeKept(kept: readonly Kept[]): Json[] {
  return kept.map((each) => {
    if (each === null) return null;
    if (each instanceof Uint8Array) return Buffer.from(each).toString('base64');
    if (Array.isArray(each)) return each as number[];
    const { timeMs, offset, partition, item, value } = each as Edge;
    return [timeMs, offset, partition, item, value];
  });
}

function decodeKept(keptAs: readonly Aggregate[], stored: readonly Json[]): Kept[] {
  return keptAs.map((aggregate, index) => {
    const each = stored[index] ?? null;
    if (each === null) return null;
    if (typeof each === 'string') return Uint8Array.from(Buffer.from(each, 'base64'));
    if (aggregate === 'distinct') return each as number[];
    const [timeMs, offset, partition, item, value] = each as [number, number, number, number, FeatureValue];
    return { timeMs, offset, partition, item, value };
  });
}
