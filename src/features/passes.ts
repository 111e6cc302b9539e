import type { ErrorCode } from '../kernel/error-codes.ts';
import { AiosError, type Problem } from '../kernel/errors.ts';
import type { Database } from '../store/database.ts';
import { timestamp } from '../store/rows.ts';

/** Work that somebody asked for and that goes on beside its caller: a materialization, a historical join of files, a dataset that is made. */
export interface Pass {
  readonly id: string;
  readonly status: 'running' | 'done' | 'failed' | 'canceled';
  readonly requestedBy: string;
  readonly requestedAt: number;
  readonly endedAt: number | null;
  readonly problem: Problem | null;
}

const COLUMNS = `id, status, requested_by as "requestedBy", requested_at as "requestedAt", ended_at as "endedAt", problem`;

interface TableOptions {
  readonly db: Database;
  readonly name: string;
  /** What a row has besides the columns of every pass, as SQL. */
  readonly columns: string;
  /** When there is no such pass. */
  readonly unknown: ErrorCode;
}

/**
 * The rows of one kind of pass.
 *
 * @example await new PassTable<FileJoinPass>({ db, name: 'feature_joins', columns: 'out_file as "out"', unknown }).get('fjn_…')
 */
export class PassTable<Row extends Pass> {
  readonly name: string;
  /** All columns of a row, as SQL. */
  readonly columns: string;
  readonly #options: TableOptions;

  constructor(options: TableOptions) {
    this.#options = options;
    this.name = options.name;
    this.columns = `${COLUMNS}, ${options.columns}`;
  }

  /** The newest first; with `where`, those whose column has the value. */
  list(countMax: number, where?: { column: string; value: string }): Promise<Row[]> {
    return this.#options.db.query(
      `select ${this.columns} from ${this.name} ${where ? `where ${where.column} = $2` : ''}
       order by requested_at desc, id desc limit $1`,
      where ? [countMax, where.value] : [countMax],
    );
  }

  /** @throws AiosError that there is none */
  async get(id: string): Promise<Row> {
    const [found] = await this.#options.db.query<Row>(
      `select ${this.columns} from ${this.name} where id = $1`,
      [id],
    );
    if (!found) throw new AiosError(this.#options.unknown, { detail: `There is no “${id}”.` });
    return found;
  }

  /** Of one that runs; with `owner`, only while that holds it. */
  async fail(id: string, problem: Problem, at: number, owner?: string): Promise<void> {
    await this.#options.db.query(
      `update ${this.name} set status = 'failed', problem = $2, ended_at = $3
       where id = $1 and status = 'running' ${owner === undefined ? '' : 'and owner = $4'}`,
      [id, JSON.stringify(problem), timestamp(at), ...(owner === undefined ? [] : [owner])],
    );
  }
}
