import type { Clock } from '../kernel/clock.ts';
import { AiosError, toAiosError } from '../kernel/errors.ts';
import { newId } from '../kernel/ids.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Changes } from '../store/changes.ts';
import { classify, type Database, type Queryable } from '../store/database.ts';
import type { Committer } from '../store/group-commit.ts';
import { type Lane, Refused, type Write, write } from '../store/lane.ts';
import { Poller } from '../store/poller.ts';
import { timestamp } from '../store/rows.ts';
import { entityKey } from './compiled.ts';
import type { FeatureFreshness } from './freshness.ts';
import { type Pass, PassTable } from './passes.ts';
import type { RowStores } from './row-features.ts';
import type { RowView } from './row-view.ts';
import { BROUGHT, type ServedRows } from './served-rows.ts';
import type { FeatureViews } from './views.ts';

/** One pass over a table or over files: the newest row of each entity goes to the online store. */
export interface Materialization extends Pass {
  readonly view: string;
  readonly version: number;
  readonly mode: 'full' | 'incremental';
  /** Only what came in, or was closed, after this; all when null. */
  readonly fromMs: number | null;
  readonly toMs: number;
  /** Entities so far, and all there are to go through (null until they were counted). */
  readonly entities: number;
  readonly total: number | null;
  /** Entities that it took offline: the source has no row of them any more. */
  readonly removed: number;
  /** The newest time of a row that it wrote. */
  readonly newestMs: number | null;
}

interface Item {
  id: string;
  view: string;
  version: number;
  kept: string;
  mode: 'full' | 'incremental';
  toMs: number;
  by: string;
  at: number;
  overlapMs: number;
  /** A version that is brought along: a pass of it that is under way is no fault. */
  isAlong: boolean;
}

/**
 * A gate: one at a time over the same rows. An incremental one begins some time before the last one of them ended: a row may be committed after its time. None
 * ends before one that is done did, though it be asked of another clock: what that saw, it sees.
 */
const lane: Lane<Item> = {
  name: 'materializations of features',
  order: 44,
  gate: true,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const { id, view, version, kept, mode, toMs, by, at, overlapMs, isAlong } of items) {
      await tx.query(
        `insert into feature_materializations (id, view, version, kept, mode, from_ms, to_ms, requested_by, requested_at)
         select $1, $2, $3, $4, $5, case when $5 = 'incremental' then max(to_ms) - $9::bigint end, greatest($6, max(to_ms)), $7, $8
         from feature_materializations where kept = $4 and ${BROUGHT}
         on conflict do nothing`,
        [id, view, version, kept, mode, toMs, by, timestamp(at), overlapMs],
      );
      const [own] = await tx.query('select from feature_materializations where id = $1', [id]);
      const detail = `Version ${version} of the view “${view}” is being materialized.`;
      results.push(
        own || isAlong ? undefined : new Refused(new AiosError('features.materializing', { detail })),
      );
    }
    return results as Refused[];
  },
};

/** Passes by when they ended, but for the one of the rows of each version of a view that the next incremental pass goes on from. */
export const materializationRecords = {
  table: 'feature_materializations',
  over: `status <> 'running' and ended_at < $1 and (status <> 'done' or dropped_at is not null or exists (select from feature_materializations newer
    where newer.kept = feature_materializations.kept and newer.status = 'done'
      and (newer.to_ms, newer.id) > (feature_materializations.to_ms, feature_materializations.id)))`,
};

const COLUMNS =
  'view, version, mode, from_ms as "fromMs", to_ms as "toMs", entities, total, removed, newest_ms as "newestMs"';

/** What a pass becomes with its last page, as SQL. */
const DONE = ", status = 'done', ended_at = now()";

type Running = Materialization & {
  number: number | null;
  /** The keys up to which the source was gone through. */
  cursor: string[] | null;
  /** The entity up to which what the source has no more went offline; null until all of the source was gone through. */
  removedTo: string | null;
};

