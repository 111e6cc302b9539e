import type { Json } from '../kernel/json.ts';
import type { Queryable } from '../store/database.ts';
import { columns } from '../store/rows.ts';
import type { CompiledView } from './compiled.ts';
import { decimalText, parseDecimal } from './windows/decimal.ts';
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
  const returned = await tx.query<Returned>(statementOf(plan), parametersOf(entities, plan));
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
function parametersOf(entities: readonly EntityTiles[], { sizes, keptAs }: TilePlan): unknown[][] {
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
  const parameters: unknown[][] = [
    views,
    names,
    tiles.map((tile) => tile.startMs),
    tiles.map((tile) => tile.count),
  ];
  for (const { type, lists } of ARRAYS) {
    for (const { name } of lists) {
      for (let at = 0; at < sizes[name]; at++)
        parameters.push(
          type === 'numeric'
            ? tiles.map((tile) => decimalText(tile[name][at]!))
            : tiles.map((tile) => tile[name][at]!),
        );
    }
  }
  if (keptAs.length > 0) parameters.push(tiles.map((tile) => JSON.stringify(encodeKept(tile.kept))));
  return parameters;
}

const statements = new Map<string, string>();

function statementOf(plan: TilePlan): string {
  let statement = statements.get(plan.shape);
  if (statement === undefined) {
    statement = addTilesOf(plan);
    statements.set(plan.shape, statement);
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
