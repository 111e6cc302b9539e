import type { Clock } from '../../kernel/clock.ts';
import { parseDuration } from '../../kernel/duration.ts';
import { AiosError } from '../../kernel/errors.ts';
import { newId } from '../../kernel/ids.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Database } from '../../store/database.ts';
import type { Definition, Definitions } from '../../store/definitions.ts';
import type { Committer } from '../../store/group-commit.ts';
import { type Write, write } from '../../store/lane.ts';
import { timestamp } from '../../store/rows.ts';
import { DuckDb } from '../offline/duckdb.ts';
import { BlobStore } from './blob-store.ts';
import type { DatasetBody } from './dataset-kind.ts';
import { deletionLane, useLane, versionLane } from './dataset-lanes.ts';
import type { Actor, DatasetChange, DatasetVersion } from './dataset-version.ts';
import type { Snapshot } from './snapshot.ts';

type DatasetLimits = Parameters<typeof DuckDb.open>[0]['limits'] & Pick<Limits, 'datasetJobsMax'>;

interface DatasetsDependencies {
  readonly db: Database;
  readonly commit: Committer;
  readonly clock: Pick<Clock, 'now'>;
  readonly limits: DatasetLimits;
  readonly definitions: Pick<Definitions, 'latest' | 'list' | 'version'>;
  record(change: DatasetChange): readonly Write[];
}

/** What was made, and how its maker ends with it: the version that it became, and whether that is new. */
interface MadeVersion {
  readonly definition: Definition;
  readonly snapshot: Snapshot;
  readonly fingerprint: string;
  readonly found: Pick<DatasetVersion, 'query' | 'profile' | 'parts'>;
  readonly by: Actor;
  end(version: number, isNew: boolean): Write;
}

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
 * @example const { rows, digest } = await datasets.version('return-risk-training', 'latest')
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
  async writeTo(path: string, { dataset, version, digest, deletedAt }: DatasetVersion): Promise<void> {
    if (deletedAt !== null)
      throw new AiosError('datasets.deleted', { detail: `${dataset} ${version} was deleted.` });
    await this.blobs.writeTo(path, digest);
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

  /**
   * Keeps what was made as the next version, committed with the end of what made it.
   *
   * @throws AiosError what `made.end` is refused with
   */
  async keep(made: MadeVersion): Promise<void> {
    const { definition, snapshot, fingerprint, found, by, end } = made;
    const { name, version: definitionVersion } = definition;
    const { path: _, digest, sizeBytes, rows, columns } = snapshot;
    const id = newId('dsv');
    for (let attempt = 1; ; attempt++) {
      const at = this.#deps.clock.now();
      await this.blobs.put(snapshot, at);
      const [row] = await this.#deps.db.query<{ next: number }>(
        'select coalesce(max(version), 0) + 1 as next from dataset_versions where dataset = $1',
        [name],
      );
      const version = row!.next;
      const item = {
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
          write(versionLane, { ...item, ...found, at, by: by.id }),
          end(version, true),
          ...this.#deps.record({ action: 'version-made', dataset: name, version, digest, rows, by, at }),
        ]);
        return;
      } catch (error) {
        const isTaken = error instanceof AiosError && error.code === 'store.conflict';
        if (!isTaken || attempt === TRIES) throw error;
      }
      const known = await this.byFingerprint(name, fingerprint);
      if (known) return void (await this.#deps.commit.commit([end(known.version, false)]));
    }
  }

  /** The version of this content, made by the same versions of views. */
  async byFingerprint(name: string, fingerprint: string): Promise<DatasetVersion | undefined> {
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
