import type { Queryable } from '../store/database.ts';
import { columns } from '../store/rows.ts';
import type { Contribution, FeatureValue, Tile } from './state.ts';
import { mergeTile } from './state.ts';

/** A contribution to an exact view, as a row. */
export interface ContributionRow extends Contribution {
  view: number;
  entity: string;
  item: number;
}

/** A tile of a tiled view, as a row. */
export interface TileRow extends Tile {
  view: number;
  entity: string;
}

const ARRAY = (values: readonly number[]) =>
  `{${values.map((value) => (Number.isFinite(value) ? value : value > 0 ? 'Infinity' : '-Infinity')).join(',')}}`;

/** Writes contributions; one that is there already stays (a back-fill that was cut short begins its batch again). */
export async function writeContributions(tx: Queryable, rows: readonly ContributionRow[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.query(
    `insert into feature_contributions
     select * from unnest($1::int[], $2::text[], $3::bigint[], $4::smallint[], $5::bigint[], $6::int[], $7::json[]) on conflict do nothing`,
    columns(rows, (row) => [
      row.view,
      row.entity,
      row.timeMs,
      row.partition,
      row.offset,
      row.item,
      JSON.stringify(row.values),
    ]),
  );
}

/** Adds tiles to those that are there. Sorted, so that two processes lock them in the same order. */
export async function addTiles(tx: Queryable, rows: readonly TileRow[]): Promise<void> {
  if (rows.length === 0) return;
  const merged = new Map<string, TileRow>();
  for (const row of rows) {
    const key = `${row.view}/${row.startMs}/${row.entity}`;
    const known = merged.get(key);
    if (known) mergeTile(known, row);
    else merged.set(key, structuredClone(row));
  }
  const sorted = [...merged.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  const sum = (column: string) =>
    `(select array_agg(a + b order by i) from unnest(t.${column}, excluded.${column}) with ordinality as u(a, b, i))`;
  const pick = (column: string, which: string) =>
    `(select array_agg(${which}(a, b) order by i) from unnest(t.${column}, excluded.${column}) with ordinality as u(a, b, i))`;
  await tx.query(
    `insert into feature_tiles as t
     select view, entity, start_ms, count, counts::float8[], sums::float8[], mins::float8[], maxs::float8[]
     from unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[])
       as r(view, entity, start_ms, count, counts, sums, mins, maxs)
     on conflict (view, entity, start_ms) do update set count = t.count + excluded.count,
       counts = ${sum('counts')}, sums = ${sum('sums')}, mins = ${pick('mins', 'least')}, maxs = ${pick('maxs', 'greatest')}`,
    columns(sorted, (row) => [
      row.view,
      row.entity,
      row.startMs,
      row.count,
      ARRAY(row.counts),
      ARRAY(row.sums),
      ARRAY(row.mins),
      ARRAY(row.maxs),
    ]),
  );
}

/** What an entity has in a view: contributions of an exact view, tiles of a tiled one, each in order. */
export interface EntityState {
  contributions: Contribution[];
  tiles: Tile[];
}

/** The states of many entities, in the order asked for; one round trip for all. */
export async function readStates(
  db: Queryable,
  keys: readonly { view: number; entity: string; tiled: boolean }[],
): Promise<EntityState[]> {
  const states = keys.map((): EntityState => ({ contributions: [], tiles: [] }));
  const read = async (tiled: boolean, text: string, add: (state: EntityState, row: never) => void) => {
    const wanted = keys.flatMap((key, index) => (key.tiled === tiled ? [{ ...key, index }] : []));
    if (wanted.length === 0) return;
    const rows = await db.query<{ index: number }>(
      text,
      columns(wanted, (key) => [key.index, key.view, key.entity]),
    );
    for (const row of rows) add(states[row.index]!, row as never);
  };
  await Promise.all([
    read(
      false,
      `select k.index, c.time_ms as "timeMs", c.partition, c.log_offset as "offset", c.feature_values as "values"
       from unnest($1::int[], $2::int[], $3::text[]) as k(index, view, entity)
       join feature_contributions c on c.view = k.view and c.entity = k.entity
       order by k.index, c.time_ms, c.log_offset, c.partition, c.item`,
      (state, { timeMs, partition, offset, values }: Contribution) =>
        state.contributions.push({ timeMs, partition, offset, values: values as FeatureValue[] }),
    ),
    read(
      true,
      `select k.index, t.start_ms as "startMs", t.count, t.counts, t.sums, t.mins, t.maxs
       from unnest($1::int[], $2::int[], $3::text[]) as k(index, view, entity)
       join feature_tiles t on t.view = k.view and t.entity = k.entity order by k.index, t.start_ms`,
      (state, { startMs, count, counts, sums, mins, maxs }: Tile) =>
        state.tiles.push({ startMs, count, counts, sums, mins, maxs }),
    ),
  ]);
  return states;
}
