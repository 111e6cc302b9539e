import type { Clock } from '../../kernel/clock.ts';
import { AiosError } from '../../kernel/errors.ts';
import { newId } from '../../kernel/ids.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Changes } from '../../store/changes.ts';
import type { Database } from '../../store/database.ts';
import type { Definition, Definitions } from '../../store/definitions.ts';
import type { Committer } from '../../store/group-commit.ts';
import { type Lane, Refused, write } from '../../store/lane.ts';
import { timestamp } from '../../store/rows.ts';
import { LEASED_COLUMNS, type LeasedPass, LeasedPasses, type PassWatch } from '../leased-passes.ts';
import { DuckDb, literal } from '../offline/duckdb.ts';
import { PassTable } from '../passes.ts';
import type { CompiledService } from '../service.ts';
import { joinKeyTypes } from '../service-views.ts';
import type { FeatureViews } from '../views.ts';
import { checkSize } from './blob-store.ts';
import { inputOf, stageInput } from './build-input.ts';
import { profileFile } from './column-profile.ts';
import type { DatasetBody } from './dataset-kind.ts';
import { serviceOf } from './dataset-service.ts';
import { type BuildSource, fingerprintOf, type NewVersion, queryOf } from './dataset-version.ts';
import type { Datasets } from './datasets.ts';
import { countRows, eventRows, fileRows, type ReadEvents } from './entity-rows.ts';
import { type Snapshot, type SnapshotRequest, writeSnapshot } from './snapshot.ts';

/** A version of a dataset that somebody asked for. */
export interface DatasetBuild extends LeasedPass {
  readonly dataset: string;
  readonly definitionVersion: number;
  readonly requestedKind: string;
  readonly fromMs: number | null;
  readonly toMs: number | null;
  readonly recordedByMs: number | null;
  /** Where the entity rows come from; null: from the events that the definition names. */
  readonly source: BuildSource | null;
  /** What it made, or that was there already. */
  readonly version: number | null;
  readonly isNew: boolean | null;
}

type Item = Pick<
  DatasetBuild,
  | 'id'
  | 'dataset'
  | 'definitionVersion'
  | 'fromMs'
  | 'toMs'
  | 'recordedByMs'
  | 'source'
  | 'requestedBy'
  | 'requestedKind'
  | 'requestedAt'
> & { countMax: number };

/** A gate: not more than so many wait or are worked on. */
const asking: Lane<Item> = {
  name: 'datasets that are made',
  order: 49,
  gate: true,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const item of items) {
      await tx.query(
        `insert into dataset_builds (id, dataset, definition_version, from_ms, to_ms, recorded_by_ms, source, requested_by, requested_kind, requested_at)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 where (select count(*) from dataset_builds where status = 'running') < $11
         on conflict do nothing`,
        [
          item.id,
          item.dataset,
          item.definitionVersion,
          item.fromMs,
          item.toMs,
          item.recordedByMs,
          item.source && JSON.stringify(item.source),
          item.requestedBy,
          item.requestedKind,
          timestamp(item.requestedAt),
          item.countMax,
        ],
      );
      const [own] = await tx.query('select from dataset_builds where id = $1', [item.id]);
      results.push(own ? undefined : new Refused(overloaded(item.countMax)));
    }
    return results as Refused[];
  },
};

function overloaded(limit: number): AiosError {
  return new AiosError('request.overloaded', {
    detail: `${limit} versions of datasets are being made, or wait for it.`,
    extensions: { limitName: 'datasetBuildsMax', limit },
  });
}

const COLUMNS = `dataset, definition_version as "definitionVersion", from_ms as "fromMs", to_ms as "toMs", recorded_by_ms as "recordedByMs", source,
  requested_kind as "requestedKind", version, is_new as "isNew", ${LEASED_COLUMNS}`;

type BuildLimits = Parameters<typeof DuckDb.open>[0]['limits'] &
  Pick<
    Limits,
    | 'datasetRowsMax'
    | 'datasetBytesMax'
    | 'datasetJobsMax'
    | 'datasetBuildsMax'
    | 'featureMaterializePollMs'
    | 'passLeaseMs'
    | 'passProgressMs'
    | 'passAttemptsMax'
  >;

