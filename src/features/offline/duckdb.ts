import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve, sep } from 'node:path';
import type { DuckDBConnection, DuckDBInstance, DuckDBResult, DuckDBValue } from '@duckdb/node-api';
import { AiosError } from '../../kernel/errors.ts';
import type { Limits } from '../../kernel/limits.ts';

type DuckLimits = Pick<Limits, 'offlineMemoryBytesMax' | 'offlineThreadsMax' | 'offlineSpillBytesMax'>;

/** What is bound to `$1`, `$2`, …: an integer past 2^53 as a bigint. */
type DuckParameter = string | number | bigint | boolean | null;

/** Integers are numbers where those hold them exactly, else bigints; decimals are numbers; times are Dates. */
export type DuckRow = Record<string, unknown>;

interface Options {
  /** The folders whose files statements may read and write, with all below them; no others, and nothing of the network. */
  folders: readonly string[];
  limits: DuckLimits;
  /** Ends what runs, and refuses what comes after. */
  signal?: AbortSignal | undefined;
}

/**
 * A DuckDB of one job, in memory: what does not fit its memory it puts into a folder of its own, which goes with it. Its settings are locked, so that
 * a statement reaches no file but those below `folders`. The library (70 MB) is loaded by the first of a process.
 *
 * @example await using duck = await DuckDb.open({ folders: ['/srv/features'], limits });
 * await duck.all('select count(*) as n from read_parquet($1)', ['/srv/features/prices.parquet']) // [{ n: 5000000 }]
 */
export class DuckDb implements AsyncDisposable {
  /** Where statements may put files that go when it is closed. */
  readonly folder: string;
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #signal: AbortSignal | undefined;
  readonly #interrupt: () => void;

  private constructor(
    folder: string,
    instance: DuckDBInstance,
    connection: DuckDBConnection,
    signal: AbortSignal | undefined,
  ) {
    this.folder = folder;
    this.#instance = instance;
    this.#connection = connection;
    this.#signal = signal;
    this.#interrupt = () => connection.interrupt();
    signal?.addEventListener('abort', this.#interrupt);
  }

  /** @throws AiosError `features.offline_failed` when it cannot begin, `features.offline_canceled` */
  static async open({ folders, limits, signal }: Options): Promise<DuckDb> {
    refuseCanceled(signal);
    const { DuckDBInstance } = await import('@duckdb/node-api');
    // The text of a path is compared: a folder is allowed by the name that it was given and by that behind its links.
    const real = await Promise.all(folders.map((folder) => realpath(folder).catch(() => folder)));
    const allowed = new Set([...folders, ...real].map((each) => resolve(each)));
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'aios-offline-')));
    try {
      const instance = await DuckDBInstance.create(':memory:', {
        memory_limit: `${Math.floor(limits.offlineMemoryBytesMax)}B`,
        threads: String(limits.offlineThreadsMax),
        temp_directory: join(folder, 'spill'),
        // Kept order would hold back every row of a result until the rows before it are there.
        preserve_insertion_order: 'false',
        autoinstall_known_extensions: 'false',
        autoload_known_extensions: 'false',
        allow_community_extensions: 'false',
      });
      const connection = await instance.connect();
      const directories = [folder, ...allowed].map((each) => literal(each + sep));
      await connection.run("set TimeZone = 'UTC'");
      // Given with the options above, this one is told but not held (1.5.5).
      await connection.run(`set max_temp_directory_size = '${Math.floor(limits.offlineSpillBytesMax)}B'`);
      await connection.run(`set allowed_directories = [${directories.join(', ')}]`);
      await connection.run('set enable_external_access = false');
      await connection.run('set lock_configuration = true');
      return new DuckDb(folder, instance, connection, signal);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw told(error);
    }
  }

  /** Runs a statement. @returns the rows that it changed, or wrote @throws AiosError `features.offline_failed`, `features.offline_canceled`, `features.file_not_allowed` */
  async run(sql: string, values: readonly DuckParameter[] = []): Promise<number> {
    const result = await this.#query(sql, values);
    return this.#telling(async () => {
      const [first] = await result.getRowsJS();
      return Number(first?.[0] ?? 0);
    });
  }

  /** All rows of a small answer. @throws AiosError as `run` does */
  async all<Row = DuckRow>(sql: string, values: readonly DuckParameter[] = []): Promise<Row[]> {
    const rows: Row[] = [];
    for await (const chunk of this.chunks<Row>(sql, values)) rows.push(...chunk);
    return rows;
  }

  /** The rows of a large answer, 2,048 at most at a time; the rest waits until they were taken. @throws AiosError as `run` does */
  async *chunks<Row = DuckRow>(sql: string, values: readonly DuckParameter[] = []): AsyncGenerator<Row[]> {
    const rows = (await this.#query(sql, values)).yieldRowObjectJs();
    for (;;) {
      const { done, value } = await this.#telling(() => rows.next());
      if (done) return;
      for (const row of value as DuckRow[])
        for (const name in row) if (typeof row[name] === 'bigint') row[name] = exact(row[name]);
      yield value as Row[];
    }
  }

  async close(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#interrupt);
    this.#connection.closeSync();
    this.#instance.closeSync();
    await rm(this.folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #query(sql: string, values: readonly DuckParameter[]): Promise<DuckDBResult> {
    return this.#telling(() => this.#connection.stream(sql, values.map(bound)));
  }

  async #telling<Result>(work: () => Promise<Result>): Promise<Result> {
    refuseCanceled(this.#signal);
    try {
      return await work();
    } catch (error) {
      refuseCanceled(this.#signal);
      throw told(error);
    }
  }
}

/** A text as SQL takes it, for the places where nothing can be bound. @example literal("it's") // "'it''s'" */
export function literal(text: string): string {
  // A statement ends at a zero byte.
  const parts = text.split('\u0000').map((part) => `'${part.replaceAll("'", "''")}'`);
  return parts.length === 1 ? parts[0]! : `(${parts.join(' || chr(0) || ')})`;
}

/** A name as SQL takes it, whatever its letters. @example identifier('a b') // '"a b"' */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The library takes any number for a double: one that is whole is bound as an integer. */
function bound(value: DuckParameter): DuckDBValue {
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function refuseCanceled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AiosError('features.offline_canceled');
}

/** The line that says what is wrong in a CSV file, after one that only says where. */
const CSV_REASON = /^(Error when converting|Expected Number of Columns)/;

/** The library tells kinds of errors by the first words of their texts. */
function told(error: unknown): AiosError {
  const text = error instanceof Error ? error.message : String(error);
  const [first, ...more] = text.split('\n');
  const reason = more.find((line) => CSV_REASON.test(line));
  const detail = (reason === undefined ? first! : `${first}: ${reason}`).slice(0, 500);
  if (text.startsWith('Permission Error'))
    return new AiosError('features.file_not_allowed', { detail, cause: error });
  return new AiosError('features.offline_failed', { detail, cause: error });
}
