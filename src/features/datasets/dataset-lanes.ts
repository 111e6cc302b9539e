import { AiosError } from '../../kernel/errors.ts';
import { tells } from '../../store/changes.ts';
import type { Queryable } from '../../store/database.ts';
import { type Lane, Refused } from '../../store/lane.ts';
import type { Migration } from '../../store/migrations.ts';
import { timestamp } from '../../store/rows.ts';
import type { DatasetProfile } from './column-profile.ts';
import type { DatasetColumn } from './columns.ts';
import type { DatasetQuery } from './dataset-version.ts';

export const datasetMigration: Migration = {
  name: '0032_datasets',
  sql: `
    create table dataset_blobs (
      digest text primary key,
      size_bytes bigint not null,
      stored_at timestamptz not null
    );
    comment on table dataset_blobs is 'Parquet files of versions, by the SHA-256 of their bytes: each is stored once.';
    create table dataset_chunks (
      digest text not null references dataset_blobs (digest) on delete cascade,
      number int not null,
      bytes bytea not null,
      primary key (digest, number)
    );
    alter table dataset_chunks alter column bytes set storage external;
    comment on table dataset_chunks is 'The bytes of a file in pieces of one size, so that reading and writing need the memory of one.';
    create table dataset_versions (
      id text primary key,
      dataset text not null,
      version int not null,
      definition_version int not null,
      fingerprint text not null,
      digest text not null,
      size_bytes bigint not null,
      row_count bigint not null,
      columns json not null,
      query json not null,
      profile json not null,
      parts json,
      created_at timestamptz not null,
      created_by text not null,
      deleted_at timestamptz,
      deleted_by text,
      unique (dataset, version)
    );
    comment on table dataset_versions is 'Snapshots of datasets. A row changes once at most: when its file is deleted, which leaves what it was made of.';
    create index dataset_versions_digest on dataset_versions (digest) where deleted_at is null;
    create table dataset_models (
      dataset text not null,
      version int not null,
      model text not null,
      model_version int not null,
      primary key (dataset, version, model, model_version),
      foreign key (dataset, version) references dataset_versions (dataset, version)
    );
    comment on table dataset_models is 'Versions of models that name a version of a dataset, written with them.';
    create table dataset_builds (
      id text primary key,
      dataset text not null,
      definition_version int not null,
      from_ms bigint,
      to_ms bigint,
      recorded_by_ms bigint,
      source json,
      status text not null default 'running',
      owner text,
      lease_until timestamptz,
      attempts int not null default 0,
      done bigint not null default 0,
      total bigint,
      version int,
      is_new bool,
      requested_by text not null,
      requested_kind text not null,
      requested_at timestamptz not null,
      ended_at timestamptz,
      canceled_by text,
      problem json
    );
    comment on table dataset_builds is 'Versions of datasets that were asked for. The owner of a running one works on it until its lease has passed. What was sent for it is a file named input:<id>.';
    create index dataset_builds_requested on dataset_builds (requested_at desc, id desc);
    create index dataset_builds_of on dataset_builds (dataset, requested_at desc, id desc);
    create index dataset_builds_running on dataset_builds (requested_at, id) where status = 'running';
    ${tells('dataset_builds', 'insert or update of owner')}`,
};

/** Builds by when they ended; the versions that they made stay. */
export const datasetBuildRecords = { table: 'dataset_builds', over: "status <> 'running' and ended_at < $1" };

export interface VersionItem {
  readonly id: string;
  readonly dataset: string;
  readonly definitionVersion: number;
  /** Of the content and what made it: an equal one is the same version. */
  readonly fingerprint: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly rows: number;
  readonly columns: readonly DatasetColumn[];
  readonly query: DatasetQuery;
  readonly profile: DatasetProfile;
  readonly parts: Readonly<Record<string, number>> | null;
  /** The number that it gets; decided before, so that its audit entry names it. */
  readonly version: number;
  readonly at: number;
  readonly by: string;
}

const conflict = (detail: string): Refused => new Refused(new AiosError('store.conflict', { detail }));

/** The locks of datasets until the commit, in one order: numbers, uses and deletions of one dataset come one after the other. */
async function lock(tx: Queryable, items: readonly { dataset: string }[]): Promise<void> {
  for (const dataset of [...new Set(items.map((item) => item.dataset))].sort())
    await tx.query("select pg_advisory_xact_lock(hashtextextended('dataset ' || $1, 0))", [dataset]);
}

