import { metrics } from '@opentelemetry/api';
import type { Clock } from '../../kernel/clock.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Database, Queryable } from '../../store/database.ts';
import { Poller } from '../../store/poller.ts';
import type { CompiledView } from '../compiled.ts';
import type { RowView } from '../row-view.ts';
import { BROUGHT, type ServedRows } from '../served-rows.ts';
import type { FeatureHorizons } from './horizons.ts';
import { dropPushed } from './pushed-expiry.ts';

/** How old the announcement of what goes is before it goes: by then every process refuses to answer from it. */
export const EXPIRY_GRACE_MS = 60_000;
/** A view is gone through again when so large a part of what it keeps has become old: a pass reads all of its rows. */
const STRIDE = 1 / 32;

const dropped = metrics.getMeter('aios.features').createCounter('aios.features.expired', {
  description: 'Rows of state that were dropped because no vector that may still be asked for needs them',
  unit: '{row}',
});

/** How long a process may still answer with a version that was retired. */
const SERVED_AFTER = "interval '10 minutes'";
/** What a stream view has, by the id of its generation. */
const STATE_TABLES = ['feature_contributions', 'feature_tiles', 'feature_late_events'];

interface Progress {
  keptFromMs: number | null;
  announcedMs: number;
  droppedToMs: number | null;
  cursor: [entity: string, timeMs: number] | null;
}

interface Dependencies {
  db: Database;
  views: { streams(): CompiledView[]; readonly rows: Pick<ServedRows, 'all'> };
  horizons: FeatureHorizons;
  clock: Pick<Clock, 'now'>;
  limits: Pick<Limits, 'featureRetentionMs' | 'featureExpireRowsMax' | 'featureExpirePollMs'>;
  onError?: (error: unknown) => void;
}

/**
 * Drops what no vector that may still be asked for needs: of a stream view the tiles and contributions older than its longest window, its lateness and
 * its retention; online rows that have not counted for as long; of what was pushed all but the newest row from before; all that retired versions had. Of streams first it is announced from when on a view answers, and only then do rows go, page by page.
 *
 * @example await expiry.step() // true while there is more to do
 */
export class FeatureExpiry {
  readonly #deps: Dependencies;
  readonly #poller: Poller;

  constructor(dependencies: Dependencies) {
    this.#deps = dependencies;
    const { limits, onError } = dependencies;
    this.#poller = new Poller({ look: () => this.step(), pollMs: limits.featureExpirePollMs, onError });
  }

  async begin(): Promise<void> {
    await this.#deps.horizons.refresh();
    this.#poller.begin();
  }

  async stop(): Promise<void> {
    await this.#poller.stop();
  }

