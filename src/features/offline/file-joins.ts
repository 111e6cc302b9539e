import type { Clock } from '../../kernel/clock.ts';
import { AiosError, type Problem, toAiosError } from '../../kernel/errors.ts';
import { newId } from '../../kernel/ids.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Database } from '../../store/database.ts';
import { type Committer, type Lane, Refused, type Write, write } from '../../store/group-commit.ts';
import { timestamp } from '../../store/rows.ts';
import { PassLoop } from '../pass-loop.ts';
import type { FileJoin, HistoricalFiles } from './historical-files.ts';

/** A historical join of files that somebody asked for. */
export interface FileJoinPass {
  readonly id: string;
  readonly service: string;
  readonly entities: string;
  readonly out: string;
  readonly timestamp: string | null;
  readonly recordedByMs: number | null;
  readonly status: 'running' | 'done' | 'failed' | 'canceled';
  /** Rows so far, and all there are (null until they were counted). */
  readonly rows: number;
  readonly total: number | null;
  readonly requestedBy: string;
  readonly requestedAt: number;
  readonly endedAt: number | null;
  readonly problem: Problem | null;
}

interface Item extends FileJoin {
  id: string;
  by: string;
  at: number;
}

/** A gate: one at a time for a file that is written. */
const asking: Lane<Item> = {
  name: 'historical joins of files',
  order: 49,
  gate: true,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const { id, service, entities, out, timestamp: column, recordedByMs, by, at } of items) {
      await tx.query(
        `insert into feature_joins (id, service, entities, out_file, timestamp_column, recorded_by_ms, requested_by, requested_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`,
        [id, service, entities, out, column ?? null, recordedByMs ?? null, by, timestamp(at)],
      );
      const [own] = await tx.query('select from feature_joins where id = $1', [id]);
      const detail = `Another join writes ${out}.`;
      results.push(own ? undefined : new Refused(new AiosError('features.file_exists', { detail })));
    }
    return results as Refused[];
  },
};

interface Cancelation {
  id: string;
  at: number;
}

/** A gate: one that has ended is not canceled. */
const canceling: Lane<Cancelation> = {
  name: 'cancelations of historical joins',
  order: 49,
  gate: true,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const { id, at } of items) {
      const rows = await tx.query(
        `update feature_joins set status = 'canceled', ended_at = $2
         where id = $1 and (status = 'running' or status = 'canceled' and ended_at = $2) returning id`,
        [id, timestamp(at)],
      );
      results.push(rows.length > 0 ? undefined : new Refused(ended(id)));
    }
    return results as Refused[];
  },
};

function ended(id: string): AiosError {
  return new AiosError('features.join_ended', { detail: `The join ${id} is not running.` });
}

const COLUMNS = `id, service, entities, out_file as "out", timestamp_column as "timestamp", recorded_by_ms as "recordedByMs", status, done as "rows",
  total, requested_by as "requestedBy", requested_at as "requestedAt", ended_at as "endedAt", problem`;

interface Dependencies {
  db: Database;
  commit: Committer;
  clock: Pick<Clock, 'now'>;
  files: Pick<HistoricalFiles, 'check' | 'run'>;
  limits: Pick<Limits, 'featureMaterializePollMs' | 'offlineJobLeaseMs'>;
  onError?: (error: unknown) => void;
}

/**
 * Historical joins of files as passes that are asked for, watched and canceled. A process works on one under a lease; when it dies another begins it anew,
 * since what is written is only there once it is whole.
 *
 * @example await joins.start({ service: 'risk', entities: 'orders.parquet', out: 'training.parquet' }, 'ann', []) // 'fjn_…'
 */
export class FileJoins {
  readonly #deps: Dependencies;
  /** Who holds a lease. */
  readonly #owner = newId('wrk');
  readonly #loop: PassLoop;

