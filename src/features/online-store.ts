import type { Queryable } from '../store/database.ts';
import { columns } from '../store/rows.ts';
import type { FeatureValue } from './windows/state.ts';

/** The newest row of an entity in a view. */
export interface OnlineRow {
  /** Event time of the row. */
  readonly timeMs: number;
  /** When it was written at its source: of two rows of one time the newer one counts. */
  readonly createdMs: number;
  /** From when on it holds no more (SCD2); null while it holds. */
  readonly validToMs: number | null;
  readonly values: Readonly<Record<string, FeatureValue>>;
  /** What a view made of it: while the row is in memory its values are looked up by name once (40 ns each) and not with every vector. */
  decoded?: readonly FeatureValue[];
  /** The view that they are in the order of. */
  decodedFor?: object;
}

export interface NewRow extends OnlineRow {
  readonly entity: string;
}

/**
 * Where the newest rows are kept. Every adapter passes `online-store-conformance.ts`: a row never gives way to an older one, so
 * that writing again, in any order, changes nothing.
 */
export interface OnlineStore {
  /** The newest rows of many entities, in their order; at once when they are in memory. */
  read(
    view: string,
    entities: readonly string[],
  ): readonly (OnlineRow | undefined)[] | Promise<readonly (OnlineRow | undefined)[]>;
  /** Writes in the caller's transaction; what it answers is to be called after the commit. */
  write(tx: Queryable, view: string, rows: readonly NewRow[]): Promise<() => void>;
  /** From then on no row is answered that was replaced before the call. */
  refresh?(): Promise<void>;
}

interface StoredRow extends OnlineRow {
  entity: string;
}

/** Rows in Postgres: one statement per view and call, along the primary key. */
export class PostgresOnlineStore implements OnlineStore {
  readonly #db: Queryable;

  constructor(db: Queryable) {
    this.#db = db;
  }

  async read(view: string, entities: readonly string[]): Promise<(OnlineRow | undefined)[]> {
    const rows = await this.#db.query<StoredRow>(
      `select entity, time_ms as "timeMs", created_ms as "createdMs", valid_to_ms as "validToMs", feature_values as "values"
       from feature_online where view = $1 and entity = any($2::text[])`,
      [view, entities],
    );
    const found = new Map<string, OnlineRow>();
    for (const row of rows) found.set(row.entity, row);
    return entities.map((entity) => found.get(entity));
  }

  async write(tx: Queryable, view: string, rows: readonly NewRow[]): Promise<() => void> {
    if (rows.length > 0) {
      // Sorted: two writers lock in the same order. Of equal times the values decide, so that the order of writing never does.
      await tx.query(
        `insert into feature_online as t (view, entity, time_ms, created_ms, valid_to_ms, feature_values)
         select distinct on (entity) $1, entity, time_ms, created_ms, valid_to_ms, feature_values
         from unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::json[])
           as r(entity, time_ms, created_ms, valid_to_ms, feature_values)
         order by entity, time_ms desc, created_ms desc, feature_values::text collate "C" desc
         on conflict (view, entity) do update set time_ms = excluded.time_ms, created_ms = excluded.created_ms,
           valid_to_ms = excluded.valid_to_ms, feature_values = excluded.feature_values, written = excluded.written
         where (excluded.time_ms, excluded.created_ms, excluded.feature_values::text collate "C")
           >= (t.time_ms, t.created_ms, t.feature_values::text collate "C")`,
        [
          view,
          ...columns(rows, ({ entity, timeMs, createdMs, validToMs, values }) => [
            entity,
            timeMs,
            createdMs,
            validToMs,
            JSON.stringify(values),
          ]),
        ],
      );
    }
    return () => {};
  }
}
