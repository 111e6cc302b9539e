import { AiosError } from '../kernel/errors.ts';
import type { Queryable } from '../store/database.ts';
import { columns } from '../store/rows.ts';
import type { NewRow, OnlineRow } from './online-store.ts';
import type { Wanted } from './row-source.ts';
import type { RowView } from './row-view.ts';

/** In the place of an index: the row that says from when on all is there. */
const HORIZON = -1;

/** Every row that was pushed, for vectors of the past. */
export class PushedRows {
  readonly #db: Queryable;

  constructor(db: Queryable) {
    this.#db = db;
  }

  /**
   * The rows of entities, each as of its own time: the newest by time, then by when it was pushed, then by its values as text.
   * From when on all of them are there is read in the same statement: what has gone and that it has gone are seen together.
   *
   * @throws AiosError `features.state_gone` for a time of which rows may have been dropped
   */
  async history({ name }: RowView, wanted: readonly Wanted[]): Promise<(OnlineRow | undefined)[]> {
    const rows = await this.#db.query<OnlineRow & { index: number }>(
      `select w.index, r.time_ms as "timeMs", r.created_ms as "createdMs", null::bigint as "validToMs", r.feature_values as "values"
       from unnest($2::int[], $3::text[], $4::bigint[], $5::bigint[]) as w(index, entity, time_ms, recorded_ms)
       cross join lateral (
         select * from feature_pushed p
         where p.view = $1 and p.entity = w.entity and p.time_ms <= w.time_ms
           and (w.recorded_ms is null or p.created_ms <= w.recorded_ms)
         order by p.time_ms desc, p.created_ms desc, p.feature_values::text collate "C" desc limit 1) r
       union all select ${HORIZON}, kept_from_ms, 0, null, null from feature_pushed_expiry where view = $1 and kept_from_ms is not null`,
      [
        name,
        wanted.map((_, index) => index),
        ...columns(wanted, ({ entity, asOf }) => [entity, asOf.timeMs, asOf.recordedByMs ?? null]),
      ],
    );
    const found = new Array<OnlineRow | undefined>(wanted.length);
    for (const { index, ...row } of rows) {
      if (index === HORIZON) checkHorizon(name, row.timeMs, wanted);
      else found[index] = row;
    }
    return found;
  }

  /** In the caller's transaction; what is sent again in it is one row. */
  async write(tx: Queryable, view: string, rows: readonly NewRow[]): Promise<void> {
    await tx.query(
      `insert into feature_pushed (view, entity, time_ms, created_ms, feature_values)
       select $1, * from unnest($2::text[], $3::bigint[], $4::bigint[], $5::json[]) on conflict do nothing`,
      [
        view,
        ...columns(rows, ({ entity, timeMs, createdMs, values }) => [
          entity,
          timeMs,
          createdMs,
          JSON.stringify(values),
        ]),
      ],
    );
  }
}

function checkHorizon(view: string, keptFromMs: number, wanted: readonly Wanted[]): void {
  for (const { asOf } of wanted) {
    if (Math.min(asOf.timeMs, asOf.recordedByMs ?? asOf.timeMs) >= keptFromMs) continue;
    throw new AiosError('features.state_gone', {
      detail: `The view “${view}” answers from ${new Date(keptFromMs).toISOString()} on.`,
    });
  }
}
