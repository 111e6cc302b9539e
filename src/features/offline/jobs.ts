import { isAbsolute, join, resolve, sep } from 'node:path';
import { AiosError } from '../../kernel/errors.ts';
import type { Limits } from '../../kernel/limits.ts';
import { DuckDb } from './duckdb.ts';

type JobLimits = Pick<
  Limits,
  'offlineJobsMax' | 'offlineMemoryBytesMax' | 'offlineThreadsMax' | 'offlineSpillBytesMax'
>;

/**
 * Jobs over files below the folders that the operator allows, a few at once: each has a DuckDB of its own, and what comes beyond waits for its turn.
 *
 * @example await jobs.run((duck) => duck.all('select 1 as one')) // [{ one: 1 }]
 */
export class OfflineJobs {
  readonly #folders: readonly string[];
  readonly #limits: JobLimits;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(folders: readonly string[], limits: JobLimits) {
    this.#folders = folders.map((folder) => resolve(folder));
    this.#limits = limits;
  }

  /**
   * Where a file of a definition or a request lies: a relative path is below the first folder. Links inside a folder are the operator's.
   *
   * @throws AiosError `features.file_not_allowed`
   */
  locate(path: string): string {
    const [first] = this.#folders;
    const located = isAbsolute(path) || first === undefined ? resolve(path) : join(first, path);
    if (this.#folders.some((folder) => located.startsWith(folder + sep))) return located;
    throw new AiosError('features.file_not_allowed', {
      detail: `${path}: AIOS_FEATURE_FOLDERS allows ${this.#folders.join(', ') || 'no folder'}.`,
    });
  }

  /** Runs a job when it is its turn. @throws AiosError as `DuckDb.open` and the job do */
  async run<Result>(job: (duck: DuckDb) => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    const duck = await this.open(signal);
    try {
      return await duck.use(job);
    } finally {
      await duck.close();
    }
  }

  /** A DuckDB that holds its turn until it is closed. @throws AiosError as `DuckDb.open` does */
  async open(signal?: AbortSignal): Promise<OpenJob> {
    if (this.#running >= this.#limits.offlineJobsMax)
      await new Promise<void>((admit) => this.#waiting.push(admit)); // whoever ends hands its place over
    else this.#running++;
    try {
      const duck = await DuckDb.open({ folders: this.#folders, limits: this.#limits, signal });
      return new OpenJob(duck, () => this.#leave());
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#running--;
  }
}

/** A job that goes on over several calls. */
export class OpenJob {
  readonly #duck: DuckDb;
  readonly #leave: () => void;
  #closed: Promise<void> | undefined;

  constructor(duck: DuckDb, leave: () => void) {
    this.#duck = duck;
    this.#leave = leave;
  }

  use<Result>(work: (duck: DuckDb) => Promise<Result>): Promise<Result> {
    return work(this.#duck);
  }

  /** Once, however often it is called. */
  close(): Promise<void> {
    this.#closed ??= this.#duck.close().finally(this.#leave);
    return this.#closed;
  }
}
