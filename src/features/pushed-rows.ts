import type { Queryable } from '../store/database.ts';
import { columns } from '../store/rows.ts';
import type { NewRow, OnlineRow } from './online-store.ts';
import type { Wanted } from './row-source.ts';
import type { RowView } from './row-view.ts';

/** Every row that was pushed, for vectors of the past. */
export class PushedRows {
  readonly #db: Queryable;

  constructor(db: Queryable) {
    this.#db = db;
  }

  /** The rows of entities, each as of its own time: the newest by time, then by when it was pushed, then by its values as text. */
  async history({ name }: RowView, wanted: readonly Wanted[]): Promise<(OnlineRow | undefined)[]> {
    const rows = await this.#db.query<OnlineRow & { index: number }>(
      `select w.index, r.time_ms as "timeMs", r.created_ms as "createdMs", null::bigint as "validToMs", r.feature_values as "values"
       from unnest($2::int[], $3::text[], $4::bigint[], $5::bigint[]) as w(index, entity, time_ms, recorded_ms)
       cross join lateral (
         select * from feature_pushed p
         where p.view = $1 and p.entity = w.entity and p.time_ms <= w.time_ms
           and (w.recorded_ms is null or p.created_ms <= w.recorded_ms)
         order by p.time_ms desc, p.created_ms desc, p.feature_values::text collate "C" desc limit 1) r`,
      [
        name,
        wanted.map((_, index) => index),
        ...columns(wanted, ({ entity, asOf }) => [entity, asOf.timeMs, asOf.recordedByMs ?? null]),
      ],
    );
    const found = new Array<OnlineRow | undefined>(wanted.length);
    for (const { index, ...row } of rows) found[index] = row;
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
