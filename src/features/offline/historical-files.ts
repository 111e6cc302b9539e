import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { AiosError } from '../../kernel/errors.ts';
import type { FeatureStore } from '../feature-store.ts';
import { checkCutoff } from '../historical.ts';
import { checkCreated, type RowView, timesOf } from '../row-view.ts';
import type { CompiledService } from '../service.ts';
import type { Reading } from '../service-views.ts';
import { type JoinedViews, leftJoins, selectComputed } from './computed-vectors.ts';
import { type DuckDb, literal } from './duckdb.ts';
import { joinFiles, relationOf } from './file-source.ts';
import type { OfflineJobs } from './jobs.ts';
import { outputColumn } from './output-columns.ts';
import { readEntities, spineOf } from './spine-file.ts';

/** Entities at times in the past, in a file, and the file that their vectors are wanted in. */
export interface FileJoin {
  readonly service: string;
  /** `.parquet` or `.csv`: a column for each join key, one with the time of each row, and values that the request would bring. */
  readonly entities: string;
  /** `.parquet`: what the entities hold, in their order, and the features of the service. */
  readonly out: string;
  /** The column with the time of a row; `timestamp` or `event_timestamp` when left out. */
  readonly timestamp?: string | undefined;
  /** The cut-off: only what had been recorded by then counts. */
  readonly recordedByMs?: number | undefined;
}

interface Watch {
  signal?: AbortSignal | undefined;
  /** How many rows are done, of all. */
  progress?: ((rows: number, total: number) => void) | undefined;
}

/**
 * Joins of files of any size with the features of a service, in bounded memory. Views over files are joined by DuckDB; where a service has others, or
 * computes, its vectors are made as `FeatureStore.historical` makes them, chunk by chunk.
 *
 * @example await files.run({ service: 'risk', entities: 'orders.parquet', out: 'training.parquet' }) // { rows: 1000000 }
 */
export class HistoricalFiles {
  readonly #jobs: OfflineJobs;
  readonly #features: Pick<FeatureStore, 'historicalReader'>;

  constructor(jobs: OfflineJobs, features: Pick<FeatureStore, 'historicalReader'>) {
    this.#jobs = jobs;
    this.#features = features;
  }

  /**
   * Refuses at once what cannot be done.
   *
   * @throws AiosError `features.unknown_service`, `features.no_cutoff`, `features.file_not_allowed`, `features.file_exists`, `request.invalid`
   */
  check({ service: name, entities, out, recordedByMs }: FileJoin): void {
    const { service } = this.#features.historicalReader(name);
    if (recordedByMs !== undefined) {
      checkCutoff(service);
      for (const { view } of service.rows) if (view.push === undefined) checkCreated(view);
    }
    const from = this.#jobs.locate(entities);
    if (!/\.(parquet|csv)$/.test(from)) throw invalid(`${entities} ends in neither .parquet nor .csv.`);
    const to = this.#jobs.locate(out);
    if (!to.endsWith('.parquet')) throw invalid(`${out} does not end in .parquet.`);
    if (existsSync(to)) throw new AiosError('features.file_exists', { detail: `There is a file ${out}.` });
  }

  /**
   * Writes the joined file; it is there once it is whole. One that is there is replaced: `check` tells before.
   *
   * @returns how many rows it has
   * @throws AiosError `features.entities_unfit`, `features.missing_key`, `features.invalid_key`, `features.source_unfit`, `features.offline_canceled`, …
   */
  async run(asked: FileJoin, { signal, progress }: Watch = {}): Promise<{ rows: number }> {
    const out = this.#jobs.locate(asked.out);
    const partial = `${out}.partial`;
    const reader = this.#features.historicalReader(asked.service);
    const path = this.#jobs.locate(asked.entities);
    try {
      const rows = await this.#jobs.run(async (duck) => {
        const given = await readEntities(duck, reader.service, { path, timestamp: asked.timestamp });
        progress?.(0, given.rows);
        const joined = await this.#joinViews(duck, reader.service, asked);
        const select = isDirect(reader.service)
          ? selectDirect(reader.service, joined)
          : await selectComputed(duck, reader, joined, { given, recordedByMs: asked.recordedByMs, progress });
        await duck.run(
          `copy (select g.* exclude (aios_row, aios_time), ${select} order by g.aios_row) to ${literal(partial)} (format parquet)`,
        );
        return given.rows;
      }, signal);
      await rename(partial, out);
      progress?.(rows, rows);
      return { rows };
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  /** The views over files: each becomes a table of the rows that count, by `aios_row`. @returns its name, by the view */
  async #joinViews(duck: DuckDb, service: CompiledService, { recordedByMs }: FileJoin): Promise<JoinedViews> {
    const joined = new Map<Reading<RowView>, string>();
    for (const reading of service.rows) {
      const { view } = reading;
      if (!view.files) continue;
      const relation = await relationOf(duck, view, this.#jobs);
      await spineOf(duck, relation, reading.keys, recordedByMs);
      const out = `joined${joined.size}`;
      const ttlUs = Number.isFinite(view.ttlMs) ? view.ttlMs * 1000 : undefined;
      await joinFiles(duck, relation, { spine: 'spine', out, ttlUs });
      if (timesOf(view).validTo)
        await duck.run(`delete from ${out} using spine s where ${out}.idx = s.idx and ${out}.e <= s.t`);
      await duck.run('drop table spine');
      joined.set(reading, out);
    }
    return joined;
  }
}

/** Whether vectors are nothing but columns of files. */
function isDirect({ slots, streams, rows }: CompiledService): boolean {
  return slots !== undefined && streams.length === 0 && rows.every(({ view }) => view.files !== undefined);
}

function selectDirect({ names, slots, rows }: CompiledService, joined: JoinedViews): string {
  const columns = names.map((name, index) => {
    const { group, at, otherwise } = slots![index]!;
    const reading = rows[group]!;
    return outputColumn(`${joined.get(reading)}.f${at}`, name, reading.view.features[at]!.type, otherwise);
  });
  return `${columns.join(', ')} from given g ${leftJoins(joined)}`;
}

function invalid(detail: string): AiosError {
  return new AiosError('request.invalid', { detail });
}
