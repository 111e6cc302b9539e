import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Database } from '../store/database.ts';
import { valuesOf } from './historical.ts';
import { type OnlineRow, REMOVED } from './online-store.ts';
import { rowValues } from './row-view.ts';
import { readStates } from './storage.ts';
import type { FeatureViews } from './views.ts';
import type { FeatureValue } from './windows/state.ts';

/** Vectors without their entities: what a profile is made of. */
export interface Sample {
  readonly names: readonly string[];
  readonly rows: readonly (readonly FeatureValue[])[];
}

interface Dependencies {
  db: Database;
  views: FeatureViews;
  clock: Pick<Clock, 'now'>;
}

/** How many entities are read together. */
const CHUNK = 500;

/**
 * What the entities of a stored view have now, of up to `countMax` of them in the order of their keys.
 *
 * @throws AiosError `features.unknown_view`, also for a view that stores nothing
 * @example await sampleView({ db, views, clock }, 'customer-orders', 10_000)
 */
export async function sampleView(
  { db, views, clock }: Dependencies,
  name: string,
  countMax: number,
): Promise<Sample> {
  const timeMs = clock.now();
  const rowView = views.rows.at(name);
  if (rowView) {
    const rows = await db.query<OnlineRow>(
      `select time_ms as "timeMs", created_ms as "createdMs", valid_to_ms as "validToMs", feature_values as "values"
       from feature_online where view = $1 and (${REMOVED}) is not true order by entity limit $2`,
      [rowView.kept, countMax],
    );
    const names = rowView.features.map((feature) => feature.name);
    return { names, rows: rows.map((row) => rowValues(rowView, row, timeMs)) };
  }
  const view = views.streamView(name);
  if (!view) throw new AiosError('features.unknown_view', { detail: `There is no stored view “${name}”.` });
  const table = view.plan ? 'feature_tiles' : 'feature_contributions';
  const found = await db.query<{ entity: string }>(
    `select distinct entity from ${table} where view = $1 order by entity limit $2`,
    [view.id, countMax],
  );
  const rows: FeatureValue[][] = [];
  for (let from = 0; from < found.length; from += CHUNK) {
    const keys = found.slice(from, from + CHUNK).map(({ entity }) => ({ view, entity }));
    for (const state of await readStates(db, keys)) rows.push(valuesOf(view, state, { timeMs }));
  }
  return { names: view.features.map((feature) => feature.name), rows };
}
