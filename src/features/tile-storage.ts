import type { Json } from '../kernel/json.ts';
import type { Queryable } from '../store/database.ts';
import { columns } from '../store/rows.ts';
import type { CompiledView } from './compiled.ts';
import { type Decimal, decimalText, parseDecimal } from './windows/decimal.ts';
import type { CompiledFeature, FeatureValue } from './windows/state.ts';
import { type Edge, type Kept, mergeKept, type Tile, type TilePlan } from './windows/tile.ts';

/** A tile of a tiled view, as a row. */
export interface TileRow {
  view: number;
  entity: string;
  plan: TilePlan;
  tile: Tile;
}

const FLOATS = (values: readonly number[]) =>
  `{${values.map((value) => (Number.isFinite(value) ? value : value > 0 ? 'Infinity' : '-Infinity')).join(',')}}`;
const DECIMALS = (values: readonly Decimal[]) => `{${values.map(decimalText).join(',')}}`;

/** Adds tiles to those that are there. Sorted, so that two processes lock them in the same order; one statement per shape of tile. */
export async function writeTiles(tx: Queryable, tiles: ReadonlyMap<string, TileRow>): Promise<void> {
  if (tiles.size === 0) return;
  const sorted = [...tiles.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  const byShape = Map.groupBy(sorted, ([, { plan }]) => shapeOf(plan));
  await Promise.all(
    [...byShape]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([shape, entries]) => addTiles(tx, shape, new Map(entries))),
  );
}

function shapeOf({ features, hasSquares, hasKept }: TilePlan): string {
  return `${features.length}${hasSquares ? '²' : ''}${hasKept ? ' kept' : ''}`;
}

interface Returned {
  view: number;
  entity: string;
  startMs: number;
  kept: Json[] | null;
  merged: boolean;
}

/** Numbers are added by Postgres; what a tile keeps beside them is merged here, under the lock of its row that the addition holds. */
async function addTiles(tx: Queryable, shape: string, tiles: ReadonlyMap<string, TileRow>): Promise<void> {
  const rows = [...tiles.values()];
  const { plan } = rows[0]!;
  const returned = await tx.query<Returned>(
    statementOf(shape, plan),
    columns(rows, ({ view, entity, tile }) => [
      view,
      entity,
      tile.startMs,
      tile.count,
      FLOATS(tile.counts),
      DECIMALS(tile.sums),
      FLOATS(tile.mins),
      FLOATS(tile.maxs),
      DECIMALS(tile.squares),
      plan.hasKept ? JSON.stringify(encodeKept(tile.kept)) : null,
    ]),
  );
  const changed = returned.flatMap(({ view, entity, startMs, kept, merged }) => {
    if (!merged) return [];
    const row = tiles.get(`${view}/${startMs}/${entity}`)!;
    const before = decodeKept(row.plan.features, kept ?? []);
    const after = mergeKept(row.plan.features, before, row.tile.kept);
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

const statements = new Map<string, string>();

function statementOf(shape: string, plan: TilePlan): string {
  let statement = statements.get(shape);
  if (statement === undefined) {
    statement = addTilesOf(plan);
    statements.set(shape, statement);
  }
  return statement;
}

/** Element by element: merging with `array_agg` over `unnest` cost 23 µs a tile instead of 8. */
function addTilesOf({ features: { length: size }, hasSquares, hasKept }: TilePlan): string {
  const merged = (column: string, type: string, merge: (a: string, b: string) => string) =>
    `${column} = array[${Array.from({ length: size }, (_, i) => merge(`t.${column}[${i + 1}]`, `excluded.${column}[${i + 1}]`)).join(', ')}]::${type}[]`;
  const plus = (a: string, b: string) => `${a} + ${b}`;
  const sets = [
    'count = t.count + excluded.count',
    merged('counts', 'float8', plus),
    merged('sums', 'numeric', plus),
    merged('mins', 'float8', (a, b) => `least(${a}, ${b})`),
    merged('maxs', 'float8', (a, b) => `greatest(${a}, ${b})`),
    ...(hasSquares ? [merged('squares', 'numeric', plus)] : []),
  ];
  // A row that was inserted has no locker (xmax 0): what it keeps is what it was given.
  const returning = hasKept
    ? 'returning t.view, t.entity, t.start_ms as "startMs", t.kept, t.xmax <> 0 as merged'
    : '';
  return `insert into feature_tiles as t (view, entity, start_ms, count, counts, sums, mins, maxs, squares, kept)
  select view, entity, start_ms, count, counts::float8[], sums::numeric[], mins::float8[], maxs::float8[], squares::numeric[], kept
  from unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::json[])
    as r(view, entity, start_ms, count, counts, sums, mins, maxs, squares, kept)
  on conflict (view, entity, start_ms) do update set ${sets.join(', ')} ${returning}`;
}

interface StoredTile extends Omit<Tile, 'sums' | 'squares' | 'kept'> {
  index: number;
  sums: string[];
  squares: string[];
  kept: Json[] | null;
}

/** The tiles of many entities, in the order of their starts. */
export async function readTiles(
  db: Queryable,
  keys: readonly { index: number; view: CompiledView; entity: string }[],
  add: (index: number, tile: Tile) => void,
): Promise<void> {
  if (keys.length === 0) return;
  const features = new Map(keys.map(({ index, view }) => [index, view.features]));
  const rows = await db.query<StoredTile>(
    `select k.index, t.start_ms as "startMs", t.count, t.counts, t.sums::text[], t.mins, t.maxs, t.squares::text[], t.kept
     from unnest($1::int[], $2::int[], $3::text[]) as k(index, view, entity)
     join feature_tiles t on t.view = k.view and t.entity = k.entity order by k.index, t.start_ms`,
    columns(keys, (key) => [key.index, key.view.id, key.entity]),
  );
  for (const { index, startMs, count, counts, sums, mins, maxs, squares, kept } of rows) {
    add(index, {
      startMs,
      count,
      counts,
      sums: sums.map(parseDecimal),
      mins,
      maxs,
      squares: squares.map(parseDecimal),
      kept: kept ? decodeKept(features.get(index)!, kept) : [],
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

function decodeKept(features: readonly CompiledFeature[], stored: readonly Json[]): Kept[] {
  return features.map(({ aggregate }, index) => {
    const each = stored[index] ?? null;
    if (each === null) return null;
    if (typeof each === 'string') return Uint8Array.from(Buffer.from(each, 'base64'));
    if (aggregate === 'distinct') return each as number[];
    const [timeMs, offset, partition, item, value] = each as [number, number, number, number, FeatureValue];
    return { timeMs, offset, partition, item, value };
  });
}
