import type { Json } from '../kernel/json.ts';
import type { Queryable } from '../store/database.ts';
import { columns } from '../store/rows.ts';
import type { CompiledView } from './compiled.ts';
import { decimalText, parseDecimal } from './windows/decimal.ts';
import type { Aggregate, FeatureValue } from './windows/state.ts';
import { type Edge, type Kept, mergeKept, type Tile, type TilePlan } from './windows/tile.ts';

/** A tile of a tiled view, as a row. */
export interface TileRow {
  view: number;
  entity: string;
  plan: TilePlan;
  tile: Tile;
}

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

const plus = (a: string, b: string) => `${a} + ${b}`;

/**
 * The numbers of a tile in two arrays (a head of 24 bytes each in every row), one after the other, and how Postgres merges them. Sums go as text,
 * since they are decimals.
 */
const ARRAYS = [
  {
    name: 'floats',
    type: 'float8',
    sent: 'float8',
    lists: [
      { name: 'counts', merge: plus },
      { name: 'mins', merge: (a: string, b: string) => `least(${a}, ${b})` },
      { name: 'maxs', merge: (a: string, b: string) => `greatest(${a}, ${b})` },
    ],
  },
  {
    name: 'decimals',
    type: 'numeric',
    sent: 'text',
    lists: [
      { name: 'sums', merge: plus },
      { name: 'squares', merge: plus },
    ],
  },
] as const;

function shapeOf({ sizes, keptAs }: TilePlan): string {
  const { counts, mins, maxs, sums, squares } = sizes;
  return `${[counts, mins, maxs, sums, squares]}${keptAs.length > 0 ? ' kept' : ''}`;
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
  const returned = await tx.query<Returned>(statementOf(shape, plan), parametersOf(rows, plan));
  const changed = returned.flatMap(({ view, entity, startMs, kept, merged }) => {
    if (!merged) return [];
    const row = tiles.get(`${view}/${startMs}/${entity}`)!;
    const { keptAs } = row.plan;
    const after = mergeKept(keptAs, decodeKept(keptAs, kept ?? []), row.tile.kept);
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
function parametersOf(rows: readonly TileRow[], { sizes, keptAs }: TilePlan): unknown[][] {
  const parameters: unknown[][] = [
    rows.map(({ view }) => view),
    rows.map(({ entity }) => entity),
    rows.map(({ tile }) => tile.startMs),
    rows.map(({ tile }) => tile.count),
  ];
  for (const { type, lists } of ARRAYS) {
    for (const { name } of lists) {
      for (let at = 0; at < sizes[name]; at++)
        parameters.push(
          type === 'numeric'
            ? rows.map(({ tile }) => decimalText(tile[name][at]!))
            : rows.map(({ tile }) => tile[name][at]!),
        );
    }
  }
  if (keptAs.length > 0) parameters.push(rows.map(({ tile }) => JSON.stringify(encodeKept(tile.kept))));
  return parameters;
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
function addTilesOf({ sizes, keptAs }: TilePlan): string {
  const sent = ['int', 'text', 'bigint', 'bigint'];
  const names = ['view', 'entity', 'start_ms', 'count'];
  const made: string[] = [];
  const sets = ['count = t.count + excluded.count'];
  for (const { name, type, sent: sentAs, lists } of ARRAYS) {
    const elements = lists.flatMap((list) =>
      Array.from({ length: sizes[list.name] }, (_, at) => ({ ...list, column: `${list.name}${at}` })),
    );
    names.push(...elements.map(({ column }) => column));
    sent.push(...elements.map(() => sentAs));
    if (elements.length === 0) {
      made.push(`null::${type}[]`);
      continue;
    }
    made.push(`array[${elements.map(({ column }) => `${column}::${type}`).join(', ')}]`);
    const merged = elements.map(({ merge }, at) =>
      merge(`t.${name}[${at + 1}]`, `excluded.${name}[${at + 1}]`),
    );
    sets.push(`${name} = array[${merged.join(', ')}]`);
  }
  const hasKept = keptAs.length > 0;
  if (hasKept) {
    names.push('kept');
    sent.push('json');
  }
  // A row that was inserted has no locker (xmax 0): what it keeps is what it was given.
  const returning = hasKept
    ? 'returning t.view, t.entity, t.start_ms as "startMs", t.kept, t.xmax <> 0 as merged'
    : '';
  return `insert into feature_tiles as t (view, entity, start_ms, count, floats, decimals, kept)
  select view, entity, start_ms, count, ${made.join(', ')}, ${hasKept ? 'kept' : 'null::json'}
  from unnest(${sent.map((type, index) => `$${index + 1}::${type}[]`).join(', ')}) as r(${names.join(', ')})
  on conflict (view, entity, start_ms) do update set ${sets.join(', ')} ${returning}`;
}

interface StoredTile {
  index: number;
  startMs: number;
  count: number;
  floats: number[] | null;
  decimals: string[] | null;
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
    `select k.index, t.start_ms as "startMs", t.count, t.floats, t.decimals::text[], t.kept
     from unnest($1::int[], $2::int[], $3::text[]) as k(index, view, entity)
     join feature_tiles t on t.view = k.view and t.entity = k.entity order by k.index, t.start_ms`,
    columns(keys, (key) => [key.index, key.view.id, key.entity]),
  );
  for (const { index, startMs, count, floats, decimals, kept } of rows) {
    const { sizes, keptAs } = plans.get(index)!;
    const { counts, mins, sums } = sizes;
    const exact = (decimals ?? []).map(parseDecimal);
    add(index, {
      startMs,
      count,
      counts: floats?.slice(0, counts) ?? [],
      mins: floats?.slice(counts, counts + mins) ?? [],
      maxs: floats?.slice(counts + mins) ?? [],
      sums: exact.slice(0, sums),
      squares: exact.slice(sums),
      kept: kept ? decodeKept(keptAs, kept) : [],
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
