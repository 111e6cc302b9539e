import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Database } from '../store/database.ts';
import { rowByRow, toldRow } from './failed-row.ts';
import type { FeatureFreshness } from './freshness.ts';
import { keyOf } from './historical.ts';
import type { NewRow } from './online-store.ts';
import type { RowStores } from './row-features.ts';
import type { RowView } from './row-view.ts';
import type { ServedRows } from './served-rows.ts';
import { readingOf } from './service-views.ts';
import { own, typedValue } from './values.ts';
import type { FeatureValue } from './windows/state.ts';

/** The member of a pushed row that holds its time. */
const TIME = 'timestamp';

interface Dependencies {
  db: Database;
  views: { readonly rows: Pick<ServedRows, 'pushed'> };
  rows: Pick<RowStores, 'online' | 'pushed'>;
  clock: Pick<Clock, 'now'>;
  freshness: Pick<FeatureFreshness, 'note'>;
}

/**
 * Takes rows that are sent in: kept for history and, where they are the newest, for serving, in one transaction.
 *
 * @example await push.push('scores', [{ customer: 'c-1', score: 0.7, timestamp: '2026-01-01T00:00:00Z' }]) // { views: ['scores'], rows: 1 }
 */
export class FeaturePush {
  readonly #deps: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#deps = dependencies;
  }

  /**
   * A row holds the join keys, the columns of the features (null where left out) and its `timestamp`, now when left out. All rows are kept, or none.
   *
   * @throws AiosError `features.unknown_push`, `features.missing_key`, `features.invalid_key`, `features.invalid_value`
   */
  async push(push: string, rows: readonly JsonObject[]): Promise<{ views: string[]; rows: number }> {
    const views = this.#deps.views.rows.pushed(push);
    if (views.length === 0)
      throw new AiosError('features.unknown_push', { detail: `No view takes what is pushed as “${push}”.` });
    checkMembers(views, rows);
    const nowMs = this.#deps.clock.now();
    const written = views.map((view) => ({
      view,
      rows: rowsOf(view, rows, nowMs),
    }));
    const { online, pushed } = this.#deps.rows;
    const afters = await this.#deps.db.transaction((tx) =>
      Promise.all(
        written.map(async ({ view: { name }, rows }) => {
          const [after] = await Promise.all([online.write(tx, name, rows), pushed.write(tx, name, rows)]);
          return after;
        }),
      ),
    );
    for (const after of afters) after();
    for (const { view, rows } of written)
      for (const { timeMs } of rows) this.#deps.freshness.note(view.name, timeMs);
    return { views: views.map(({ name }) => name), rows: rows.length };
  }
}

/** A name that no view knows is a slip of the pen, and its feature would be null for ever. */
function checkMembers(views: readonly RowView[], rows: readonly JsonObject[]): void {
  const known = new Set([
    TIME,
    ...views.flatMap(({ joinKeys, features }) => [...joinKeys, ...features.map(({ column }) => column)]),
  ]);
  for (const [index, row] of rows.entries()) {
    const unknown = Object.keys(row).find((member) => !known.has(member));
    if (unknown !== undefined) {
      throw new AiosError('features.invalid_value', {
        detail: `Row ${index + 1}: no view has “${unknown}”; they know ${[...known].join(', ')}.`,
      });
    }
  }
}

function rowsOf(view: RowView, rows: readonly JsonObject[], nowMs: number): NewRow[] {
  try {
    return rowByRow(rows.length, (at) => rowOf(view, rows[at]!, nowMs));
  } catch (error) {
    throw toldRow(error, { before: 0, count: rows.length });
  }
}

function rowOf(view: RowView, row: JsonObject, nowMs: number): NewRow {
  const entity = keyOf(readingOf(view), row);
  if (entity === '') throw new AiosError('features.missing_key', { detail: 'A join key is null or empty.' });
  const values: Record<string, FeatureValue> = {};
  for (const { name, type, column } of view.features)
    values[name] = typedValue(`${view.name}.${name}`, type, own(row, column));
  const timeMs = typedValue(TIME, 'timestamp', row[TIME]);
  return { entity, timeMs: (timeMs as number | null) ?? nowMs, createdMs: nowMs, validToMs: null, values };
}
