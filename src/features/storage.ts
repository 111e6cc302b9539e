import type { LoggedEvent, LogPosition } from '../kernel/cloudevent.ts';
import type { Queryable } from '../store/database.ts';
import { columns } from '../store/rows.ts';
import type { CompiledView } from './compiled.ts';
import { type EntityTiles, readTiles, writeTiles } from './tile-storage.ts';
import type { Contribution, FeatureValue } from './windows/state.ts';
import { addContribution, insertTile, type Tile } from './windows/tile.ts';

/** A contribution to an exact view, as a row. */
interface ContributionRow extends Contribution {
  view: number;
  entity: string;
  item: number;
}

/** An event that came later than a view bears: it is not counted there. */
export interface LateEvent extends LogPosition {
  view: CompiledView;
  timeMs: number;
  lateMs: number;
}

/** What a batch of events means to the views: tiles are merged by view, entity (the key, by `stateKey`) and start. */
export interface Collected {
  readonly contributions: ContributionRow[];
  readonly tiles: Map<string, EntityTiles>;
  readonly late: LateEvent[];
}

/** What the state of an entity in a view is known by in memory. */
export function stateKey(view: number, entity: string): string {
  return `${view}/${entity}`;
}

export function nothingCollected(): Collected {
  return { contributions: [], tiles: new Map(), late: [] };
}

/** Adds what one event means to a view; with `acceptLate` however late it came. @throws AiosError when an expression of the view fails on it */
export function collect(
  view: CompiledView,
  logged: LoggedEvent,
  collected: Collected,
  acceptLate = false,
): void {
  const { partition, offset, timeMs, recordedAtMs } = logged;
  const lateMs = recordedAtMs - timeMs;
  const extracted = view.extract(logged);
  if (!acceptLate && view.latenessMs !== undefined && lateMs > view.latenessMs) {
    if (extracted.length > 0) collected.late.push({ view, partition, offset, timeMs, lateMs });
    return;
  }
  for (const { entity, item, values } of extracted) {
    if (!view.plan) {
      collected.contributions.push({
        view: view.id,
        entity,
        item,
        timeMs,
        recordedAtMs,
        partition,
        offset,
        values,
      });
      continue;
    }
    const key = stateKey(view.id, entity);
    let known = collected.tiles.get(key);
    if (known === undefined) {
      known = { view: view.id, entity, plan: view.plan, tiles: [] };
      collected.tiles.set(key, known);
    }
    addContribution(view.plan, known.tiles, { timeMs, partition, offset, item }, values);
  }
}

/** Adds what an event means to that of its batch; what it held is the batch's from then on. */
export function mergeCollected(into: Collected, from: Collected): void {
  for (const contribution of from.contributions) into.contributions.push(contribution);
  for (const late of from.late) into.late.push(late);
  for (const [key, of] of from.tiles) {
    const known = into.tiles.get(key);
    if (known) for (const tile of of.tiles) insertTile(of.plan, known.tiles, tile);
    else into.tiles.set(key, of);
  }
}

/** Writes a batch; its statements travel together. */
export async function writeCollected(
  tx: Queryable,
  { contributions, tiles, late }: Collected,
): Promise<void> {
  await Promise.all([writeContributions(tx, contributions), writeTiles(tx, tiles), writeLate(tx, late)]);
}

/** Writes contributions; one that is there already stays (a back-fill that was cut short begins its batch again). */
async function writeContributions(tx: Queryable, rows: readonly ContributionRow[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.query(
    `insert into feature_contributions
     select * from unnest($1::int[], $2::text[], $3::bigint[], $4::smallint[], $5::bigint[], $6::int[], $7::bigint[], $8::json[])
     on conflict do nothing`,
    columns(rows, (row) => [
      row.view,
      row.entity,
      row.timeMs,
      row.partition,
      row.offset,
      row.item,
      row.recordedAtMs,
      JSON.stringify(row.values),
    ]),
  );
}

/** The place of an event that came too late is kept where the view says so; the event is in the log. */
async function writeLate(tx: Queryable, late: readonly LateEvent[]): Promise<void> {
  const rows = late.filter(({ view }) => view.late === 'dead-letter');
  if (rows.length === 0) return;
  await tx.query(
    `insert into feature_late_events (view, partition, log_offset, time_ms, late_ms)
     select * from unnest($1::int[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[]) on conflict do nothing`,
    columns(rows, (row) => [row.view.id, row.partition, row.offset, row.timeMs, row.lateMs]),
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
  keys: readonly { view: CompiledView; entity: string }[],
): Promise<EntityState[]> {
  const states = keys.map((): EntityState => ({ contributions: [], tiles: [] }));
  const wanted = keys.map((key, index) => ({ ...key, index }));
  const exact = wanted.filter(({ view }) => !view.plan);
  const tiled = wanted.filter(({ view }) => view.plan);
  await Promise.all([
    readContributions(db, exact, (index, contribution) => states[index]!.contributions.push(contribution)),
    readTiles(db, tiled, (index, tile) => states[index]!.tiles.push(tile)),
  ]);
  return states;
}

async function readContributions(
  db: Queryable,
  keys: readonly { index: number; view: CompiledView; entity: string }[],
  add: (index: number, contribution: Contribution) => void,
): Promise<void> {
  if (keys.length === 0) return;
  const rows = await db.query<Contribution & { index: number }>(
    `select k.index, c.time_ms as "timeMs", c.recorded_ms as "recordedAtMs", c.partition, c.log_offset as "offset",
       c.feature_values as "values"
     from unnest($1::int[], $2::int[], $3::text[]) as k(index, view, entity)
     join feature_contributions c on c.view = k.view and c.entity = k.entity
     order by k.index, c.time_ms, c.log_offset, c.partition, c.item`,
    columns(keys, (key) => [key.index, key.view.id, key.entity]),
  );
  for (const { index, timeMs, recordedAtMs, partition, offset, values } of rows)
    add(index, { timeMs, recordedAtMs, partition, offset, values: values as FeatureValue[] });
}