interface Dependencies {
  db: Database;
  commit: Committer;
  views: Pick<FeatureViews, 'brought'> & { readonly rows: Pick<ServedRows, 'toBring' | 'version'> };
  rows: Pick<RowStores, 'online' | 'tables'>;
  clock: Pick<Clock, 'now'>;
  freshness: Pick<FeatureFreshness, 'note'>;
  changes?: Changes;
  limits: Pick<
    Limits,
    'featureMaterializeRowsMax' | 'featureMaterializePollMs' | 'featureMaterializeOverlapMs'
  >;
  onError?: (error: unknown) => void;
}

/**
 * Materializes batch views, page by page: rows, progress and the place to go on from are one transaction under the lock of the pass, so that any
 * process goes on where a dead one ended and counts nothing twice. A pass that has gone through all of a source then goes through what is online, and takes
 * offline what it has not come by: an entity that the source has is never missing in between.
 *
 * @example await materializations.start({ view: 'prices', mode: 'full', by: 'ann' }, []) // 'mat_…'
 */
export class Materializations {
  readonly #deps: Dependencies;
  readonly #poller: Poller;
  readonly #table: PassTable<Materialization>;

  constructor(dependencies: Dependencies) {
    this.#deps = dependencies;
    const { db, limits, changes, onError } = dependencies;
    this.#table = new PassTable({
      db,
      name: 'feature_materializations',
      columns: COLUMNS,
      unknown: 'features.unknown_materialization',
    });
    this.#poller = new Poller({
      look: () => this.step(),
      pollMs: limits.featureMaterializePollMs,
      changes,
      tables: ['feature_materializations'],
      isLeftByOthers: true, // a pass whose process dies
      onError,
    });
  }

  /**
   * Asks for a pass over the newest version of a view, committed with `records`; some process begins it at once. Older versions that somebody is held to
   * are brought along, each by a pass of its own.
   *
   * @returns the id of the pass over the newest version
   * @throws AiosError `features.unknown_view`, `features.not_materialized`, `features.materializing`
   */
  async start(
    { view: name, mode, by }: { view: string; mode: 'full' | 'incremental'; by: string },
    records: readonly Write[],
  ): Promise<string> {
    const [view, ...held] = this.#deps.views.rows.toBring(name);
    if (!view) throw new AiosError('features.unknown_view', { detail: `There is no batch view “${name}”.` });
    if (view.push !== undefined || !view.isOnline) {
      throw new AiosError('features.not_materialized', {
        detail: `The view “${name}” ${view.push === undefined ? 'is for history only' : 'takes what is pushed'}.`,
      });
    }
    const now = this.#deps.clock.now();
    const { featureMaterializeOverlapMs: overlapMs } = this.#deps.limits;
    const passOf = ({ version, kept }: RowView): Item => ({
      ...{ id: newId('mat'), view: name, version, kept, mode, toMs: now, by, at: now, overlapMs },
      isAlong: version !== view.version,
    });
    const passes = [view, ...held.filter(({ isOnline }) => isOnline)].map(passOf);
    await this.#deps.commit.commit([...passes.map((pass) => write(lane, pass)), ...records]);
    this.#poller.wake();
    return passes[0]!.id;
  }

  /** The newest passes first, of one view or of all. */
  list(view?: string, countMax = 100): Promise<Materialization[]> {
    return this.#table.list(countMax, view === undefined ? undefined : { column: 'view', value: view });
  }

  /** @throws AiosError `features.unknown_materialization` */
  get(id: string): Promise<Materialization> {
    return this.#table.get(id);
  }

  /** Works on what is asked for, in this process or another, until `stop`. */
  begin(): void {
    this.#poller.begin();
  }

  async stop(): Promise<void> {
    await this.#poller.stop();
    await this.#deps.rows.tables.close?.();
  }

  /** Writes one page of one pass; false when there is none to work on. */
  async step(): Promise<boolean> {
    let pass: Running | undefined;
    try {
      const told = await this.#deps.db.transaction(async (tx) => {
        [pass] = await tx.query<Running>(
          `select ${this.#table.columns}, number, cursor, removed_to as "removedTo" from feature_materializations where status = 'running'
           order by requested_at, id limit 1 for update skip locked`,
        );
        return pass && (await this.#work(tx, pass));
      });
      await told?.();
      return told !== undefined;
    } catch (error) {
      const failure = classify(error);
      if (!pass || failure === 'lost' || failure === 'race') throw error;
      await this.#table.fail(pass.id, toAiosError(error).toProblem(), this.#deps.clock.now());
      return true;
    }
  }

  async #work(tx: Queryable, pass: Running): Promise<() => Promise<void>> {
    const { views } = this.#deps;
    const view = await views.rows.version(pass.view, pass.version);
    if (!view || view.push !== undefined)
      throw new AiosError('features.unknown_view', {
        detail: `There is no batch view “${pass.view}” any more.`,
      });
    if (pass.removedTo !== null) return this.#remove(tx, pass, view, pass.removedTo);
    const number = pass.number ?? (await nextNumber(tx));
    return this.#page(tx, { ...pass, number }, view);
  }

  /** A page of the source. */
  async #page(
    tx: Queryable,
    pass: Running & { number: number },
    view: RowView,
  ): Promise<() => Promise<void>> {
    const { rows, limits } = this.#deps;
    const span = { fromMs: pass.fromMs ?? undefined, toMs: pass.toMs };
    const total = pass.total ?? (await rows.tables.count(tx, view, span));
    const countMax = limits.featureMaterializeRowsMax;
    const page = await rows.tables.page(tx, view, { ...span, after: pass.cursor ?? undefined, countMax });
    const isLast = page.length < countMax;
    const newestMs = page.reduce((newest, { timeMs }) => Math.max(newest, timeMs), pass.newestMs ?? 0);
    // What came in since some time says nothing of what is gone.
    const next = pass.fromMs === null ? ", removed_to = ''" : DONE;
    const [told] = await Promise.all([
      rows.online.write(
        tx,
        view.kept,
        // A row whose key is an empty text is nobody's: what names no entity would find it.
        page
          .map(({ keys, ...row }) => ({ ...row, entity: entityOf(view, keys), pass: pass.number }))
          .filter(({ entity }) => entity !== ''),
      ),
      tx.query(
        `update feature_materializations set number = $2, total = $3, entities = entities + $4, newest_ms = $5,
           cursor = $6${isLast ? next : ''} where id = $1`,
        [
          pass.id,
          pass.number,
          total,
          page.length,
          newestMs === 0 ? null : newestMs,
          JSON.stringify(page.at(-1)?.keys ?? pass.cursor),
        ],
      ),
    ]);
    return async () => {
      told();
      if (newestMs > 0) this.#deps.freshness.note(view.name, newestMs);
      if (isLast && pass.fromMs !== null) await this.#deps.views.brought(view);
    };
  }

  /** A page of what is online: what the pass has not come by goes. */
  async #remove(
    tx: Queryable,
    { id, number }: Running,
    view: RowView,
    after: string,
  ): Promise<() => Promise<void>> {
    const { rows, limits, views } = this.#deps;
    const page = { pass: number!, after, countMax: limits.featureMaterializeRowsMax };
    const { last, entities, told } = await rows.online.removeUnseen(tx, view.kept, page);
    await tx.query(
      `update feature_materializations set removed = removed + $2, removed_to = $3${last === undefined ? DONE : ''} where id = $1`,
      [id, entities.length, last ?? null],
    );
    return async () => {
      told();
      if (last === undefined) await views.brought(view);
    };
  }
}

async function nextNumber(tx: Queryable): Promise<number> {
  const [row] = await tx.query<{ number: number }>("select nextval('feature_pass_numbers') as number");
  return row!.number;
}

function entityOf({ name, joinKeys }: RowView, keys: readonly string[]): string {
  const values: JsonObject = Object.fromEntries(joinKeys.map((key, index) => [key, keys[index]!]));
  return entityKey(name, joinKeys, (key) => values[key]) ?? '';
}