  /** One transaction for each view; whether any has more to do at once. */
  async step(): Promise<boolean> {
    const { views } = this.#deps;
    let more = false;
    for (const view of views.streams())
      if (Number.isFinite(view.reachMs)) more = (await this.#state(view)) || more;
    for (const view of longestOf(views.rows.all(), this.#deps.limits.featureRetentionMs)) {
      if (Number.isFinite(view.ttlMs)) more = (await this.#online(view)) || more;
      if (view.push !== undefined) more = (await this.#pushed(view)) || more;
    }
    more = (await this.#retiredState()) || more;
    more = (await this.#retired()) || more;
    await this.#deps.horizons.refresh();
    return more;
  }

  #state(view: CompiledView): Promise<boolean> {
    const { db, clock, limits } = this.#deps;
    const now = clock.now();
    const keepMs = view.reachMs + (view.retentionMs ?? limits.featureRetentionMs);
    return db.transaction(async (tx) => {
      // Another process that is at it has the lock.
      const [at] = await tx.query<Progress>(
        `select kept_from_ms as "keptFromMs", kept_announced_ms as "announcedMs", dropped_to_ms as "droppedToMs", dropping as cursor
         from feature_views where id = $1 and status = 'ready' for update skip locked`,
        [view.id],
      );
      if (!at) return false;
      if (at.keptFromMs !== at.droppedToMs) {
        if (now - at.announcedMs < EXPIRY_GRACE_MS) return false;
        return this.#dropPage(tx, view, at.keptFromMs!, at.cursor);
      }
      const keptFromMs = now - keepMs;
      if (at.keptFromMs === null || keptFromMs - at.keptFromMs >= keepMs * STRIDE) {
        await tx.query('update feature_views set kept_from_ms = $2, kept_announced_ms = $3 where id = $1', [
          view.id,
          keptFromMs,
          now,
        ]);
      }
      return false;
    });
  }

  /** Along the primary key from where the page before ended: by time there is no index, which every event would have to pay for. */
  async #dropPage(
    tx: Queryable,
    view: CompiledView,
    keptFromMs: number,
    cursor: Progress['cursor'],
  ): Promise<boolean> {
    const countMax = this.#deps.limits.featureExpireRowsMax;
    const [table, time] = view.plan ? ['feature_tiles', 'start_ms'] : ['feature_contributions', 'time_ms'];
    const after = cursor ?? ['', Number.MIN_SAFE_INTEGER];
    const [last] = await tx.query<{ entity: string; timeMs: number }>(
      `select entity, ${time} as "timeMs" from ${table} where view = $1 and (entity, ${time}) > ($2, $3)
       order by entity, ${time} offset $4 limit 1`,
      [view.id, ...after, countMax - 1],
    );
    const until = last ? `and (entity, ${time}) <= ($5, $6)` : '';
    const gone = await tx.query(
      `delete from ${table} where view = $1 and (entity, ${time}) > ($2, $3) and ${time} < $4 ${until} returning 1`,
      [view.id, ...after, keptFromMs, ...(last ? [last.entity, last.timeMs] : [])],
    );
    const late = await tx.query(
      `delete from feature_late_events where ctid = any(array(
         select ctid from feature_late_events where view = $1 and time_ms < $2 limit $3)) returning 1`,
      [view.id, keptFromMs, countMax],
    );
    dropped.add(gone.length + late.length, { view: view.name });
    await tx.query('update feature_views set dropping = $2, dropped_to_ms = $3 where id = $1', [
      view.id,
      last ? JSON.stringify([last.entity, last.timeMs]) : null,
      last ? null : keptFromMs,
    ]);
    return last !== undefined;
  }

  /** Newest rows that have counted for nothing since `retention` after their `ttl`: entities that were not seen for long. */
  async #online({ name, kept, ttlMs, retentionMs }: RowView): Promise<boolean> {
    const { db, clock, limits } = this.#deps;
    const beforeMs = clock.now() - ttlMs - (retentionMs ?? limits.featureRetentionMs);
    const gone = await db.query(
      `delete from feature_online where ctid = any(array(
         select ctid from feature_online where view = $1 and time_ms < $2 limit $3 for update skip locked)) returning 1`,
      [kept, beforeMs, limits.featureExpireRowsMax],
    );
    dropped.add(gone.length, { view: name });
    return gone.length === limits.featureExpireRowsMax;
  }

  /** The state of a generation of a stream view that no process reads any more; its own row goes last. */
  #retiredState(): Promise<boolean> {
    const { db, limits } = this.#deps;
    return db.transaction(async (tx) => {
      const [gone] = await tx.query<{ id: number; name: string }>(
        `select id, name from feature_views where retired_at < now() - ${SERVED_AFTER} order by id limit 1 for update skip locked`,
      );
      if (!gone) return false;
      const pages = await Promise.all(
        STATE_TABLES.map((table) =>
          tx.query(
            `delete from ${table} where ctid = any(array(select ctid from ${table} where view = $1 limit $2)) returning 1`,
            [gone.id, limits.featureExpireRowsMax],
          ),
        ),
      );
      for (const page of pages) dropped.add(page.length, { view: gone.name });
      if (pages.every(({ length }) => length === 0))
        await tx.query('delete from feature_views where id = $1', [gone.id]);
      return true;
    });
  }

  /** Rows of versions of batch views that no process reads any more, unless a pass brings them online again. */
  async #retired(): Promise<boolean> {
    const { db, limits } = this.#deps;
    const [gone] = await db.query<{ view: string; kept: string }>(
      `select view, kept from feature_materializations m where retired_at < now() - ${SERVED_AFTER} and dropped_at is null
         and not exists (select from feature_materializations o where o.kept = m.kept
           and (o.status = 'running' or ${BROUGHT})) limit 1`,
    );
    if (!gone) return false;
    const { view, kept } = gone;
    // None of a pass that has begun meanwhile.
    const rows = await db.query(
      `delete from feature_online where ctid = any(array(
         select ctid from feature_online where view = $1
           and pass <= (select max(number) from feature_materializations where kept = $1 and retired_at is not null)
         limit $2 for update skip locked)) returning 1`,
      [kept, limits.featureExpireRowsMax],
    );
    dropped.add(rows.length, { view });
    if (rows.length === limits.featureExpireRowsMax) return true;
    await db.query(
      'update feature_materializations set dropped_at = now() where kept = $1 and retired_at is not null',
      [kept],
    );
    return true;
  }

  /** What was pushed, but for the newest row of each entity from before the time that may still be asked for. */
  async #pushed({ name, retentionMs }: RowView): Promise<boolean> {
    const { db, clock, limits } = this.#deps;
    const { dropped: gone, more } = await dropPushed(db, {
      view: name,
      nowMs: clock.now(),
      retentionMs: retentionMs ?? limits.featureRetentionMs,
      rowsMax: limits.featureExpireRowsMax,
      stride: STRIDE,
    });
    dropped.add(gone, { view: name });
    return more;
  }
}

/** Of versions that read the same rows (push views), how long any of them needs these. */
function longestOf(views: readonly RowView[], defaultMs: number): RowView[] {
  return [...Map.groupBy(views, ({ kept }) => kept).values()].map((same) => ({
    ...same[0]!,
    ttlMs: Math.max(...same.map(({ ttlMs }) => ttlMs)),
    retentionMs: Math.max(...same.map(({ retentionMs = defaultMs }) => retentionMs)),
  }));
}