/** A gate: the number is still free, and the file still there. */
export const versionLane: Lane<VersionItem> = {
  name: 'versions of datasets',
  order: 47,
  gate: true,
  async write(tx, items) {
    await lock(tx, items);
    const results: (Refused | undefined)[] = [];
    for (const item of items) {
      const [blob] = await tx.query('select from dataset_blobs where digest = $1 for share', [item.digest]);
      if (blob) {
        await tx.query(
          `insert into dataset_versions (id, dataset, version, definition_version, fingerprint, digest, size_bytes, row_count, columns,
             query, profile, parts, created_at, created_by)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) on conflict do nothing`,
          [
            item.id,
            item.dataset,
            item.version,
            item.definitionVersion,
            item.fingerprint,
            item.digest,
            item.sizeBytes,
            item.rows,
            JSON.stringify(item.columns),
            JSON.stringify(item.query),
            JSON.stringify(item.profile),
            item.parts === null ? null : JSON.stringify(item.parts),
            timestamp(item.at),
            item.by,
          ],
        );
      }
      const [own] = await tx.query('select from dataset_versions where id = $1', [item.id]);
      results.push(own ? undefined : conflict(`Another version of ${item.dataset} came first.`));
    }
    return results as Refused[];
  },
};

export interface DeletionItem {
  readonly dataset: string;
  readonly version: number;
  readonly at: number;
  readonly by: string;
}

/** A gate: no model names the version. Its file goes with the last version that has it. */
export const deletionLane: Lane<DeletionItem> = {
  name: 'deleted versions of datasets',
  order: 48,
  gate: true,
  async write(tx, items) {
    await lock(tx, items);
    const results: (Refused | undefined)[] = [];
    for (const { dataset, version, at, by } of items) {
      const models = await tx.query<{ name: string; version: number }>(
        `select model as name, model_version as version from dataset_models where dataset = $1 and version = $2
         order by 1, 2 limit 20`,
        [dataset, version],
      );
      if (models.length > 0) {
        const named = models.map((model) => `${model.name} ${model.version}`).join(', ');
        const detail = `${named} was trained on ${dataset} ${version}.`;
        results.push(
          new Refused(new AiosError('datasets.in_use', { detail, extensions: { models: [...models] } })),
        );
        continue;
      }
      const [gone] = await tx.query<{ digest: string }>(
        `update dataset_versions set deleted_at = $3, deleted_by = $4
         where dataset = $1 and version = $2 and deleted_at is null returning digest`,
        [dataset, version, timestamp(at), by],
      );
      if (gone) {
        // Whoever makes a version of these bytes holds their row: what it wrote is seen by the next statement.
        await tx.query('select from dataset_blobs where digest = $1 for update', [gone.digest]);
        await tx.query(
          `delete from dataset_blobs b where digest = $1
           and not exists (select from dataset_versions v where v.digest = b.digest and v.deleted_at is null)`,
          [gone.digest],
        );
      }
      const [own] = await tx.query(
        'select from dataset_versions where dataset = $1 and version = $2 and deleted_at = $3 and deleted_by = $4',
        [dataset, version, timestamp(at), by],
      );
      const detail = `${dataset} ${version} was deleted already.`;
      results.push(own ? undefined : new Refused(new AiosError('datasets.deleted', { detail })));
    }
    return results as Refused[];
  },
};

export interface UseItem {
  readonly dataset: string;
  readonly version: number;
  readonly model: string;
  readonly modelVersion: number;
}

/** A gate: what a model names is there, and stays. */
export const useLane: Lane<UseItem> = {
  name: 'datasets of models',
  order: 8,
  gate: true,
  async write(tx, items) {
    await lock(tx, items);
    const results: (Refused | undefined)[] = [];
    for (const { dataset, version, model, modelVersion } of items) {
      const written = await tx.query(
        `insert into dataset_models (dataset, version, model, model_version)
         select dataset, version, $3, $4 from dataset_versions where dataset = $1 and version = $2 and deleted_at is null
         on conflict (dataset, version, model, model_version) do update set model = excluded.model returning version`,
        [dataset, version, model, modelVersion],
      );
      const detail = `${dataset} ${version} was deleted.`;
      results.push(
        written.length > 0 ? undefined : new Refused(new AiosError('datasets.deleted', { detail })),
      );
    }
    return results as Refused[];
  },
};
