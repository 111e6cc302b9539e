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
  /** The number of the pass that wrote it, of a batch view: what a later pass says counts, whatever the times of its row. */
  readonly pass?: number;
  /** What a view made of it: while the row is in memory its values are looked up by name once (40 ns each) and not with every vector. */
  decoded?: readonly FeatureValue[];
  /** The view that they are in the order of. */
  decodedFor?: object;
}

export interface NewRow extends OnlineRow {
  readonly entity: string;
}

/** A page of the rows of a view, in the order of their entities. */
export interface UnseenPage {
  /** Rows that only passes before this one have written are not in the source any more. */
  pass: number;
  /** The entity after which the page begins; '' at first. */
  after: string;
  countMax: number;
}

/** What became of a page. */
export interface Removed {
  /** The last entity of the page; undefined when there is none after it. */
  last: string | undefined;
  /** Those whose rows were taken offline. */
  entities: readonly string[];
  /** To be called after the commit. */
  told: () => void;
}

/**
 * Where the newest rows are kept. Every adapter passes `online-store-conformance.ts`: a row never gives way to one of an earlier pass, nor to an older one
 * of its own, so that writing again, in any order, changes nothing.
 */
export interface OnlineStore {
  /** The newest rows of many entities, in their order; at once when they are in memory. */
  read(
    view: string,
    entities: readonly string[],
  ): readonly (OnlineRow | undefined)[] | Promise<readonly (OnlineRow | undefined)[]>;
  /** Writes in the caller's transaction; what it answers is to be called after the commit. */
  write(tx: Queryable, view: string, rows: readonly NewRow[]): Promise<() => void>;
  /**
   * Takes the rows of a page offline that a full pass has not come by, in the caller's transaction. Each leaves a row that holds for no time and has no
   * values: by it other processes learn of it, and a copy from before cannot come back. It goes with a later pass, `REMOVED_KEPT_MS` after.
   */
  removeUnseen(tx: Queryable, view: string, page: UnseenPage): Promise<Removed>;
  /** From then on no row is answered that was replaced before the call. */
  refresh?(): Promise<void>;
}

interface StoredRow extends OnlineRow {
  entity: string;
}

/** How long what is left of a removed row stays at least: far longer than a row is under way from the database to a cache. */
export const REMOVED_KEPT_MS = 600_000;

/** Whether a row was removed, as SQL. */
export const REMOVED = 'valid_to_ms <= time_ms';
const NOW_MS = '(extract(epoch from clock_timestamp()) * 1000)::bigint';

/** Rows in Postgres: one statement per view and call, along the primary key. */
export class PostgresOnlineStore implements OnlineStore {
  readonly #db: Queryable;

  constructor(db: Queryable) {
    this.#db = db;
  }

  async read(view: string, entities: readonly string[]): Promise<(OnlineRow | undefined)[]> {
    const rows = await this.#db.query<StoredRow>(
      `select entity, time_ms as "timeMs", created_ms as "createdMs", valid_to_ms as "validToMs", feature_values as "values", pass
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
        `insert into feature_online as t (view, entity, time_ms, created_ms, valid_to_ms, feature_values, pass)
         select distinct on (entity) $1, entity, time_ms, created_ms, valid_to_ms, feature_values, pass
         from unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::json[], $7::bigint[])
           as r(entity, time_ms, created_ms, valid_to_ms, feature_values, pass)
         order by entity, pass desc, time_ms desc, created_ms desc, feature_values::text collate "C" desc
         on conflict (view, entity) do update set time_ms = excluded.time_ms, created_ms = excluded.created_ms,
           valid_to_ms = excluded.valid_to_ms, feature_values = excluded.feature_values, pass = excluded.pass, written = excluded.written
         where (excluded.pass, excluded.time_ms, excluded.created_ms, excluded.feature_values::text collate "C")
           >= (t.pass, t.time_ms, t.created_ms, t.feature_values::text collate "C")`,
        [
          view,
          ...columns(rows, ({ entity, timeMs, createdMs, validToMs, values, pass = 0 }) => [
            entity,
            timeMs,
            createdMs,
            validToMs,
            JSON.stringify(values),
            pass,
          ]),
        ],
      );
    }
    return () => {};
  }

  async removeUnseen(tx: Queryable, view: string, { pass, after, countMax }: UnseenPage): Promise<Removed> {
    const [row] = await tx.query<{ last: string | null; count: number; removed: string[] }>(
      `with page as (
         select entity, pass, ${REMOVED} as removed, created_ms from feature_online
         where view = $1 and entity > $2 order by entity limit $4),
       removed as (
         update feature_online t set valid_to_ms = t.time_ms, created_ms = ${NOW_MS}, feature_values = '{}', pass = $3, written = pg_current_xact_id()
         from page p where t.view = $1 and t.entity = p.entity and p.pass < $3 and p.removed is not true returning t.entity),
       gone as (
         delete from feature_online t using page p
         where t.view = $1 and t.entity = p.entity and p.pass < $3 and p.removed and p.created_ms < ${NOW_MS} - $5)
       select (select max(entity) from page) as last, (select count(*) from page) as count, array(select entity from removed) as removed`,
      [view, after, pass, countMax, REMOVED_KEPT_MS],
    );
    const { last, count, removed } = row!;
    return { last: count < countMax ? undefined : last!, entities: removed, told: () => {} };
  }
}