  constructor(dependencies: Dependencies) {
    this.#deps = dependencies;
    const { limits, onError } = dependencies;
    this.#loop = new PassLoop({
      step: () => this.step(),
      pollMs: limits.featureMaterializePollMs,
      onError,
    });
  }

  /**
   * Asks for a join, committed with `records`; some process begins it at once.
   *
   * @throws AiosError what `HistoricalFiles.check` refuses; `features.file_exists` when another writes that file
   */
  async start(join: FileJoin, by: string, records: readonly Write[]): Promise<string> {
    this.#deps.files.check(join);
    const item: Item = { ...join, id: newId('fjn'), by, at: this.#deps.clock.now() };
    await this.#deps.commit.commit([write(asking, item), ...records]);
    this.#loop.wake();
    return item.id;
  }

  /** Ends one that runs, committed with `records`; its process notices within a third of the lease. @throws AiosError `features.unknown_join`, `features.join_ended` */
  async cancel(id: string, records: readonly Write[]): Promise<void> {
    const { status } = await this.get(id);
    if (status !== 'running') throw ended(id);
    await this.#deps.commit.commit([write(canceling, { id, at: this.#deps.clock.now() }), ...records]);
  }

  /** The newest first. */
  list(countMax = 100): Promise<FileJoinPass[]> {
    return this.#deps.db.query(
      `select ${COLUMNS} from feature_joins order by requested_at desc, id desc limit $1`,
      [countMax],
    );
  }

  /** @throws AiosError `features.unknown_join` */
  async get(id: string): Promise<FileJoinPass> {
    const [found] = await this.#deps.db.query<FileJoinPass>(
      `select ${COLUMNS} from feature_joins where id = $1`,
      [id],
    );
    if (!found) throw new AiosError('features.unknown_join', { detail: `There is no ${id}.` });
    return found;
  }

  /** Works on what is asked for, in this process or another, until `stop`. */
  begin(): void {
    this.#loop.begin();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  /** Works on one join to its end; false when there is none to work on. */
  async step(): Promise<boolean> {
    const { db, limits } = this.#deps;
    const [join] = await db.query<FileJoinPass>(
      `update feature_joins set owner = $1, lease_until = clock_timestamp() + $2 * interval '1 millisecond', done = 0, total = null
       where id = (select id from feature_joins where status = 'running' and (lease_until is null or lease_until < clock_timestamp())
         order by requested_at, id limit 1 for update skip locked) returning ${COLUMNS}`,
      [this.#owner, limits.offlineJobLeaseMs],
    );
    if (!join) return false;
    await this.#work(join);
    return true;
  }

  async #work(join: FileJoinPass): Promise<void> {
    const { db, files, limits } = this.#deps;
    const lost = new AbortController();
    const signal = AbortSignal.any([lost.signal, this.#loop.signal]);
    let seen = { rows: 0, total: null as number | null };
    const renew = async () => {
      const kept = await db.query(
        `update feature_joins set lease_until = clock_timestamp() + $3 * interval '1 millisecond', done = $4, total = $5
         where id = $1 and owner = $2 and status = 'running' returning id`,
        [join.id, this.#owner, limits.offlineJobLeaseMs, seen.rows, seen.total],
      );
      if (kept.length === 0) lost.abort(); // canceled, or another process has taken it
    };
    const renewing = setInterval(
      () => renew().catch((error: unknown) => this.#deps.onError?.(error)),
      limits.offlineJobLeaseMs / 3,
    );
    let problem: Problem | null = null;
    try {
      const asked = {
        ...join,
        timestamp: join.timestamp ?? undefined,
        recordedByMs: join.recordedByMs ?? undefined,
      };
      await files.run(asked, {
        signal,
        progress: (rows, total) => {
          seen = { rows, total };
        },
      });
    } catch (error) {
      problem = toAiosError(error).toProblem();
    } finally {
      clearInterval(renewing);
    }
    if (signal.aborted && problem) await this.#release(join.id);
    else await this.#end(join.id, seen, problem);
  }

  /** Another process may take it at once. */
  async #release(id: string): Promise<void> {
    await this.#deps.db.query(
      'update feature_joins set owner = null, lease_until = null, done = 0 where id = $1 and owner = $2',
      [id, this.#owner],
    );
  }

  async #end(
    id: string,
    seen: { rows: number; total: number | null },
    problem: Problem | null,
  ): Promise<void> {
    await this.#deps.db.query(
      `update feature_joins set status = $3, problem = $4, done = $5, total = $6, ended_at = $7, lease_until = null
       where id = $1 and owner = $2 and status = 'running'`,
      [
        id,
        this.#owner,
        problem ? 'failed' : 'done',
        problem && JSON.stringify(problem),
        seen.rows,
        seen.total,
        timestamp(this.#deps.clock.now()),
      ],
    );
  }
}