interface Dependencies {
  readonly db: Database;
  readonly commit: Committer;
  readonly clock: Pick<Clock, 'now'>;
  readonly changes?: Changes;
  readonly limits: BuildLimits;
  readonly datasets: Datasets;
  readonly definitions: Pick<Definitions, 'version'>;
  readonly views: Pick<FeatureViews, 'service' | 'serviceOf' | 'reload'>;
  readonly features: Parameters<typeof writeSnapshot>[2]['features'];
  readonly readEvents: ReadEvents;
  /** How many events of a type there are. */
  countEvents(type: string): Promise<number>;
  onError?: (error: unknown) => void;
}

/**
 * Versions of datasets are made beside their caller: asked for durably, worked on under a lease, begun anew by another process when theirs dies. What a
 * build made and its end are one commit, so that one that was canceled makes nothing.
 *
 * @example const id = await builds.start({ name: 'return-risk-training', by }); await builds.passes.wait(id, 30_000) // { status: 'done', version: 3, … }
 */
export class DatasetBuilds {
  readonly passes: LeasedPasses<DatasetBuild>;
  readonly #deps: Dependencies;
  readonly #table: PassTable<DatasetBuild>;

  constructor(dependencies: Dependencies) {
    this.#deps = dependencies;
    const { db, limits } = dependencies;
    this.#table = new PassTable({
      db,
      name: 'dataset_builds',
      columns: COLUMNS,
      unknown: 'datasets.unknown_build',
    });
    this.passes = new LeasedPasses({
      ...dependencies,
      table: this.#table,
      endedCode: 'datasets.build_ended',
      atOnce: limits.datasetJobsMax,
      work: (build, watch) => this.#work(build, watch),
      cleanUp: (id) => dependencies.datasets.blobs.delete(inputOf(id)),
    });
  }

  /**
   * Asks for a version; some process begins it at once. The rows or the file are kept until it has ended.
   *
   * @throws AiosError `datasets.unknown_dataset`, `datasets.entity_rows`, `request.too_large`, `request.overloaded`, `features.unknown_service`, `features.building`
   */
  async start({ name, source, fromMs, toMs, createdBeforeMs, by }: NewVersion): Promise<string> {
    const { datasets, clock, commit, limits } = this.#deps;
    const definition = datasets.definition(name);
    const body = definition.body as unknown as DatasetBody;
    if (!source && !body.entities) {
      throw new AiosError('datasets.entity_rows', {
        detail: `The definition of “${name}” names no events: send the rows, or a file.`,
      });
    }
    serviceOf(body, this.#deps.views);
    const id = newId('dsb');
    const requestedAt = clock.now();
    const item: Item = {
      id,
      dataset: name,
      definitionVersion: definition.version,
      fromMs: fromMs ?? null,
      toMs: toMs ?? null,
      recordedByMs: createdBeforeMs ?? null,
      source: source ? await stageInput(datasets.blobs, id, source, limits, requestedAt) : null,
      requestedBy: by.id,
      requestedKind: by.kind,
      requestedAt,
      countMax: limits.datasetBuildsMax,
    };
    try {
      await commit.commit([write(asking, item)]);
    } catch (error) {
      if (source) await datasets.blobs.delete(inputOf(id));
      throw error;
    }
    this.passes.wake();
    return id;
  }

  /** The newest first, of one dataset or of all. */
  list(dataset?: string, countMax = 100): Promise<DatasetBuild[]> {
    return this.#table.list(
      countMax,
      dataset === undefined ? undefined : { column: 'dataset', value: dataset },
    );
  }

  /** @throws AiosError `datasets.unknown_build` */
  get(id: string): Promise<DatasetBuild> {
    return this.#table.get(id);
  }

  async #work(build: DatasetBuild, watch: PassWatch): Promise<void> {
    const { definitions, views, limits } = this.#deps;
    await views.reload(); // it may have been asked of a process that knows what was applied just now
    const definition = await definitions.version('dataset', build.dataset, build.definitionVersion);
    if (!definition) throw new AiosError('datasets.unknown_dataset', { detail: build.dataset });
    // Its views over files are joined by another one beside it, and the vectors of a chunk are held here: 1M rows × 20 columns took 1.2 GB with the whole.
    const half = { ...limits, offlineMemoryBytesMax: limits.offlineMemoryBytesMax / 2 };
    await using duck = await DuckDb.open({ folders: [], limits: half, signal: watch.signal });
    await this.#make(duck, build, definition, watch);
  }

  async #make(duck: DuckDb, build: DatasetBuild, definition: Definition, watch: PassWatch): Promise<void> {
    const { datasets, commit, limits } = this.#deps;
    const body = definition.body as unknown as DatasetBody;
    const service = serviceOf(body, this.#deps.views);
    const query = queryOf(body, service, build);
    const { rows, total } = await this.#rows(duck, body, service, build);
    watch.progress(0, total);
    const request: SnapshotRequest = { service, rows, labels: body.labels ?? [], split: body.split };
    const snapshot = await writeSnapshot(duck, request, {
      ...this.#deps,
      told: (count) => watch.progress(count, total === null ? null : Math.max(count, total)),
    });
    watch.progress(snapshot.rows, snapshot.rows);
    checkSize('The Parquet file', snapshot.sizeBytes, limits);
    const fingerprint = fingerprintOf(snapshot, query);
    const known = await datasets.byFingerprint(build.dataset, fingerprint);
    if (known) return void (await commit.commit([watch.end({ version: known.version, is_new: false })]));
    const { profile, parts } = await this.#describe(duck.folder, snapshot, body, watch);
    await datasets.keep({
      definition,
      snapshot,
      fingerprint,
      found: { query, profile, parts },
      by: { kind: build.requestedKind, id: build.requestedBy },
      end: (version, isNew) => watch.end({ version, is_new: isNew }),
    });
  }

  /** Quantiles hold a column as a whole: it has the memory of a job to itself. */
  async #describe(folder: string, snapshot: Snapshot, { split }: DatasetBody, { signal }: PassWatch) {
    await using duck = await DuckDb.open({ folders: [folder], limits: this.#deps.limits, signal });
    return {
      profile: await profileFile(duck, snapshot.path, snapshot.rows, snapshot.columns),
      parts: split ? await partsOf(duck, snapshot.path) : null,
    };
  }

  /** The entity rows, and how many there are where that is known before they were read. */
  async #rows(
    duck: DuckDb,
    body: DatasetBody,
    service: CompiledService,
    { id, source, fromMs, toMs, recordedByMs }: DatasetBuild,
  ): Promise<{ rows: SnapshotRequest['rows']; total: number | null }> {
    const { datasets, readEvents, countEvents } = this.#deps;
    const recordedBy = recordedByMs ?? undefined;
    if (!source) {
      const { events } = body.entities!;
      const isWhole = events.filter === undefined && (fromMs ?? toMs ?? recordedByMs) === null;
      const range = { fromMs: fromMs ?? undefined, toMs: toMs ?? undefined };
      return {
        rows: eventRows(readEvents, events, range, recordedBy),
        total: isWhole ? await countEvents(events.type) : null,
      };
    }
    const format = 'file' in source ? source.file : 'jsonl';
    const path = `${duck.folder}/entities.${format}`;
    await datasets.blobs.writeTo(path, inputOf(id));
    const types = joinKeyTypes(service);
    const texts = [...types].flatMap(([key, type]) => (type === 'string' ? [key] : []));
    const file = { path, format, texts, keys: 'file' in source ? [...types.keys()] : [] };
    return {
      rows: fileRows(duck, file, recordedBy),
      total: 'rows' in source ? source.rows : await countRows(duck, file),
    };
  }
}

async function partsOf(duck: DuckDb, path: string): Promise<Record<string, number>> {
  const rows = await duck.all<{ part: string; count: number }>(
    `select split as part, count(*)::bigint as count from read_parquet(${literal(path)}) group by 1`,
  );
  const counts = Object.fromEntries(rows.map(({ part, count }) => [part, count]));
  return Object.fromEntries(
    ['train', 'valid', 'test'].flatMap((part) => (counts[part] ? [[part, counts[part]]] : [])),
  );
}
