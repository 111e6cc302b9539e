import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { AiosError, toAiosError } from '../kernel/errors.ts';
import type { Database, Queryable } from '../store/database.ts';
import type { CompiledView } from './compiled.ts';
import { type Collected, collect, nothingCollected, writeCollected } from './storage.ts';

/** A generation of what versions of a stream view mean, as its row says it. */
export interface ViewRow {
  id: number;
  name: string;
  /** The newest version that it is the state of. */
  version: number;
  /** What versions share it for. */
  meaning: string;
  status: 'requested' | 'copied' | 'building' | 'ready' | 'retired';
  /** The stream keeps it: until a while after it is retired. */
  isFed: boolean;
  /** Per log partition: the offset from which the stream keeps the view. */
  joined: number[];
  /** Of a generation that builds a range anew: the offsets before which it holds the rest already. */
  copied: number[] | null;
  rangeFrom: number;
  rangeTo: number;
  includeLate: boolean;
  joinNumber: number;
}

/** Where the log begins, once some of it was dropped. */
export interface KeptLog {
  /** Everything that was recorded since is there. */
  readonly sinceMs: number;
  /** False while nothing has ever been dropped. */
  readonly isDropped: boolean;
  /** The offset at which each partition begins. */
  readonly first: readonly number[];
}

export interface BuildingFromLog {
  db: Database;
  /** The events of a partition from an offset on that is still there. */
  readLog(partition: number, offset: number, countMax: number): Promise<LoggedEvent[]>;
  /** Nothing where the log was never opened. */
  logBegin(tx: Queryable): Promise<KeptLog | undefined>;
  /** Told of events of the past that a view cannot be built from: they are left out of it. */
  onError?: ((error: AiosError) => void) | undefined;
}

const BACKFILL_BATCH = 500;

/**
 * Goes on where an earlier try ended, beside another process that builds the same view, too. A view is built from what the log still has; a back-fill of
 * which a part was dropped meanwhile is given up, since what is served has counted it.
 */
export async function buildFromLog(
  building: BuildingFromLog,
  row: ViewRow,
  view: CompiledView,
): Promise<void> {
  for (const partition of row.joined.keys()) while (await buildBatch(building, row, view, partition));
  const begin = row.copied === null ? undefined : await building.logBegin(building.db);
  if (begin?.isDropped && begin.sinceMs > row.rangeFrom) return giveUp(building, row, begin);
  await building.db.query(
    "update feature_views set status = 'ready', ready_at = now() where id = $1 and status = 'building'",
    [row.id],
  );
}

async function giveUp({ db, onError }: BuildingFromLog, row: ViewRow, { sinceMs }: KeptLog): Promise<void> {
  await db.query(
    "update feature_views set status = 'retired', retired_at = now() where id = $1 and status = 'building'",
    [row.id],
  );
  const since = new Date(sinceMs).toISOString();
  onError?.(
    new AiosError('features.backfill_gone', {
      detail: `A part of the range was dropped while the view “${row.name}” was built anew, and it stays as it was. The log begins at ${since}.`,
    }),
  );
}

/** Each batch moves `built` in its own transaction, under the lock of the view's row: tiles must not be added twice. */
function buildBatch(
  { db, readLog, logBegin, onError }: BuildingFromLog,
  row: ViewRow,
  view: CompiledView,
  partition: number,
): Promise<boolean> {
  const firstKept = async (tx: Queryable) => (await logBegin(tx))?.first[partition] ?? 0;
  return db.transaction(async (tx) => {
    const [at] = await tx.query<{ next: number; end: number }>(
      'select built[$2::int] as next, joined[$2::int] as end from feature_views where id = $1 for update',
      [view.id, partition + 1],
    );
    if (!at) return false;
    const from = Math.max(at.next, await firstKept(tx));
    if (from >= at.end) return false; // the rest is the stream's
    const events = await readLog(partition, from, Math.min(BACKFILL_BATCH, at.end - from));
    if (events.length === 0) return (await firstKept(tx)) > from; // dropped meanwhile
    const collected = nothingCollected();
    for (const logged of events) {
      try {
        if (logged.event.type === view.eventType) collectPast(row, view, logged, collected);
      } catch (error) {
        onError?.(toAiosError(error)); // the stream puts such an event aside as a dead letter
      }
    }
    await writeCollected(tx, collected);
    await tx.query('update feature_views set built[$2::int] = $3 where id = $1', [
      view.id,
      partition + 1,
      events.at(-1)!.offset + 1,
    ]);
    return true;
  });
}

/** What an event of the past means to a view: to a generation that holds all but a range already, only the range. */
function collectPast(
  { copied, rangeFrom, rangeTo, includeLate }: ViewRow,
  view: CompiledView,
  logged: LoggedEvent,
  collected: Collected,
): void {
  if (copied && logged.offset < copied[logged.partition]!) {
    if (logged.timeMs < rangeFrom || logged.timeMs >= rangeTo) return;
    collect(view, logged, collected, includeLate);
  } else collect(view, logged, collected);
}
