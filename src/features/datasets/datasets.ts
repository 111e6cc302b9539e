import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../../kernel/clock.ts';
import { parseDuration } from '../../kernel/duration.ts';
import { AiosError } from '../../kernel/errors.ts';
import { newId } from '../../kernel/ids.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Database } from '../../store/database.ts';
import type { Definition, Definitions } from '../../store/definitions.ts';
import { type Committer, type Write, write } from '../../store/group-commit.ts';
import { timestamp } from '../../store/rows.ts';
import { DuckDb, literal } from '../offline/duckdb.ts';
import type { CompiledService, FeatureFunctions } from '../service.ts';
import type { FeatureViews } from '../views.ts';
import { BlobStore } from './blob-store.ts';
import { profileFile } from './column-profile.ts';
import type { DatasetBody } from './dataset-kind.ts';
import { deletionLane, useLane, versionLane } from './dataset-lanes.ts';
import { serviceOf, textKeysOf } from './dataset-service.ts';
import {
  type Actor,
  type DatasetChange,
  type DatasetVersion,
  fingerprintOf,
  type NewVersion,
  queryOf,
} from './dataset-version.ts';
import { eventRows, fileRows, givenRows, type ReadEvents } from './entity-rows.ts';
import { type Snapshot, type SnapshotRequest, writeSnapshot } from './snapshot.ts';

type DatasetLimits = Parameters<typeof DuckDb.open>[0]['limits'] &
  Pick<Limits, 'datasetRowsMax' | 'datasetBytesMax' | 'datasetJobsMax'>;

interface DatasetsDependencies {
  readonly db: Database;
  readonly commit: Committer;
  readonly clock: Pick<Clock, 'now'>;
  readonly limits: DatasetLimits;
  readonly definitions: Pick<Definitions, 'latest' | 'list' | 'version'>;
  readonly views: Pick<FeatureViews, 'service' | 'streamView' | 'rowView'>;
  readonly functions: FeatureFunctions;
  readonly features: SnapshotHistory;
  readonly readEvents: ReadEvents;
  record(change: DatasetChange): readonly Write[];
}

type SnapshotHistory = Parameters<typeof writeSnapshot>[2]['features'];

const COLUMNS = `dataset, version, definition_version as "definitionVersion", digest, size_bytes as "sizeBytes", row_count as "rows", columns,
  query, profile, parts, created_at as "createdAt", created_by as "createdBy", deleted_at as "deletedAt", deleted_by as "deletedBy",
  coalesce((select json_agg(json_build_object('name', model, 'version', model_version) order by model, model_version)
    from dataset_models m where m.dataset = v.dataset and m.version = v.version), '[]') as models
  from dataset_versions v`;
/** Tries at a number that others may take at the same time. */
const TRIES = 5;

/**
 * Named, versioned, content-addressed snapshots of historical vectors with their labels.
 *
 * @example const { version } = await datasets.create({ name: 'return-risk-training', by })
 */
export class Datasets {
  readonly blobs: BlobStore;
  readonly #deps: DatasetsDependencies;
  #jobs = 0;

  constructor(dependencies: DatasetsDependencies) {
    this.#deps = dependencies;
    this.blobs = new BlobStore(dependencies.db);
  }

  /** @throws AiosError `datasets.unknown_dataset` */
  definition(name: string): Definition {
    const found = this.#deps.definitions.latest('dataset', name);
    if (!found) throw new AiosError('datasets.unknown_dataset', { detail: `There is no dataset “${name}”.` });
    return found;
  }

  /** Every dataset that is defined, by name. */
  definitions(): readonly Definition[] {
    return this.#deps.definitions.list('dataset');
  }

