import type { Clock } from '../../kernel/clock.ts';
import { AiosError } from '../../kernel/errors.ts';
import { newId } from '../../kernel/ids.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Changes } from '../../store/changes.ts';
import type { Database } from '../../store/database.ts';
import type { Committer } from '../../store/group-commit.ts';
import { type Lane, Refused, type Write, write } from '../../store/lane.ts';
import { timestamp } from '../../store/rows.ts';
import { LEASED_COLUMNS, type LeasedPass, LeasedPasses, type PassWatch } from '../leased-passes.ts';
import { PassTable } from '../passes.ts';
import type { FileJoin, HistoricalFiles } from './historical-files.ts';

/** A historical join of files that somebody asked for. */
export interface FileJoinPass extends LeasedPass {
  readonly service: string;
  readonly entities: string;
  readonly out: string;
  readonly timestamp: string | null;
  readonly recordedByMs: number | null;
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

/** Joins that have ended; their files stay. */
export const fileJoinRecords = { table: 'feature_joins', over: "status <> 'running' and ended_at < $1" };

const COLUMNS = `service, entities, out_file as "out", timestamp_column as "timestamp", recorded_by_ms as "recordedByMs", ${LEASED_COLUMNS}`;

interface Dependencies {
  db: Database;
  commit: Committer;
  clock: Pick<Clock, 'now'>;
  files: Pick<HistoricalFiles, 'check' | 'run'>;
  changes?: Changes;
  limits: Pick<Limits, 'featureMaterializePollMs' | 'passLeaseMs' | 'passProgressMs' | 'passAttemptsMax'>;
  onError?: (error: unknown) => void;
}

/**
 * Historical joins of files as passes that are asked for, watched and canceled. A process works on one under a lease; when it dies another begins it anew,
 * since what is written is only there once it is whole.
 *
 * @example await joins.start({ service: 'risk', entities: 'orders.parquet', out: 'training.parquet' }, 'ann', []) // 'fjn_…'
 */
export class FileJoins {
  readonly passes: LeasedPasses<FileJoinPass>;
  readonly #deps: Dependencies;
  readonly #table: PassTable<FileJoinPass>;

  constructor(dependencies: Dependencies) {
    this.#deps = dependencies;
    this.#table = new PassTable({
      db: dependencies.db,
      name: 'feature_joins',
      columns: COLUMNS,
      unknown: 'features.unknown_join',
    });
    this.passes = new LeasedPasses({
      ...dependencies,
      table: this.#table,
      endedCode: 'features.join_ended',
      work: (join, watch) => this.#work(join, watch),
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
    this.passes.wake();
    return item.id;
  }

  /** The newest first. */
  list(countMax = 100): Promise<FileJoinPass[]> {
    return this.#table.list(countMax);
  }

  /** @throws AiosError `features.unknown_join` */
  get(id: string): Promise<FileJoinPass> {
    return this.#table.get(id);
  }

  async #work(join: FileJoinPass, { signal, progress, end }: PassWatch): Promise<void> {
    const asked = {
      ...join,
      timestamp: join.timestamp ?? undefined,
      recordedByMs: join.recordedByMs ?? undefined,
    };
    await this.#deps.files.run(asked, { signal, progress });
    await this.#deps.commit.commit([end()]);
  }
}