  /**
   * Makes a version: queries history for the entity rows, writes the answer as Parquet and keeps it. The same content made by the same
   * versions of views is the version that exists.
   *
   * @throws AiosError `datasets.unknown_dataset`, `datasets.entity_rows`, `request.too_large`, `request.overloaded`, and those of a historical query
   */
  async create(wanted: NewVersion): Promise<{ version: DatasetVersion; isNew: boolean }> {
    const definition = this.definition(wanted.name);
    const body = definition.body as unknown as DatasetBody;
    if (!wanted.source && !body.entities) {
      throw new AiosError('datasets.entity_rows', {
        detail: `The definition of “${wanted.name}” names no events: send the rows, or a file.`,
      });
    }
    const service = serviceOf(body, this.#deps);
    return this.job([], async (duck) => {
      const query = queryOf(body, service, wanted, this.#deps.clock.now());
      const rows = await this.#rows(duck, body, service, wanted);
      const request: SnapshotRequest = { service, rows, labels: body.labels ?? [], split: body.split };
      const snapshot = await writeSnapshot(duck, request, this.#deps);
      checkSize('The Parquet file', snapshot.sizeBytes, this.#deps.limits);
      const known = await this.#byFingerprint(wanted.name, fingerprintOf(snapshot, query));
      if (known) return { version: known, isNew: false };
      const profile = await profileFile(duck, snapshot.path, snapshot.rows, snapshot.columns);
      const parts = body.split ? await partsOf(duck, snapshot.path) : null;
      return this.#keep(definition, snapshot, { query, profile, parts }, wanted.by);
    });
  }

  /** Newest first. @throws AiosError `datasets.unknown_dataset` */
  async versions(name: string, countMax = 100): Promise<DatasetVersion[]> {
    const rows = await this.#deps.db.query<DatasetVersion>(
      `select ${COLUMNS} where dataset = $1 order by version desc limit $2`,
      [name, countMax],
    );
    if (rows.length === 0) this.definition(name);
    return rows;
  }

  /** The newest version of each dataset that is not deleted, by name. */
  async newest(): Promise<Map<string, DatasetVersion>> {
    const rows = await this.#deps.db.query<DatasetVersion>(
      `select distinct on (dataset) ${COLUMNS} where deleted_at is null order by dataset, version desc`,
    );
    return new Map(rows.map((row) => [row.dataset, row]));
  }

  /** A version, `latest` being the newest that is not deleted. @throws AiosError `datasets.unknown_dataset`, `datasets.unknown_version` */
  async version(name: string, version: number | 'latest'): Promise<DatasetVersion> {
    const [found] = await this.#deps.db.query<DatasetVersion>(
      `select ${COLUMNS} where dataset = $1 and ($2::int = version or $2::int is null and deleted_at is null) order by version desc limit 1`,
      [name, version === 'latest' ? null : version],
    );
    if (found) return found;
    this.definition(name);
    throw new AiosError('datasets.unknown_version', {
      detail: `The dataset “${name}” has no version${version === 'latest' ? '' : ` ${version}`}.`,
    });
  }

  /** The definition that a version was made by. */
  async definitionOf({ dataset, definitionVersion }: DatasetVersion): Promise<Definition | undefined> {
    return this.#deps.definitions.version('dataset', dataset, definitionVersion);
  }

  /**
   * Deletes the file of a version; what it was made of is still told.
   *
   * @throws AiosError `datasets.in_use`, `datasets.deleted`, `datasets.unknown_version`
   */
  async delete(name: string, number: number, by: Actor, reason?: string): Promise<DatasetVersion> {
    const { dataset, version, digest, rows, deletedAt } = await this.version(name, number);
    if (deletedAt !== null) return this.version(name, number);
    const at = this.#deps.clock.now();
    await this.#deps.commit.commit([
      write(deletionLane, { dataset, version, at, by: by.id }),
      ...this.#deps.record({
        action: 'version-deleted',
        dataset,
        version,
        digest,
        rows,
        by,
        at,
        ...(reason === undefined ? {} : { reason }),
      }),
    ]);
    return this.version(name, number);
  }

  /**
   * Deletes what its retention has passed: versions of no model that are older than the newest of their dataset. Also the files that a process
   * left behind that died.
   */
  async deleteExpired(by: Actor): Promise<void> {
    const nowMs = this.#deps.clock.now();
    for (const { name, body } of this.definitions()) {
      const { retention } = body as unknown as DatasetBody;
      if (retention === undefined) continue;
      const expired = await this.#deps.db.query<{ version: number }>(
        `select version from dataset_versions v where dataset = $1 and deleted_at is null and created_at < $2
         and version < (select max(version) from dataset_versions n where n.dataset = $1 and n.deleted_at is null)
         and not exists (select from dataset_models m where m.dataset = v.dataset and m.version = v.version) order by version`,
        [name, timestamp(nowMs - parseDuration(retention))],
      );
      for (const { version } of expired)
        await this.delete(name, version, by, `its retention of ${retention} has passed`).catch(ignoreRace);
    }
    await this.blobs.deleteOrphans(nowMs);
  }

  /** The write that ties a version of a model to one of a dataset, in the commit of the former. */
  use(model: { name: string; version: number }, { name, version }: { name: string; version: number }): Write {
    return write(useLane, { dataset: name, version, model: model.name, modelVersion: model.version });
  }

  /** The Parquet file of a version as a file. @throws AiosError `datasets.deleted` */
  async writeTo(
    path: string,
    { dataset, version, digest, sizeBytes, deletedAt }: DatasetVersion,
  ): Promise<void> {
    if (deletedAt !== null)
      throw new AiosError('datasets.deleted', { detail: `${dataset} ${version} was deleted.` });
    await pipeline(Readable.from(this.blobs.read(digest, 0, sizeBytes)), createWriteStream(path));
  }

  /** Work on files, with a DuckDB of its own. @throws AiosError `request.overloaded` when as many are under way as may be */
  async job<Result>(folders: readonly string[], work: (duck: DuckDb) => Promise<Result>): Promise<Result> {
    const { limits } = this.#deps;
    if (this.#jobs >= limits.datasetJobsMax) {
      throw new AiosError('request.overloaded', {
        detail: `${this.#jobs} jobs over datasets are under way.`,
        extensions: { limitName: 'datasetJobsMax', limit: limits.datasetJobsMax },
      });
    }
    this.#jobs++;
    try {
      await using duck = await DuckDb.open({ folders, limits });
      return await work(duck);
    } finally {
      this.#jobs--;
    }
  }

  async #rows(
    duck: DuckDb,
    body: DatasetBody,
    service: CompiledService,
    wanted: NewVersion,
  ): Promise<SnapshotRequest['rows']> {
    const { source, createdBeforeMs } = wanted;
    if (!source) return eventRows(this.#deps.readEvents, body.entities!.events, wanted, createdBeforeMs);
    if ('rows' in source) return givenRows(source.rows, createdBeforeMs);
    const { content, format } = source.file;
    const path = join(duck.folder, `entities.${format}`);
    const { limits } = this.#deps;
    await pipeline(
      content,
      async function* bounded(bytes) {
        let count = 0;
        for await (const piece of bytes) {
          count += piece.length;
          checkSize('The file of entity rows', count, limits);
          yield piece;
        }
      },
      createWriteStream(path),
    );
    return fileRows(duck, { path, format, texts: textKeysOf(service) }, createdBeforeMs);
  }

  async #keep(
    { name, version: definitionVersion }: Definition,
    snapshot: Snapshot,
    found: Pick<DatasetVersion, 'query' | 'profile' | 'parts'>,
    by: Actor,
  ): Promise<{ version: DatasetVersion; isNew: boolean }> {
    const { digest, sizeBytes, rows, columns } = snapshot;
    const fingerprint = fingerprintOf(snapshot, found.query);
    const id = newId('dsv');
    for (let attempt = 1; ; attempt++) {
      const at = this.#deps.clock.now();
      await this.blobs.put(snapshot, at);
      const [row] = await this.#deps.db.query<{ next: number }>(
        'select coalesce(max(version), 0) + 1 as next from dataset_versions where dataset = $1',
        [name],
      );
      const version = row!.next;
      const made = {
        id,
        dataset: name,
        version,
        definitionVersion,
        fingerprint,
        digest,
        sizeBytes,
        rows,
        columns,
      };
      try {
        await this.#deps.commit.commit([
          write(versionLane, { ...made, ...found, at, by: by.id }),
          ...this.#deps.record({ action: 'version-made', dataset: name, version, digest, rows, by, at }),
        ]);
        return { version: await this.version(name, version), isNew: true };
      } catch (error) {
        const isTaken = error instanceof AiosError && error.code === 'store.conflict';
        if (!isTaken || attempt === TRIES) throw error;
      }
      const known = await this.#byFingerprint(name, fingerprint);
      if (known) return { version: known, isNew: false };
    }
  }

  async #byFingerprint(name: string, fingerprint: string): Promise<DatasetVersion | undefined> {
    const [known] = await this.#deps.db.query<DatasetVersion>(
      `select ${COLUMNS} where dataset = $1 and fingerprint = $2 and deleted_at is null order by version limit 1`,
      [name, fingerprint],
    );
    return known;
  }
}

/** Another process deleted it, or a model came to name it. */
function ignoreRace(error: unknown): void {
  const isRace = error instanceof AiosError && /^datasets\.(deleted|in_use)$/.test(error.code);
  if (!isRace) throw error;
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

function checkSize(what: string, bytes: number, { datasetBytesMax: limit }: DatasetLimits): void {
  if (bytes <= limit) return;
  throw new AiosError('request.too_large', {
    detail: `${what} has more than ${limit} bytes.`,
    extensions: { limitName: 'datasetBytesMax', limit },
  });
}
