import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { tells } from '../store/changes.ts';
import { type Lane, Refused } from '../store/lane.ts';
import type { Migration } from '../store/migrations.ts';
import { timestamp } from '../store/rows.ts';
import { approvalMigration } from './approval-lanes.ts';
import type { ModelDataset } from './datasets.ts';
import { rolloutMigration } from './rollout-lanes.ts';
import type { Signature } from './signature.ts';

export const modelMigrations: Migration[] = [
  {
    name: '0040_models',
    sql: `
      create table artifacts (
        digest text primary key,
        bytes bytea
      );
      comment on table artifacts is 'Model files, and the canonical JSON of endpoints, by the SHA-256 of their bytes. Rows are never changed; without bytes these are in artifact_chunks.';
      create table artifact_chunks (
        digest text not null references artifacts (digest) on delete cascade,
        number int not null,
        bytes bytea not null,
        primary key (digest, number)
      );
      alter table artifact_chunks alter column bytes set storage external;
      comment on table artifact_chunks is 'The bytes of files that came in pieces, from number 1 on: artifacts holds none of them itself.';
      create table model_versions (
        name text not null,
        version int not null,
        runtime text not null,
        digest text not null references artifacts (digest),
        endpoint json,
        fingerprint text not null,
        size_bytes int not null,
        signature json not null,
        card json not null,
        metadata json not null,
        datasets json not null,
        created_at timestamptz not null,
        created_by text not null,
        started_by text,
        primary key (name, version)
      );
      comment on table model_versions is 'Every version that passed its warm-up. Rows are never changed; fingerprint covers runtime, file or endpoint, card, declared signature and datasets.';
      create table model_aliases (
        name text not null,
        alias text not null,
        version int not null,
        primary key (name, alias),
        foreign key (name, version) references model_versions (name, version)
      );
      comment on table model_aliases is 'Which version an alias means now; what it meant before is in the audit log.';
      ${tells('model_versions')}
      ${tells('model_aliases')}`,
  },
  rolloutMigration,
  approvalMigration,
];

export interface VersionItem {
  name: string;
  version: number;
  runtime: string;
  digest: string;
  fingerprint: string;
  artifact: Uint8Array;
  endpoint: JsonObject | undefined;
  signature: Signature;
  card: JsonObject;
  metadata: JsonObject;
  datasets: readonly ModelDataset[];
  createdAt: number;
  createdBy: string;
  startedBy?: string | undefined;
}

const conflict = (detail: string): Refused => new Refused(new AiosError('store.conflict', { detail }));

/** A gate: the number was chosen from memory, and another process may have taken it. Registrations are rare: one statement each. */
export const versionLane: Lane<VersionItem> = {
  name: 'model versions',
  order: 6,
  gate: true,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const item of items) {
      await tx.query(
        // The lock of the row keeps it while nothing names it yet.
        'insert into artifacts (digest, bytes) values ($1, $2) on conflict (digest) do update set digest = excluded.digest',
        [item.digest, item.artifact],
      );
      await tx.query(
        `insert into model_versions
           (name, version, runtime, digest, endpoint, fingerprint, size_bytes, signature, card, metadata, datasets, created_at, created_by, started_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) on conflict (name, version) do nothing`,
        [
          item.name,
          item.version,
          item.runtime,
          item.digest,
          item.endpoint ? JSON.stringify(item.endpoint) : null,
          item.fingerprint,
          item.artifact.length,
          JSON.stringify(item.signature),
          JSON.stringify(item.card),
          JSON.stringify(item.metadata),
          JSON.stringify(item.datasets),
          timestamp(item.createdAt),
          item.createdBy,
          item.startedBy ?? null,
        ],
      );
      const [stored] = await tx.query<{ fingerprint: string }>(
        'select fingerprint from model_versions where name = $1 and version = $2',
        [item.name, item.version],
      );
      const taken = stored?.fingerprint !== item.fingerprint;
      results.push(taken ? conflict(`${item.name} already has a version ${item.version}.`) : undefined);
    }
    return results;
  },
};

export interface AliasItem {
  name: string;
  alias: string;
  version: number;
  /** What the alias meant when the change was decided; 0 for nothing. */
  from: number;
  /** Where a rollback of this change goes; nothing after a rollback. */
  before: number | undefined;
  /** The rollout that ends with this change; any other that is active refuses it. */
  rollout?: string | undefined;
}

/** A gate: an alias moves only from where the mover saw it, and not under a rollout. Moved there already is success, so that it can be sent again. */
export const aliasLane: Lane<AliasItem> = {
  name: 'model aliases',
  order: 7,
  gate: true,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const { name, alias, version, from, before, rollout } of items) {
      // The lock first: a rollout that begins at the same time waits for it, or is seen by the next statement.
      await tx.query('select from model_aliases where name = $1 and alias = $2 for update', [name, alias]);
      const [active] = await tx.query<{ id: string }>(
        'select id from model_rollouts where model = $1 and alias = $2 and ended_at is null',
        [name, alias],
      );
      if (active && active.id !== rollout) {
        const detail = `${alias} of ${name} is under the rollout ${active.id}.`;
        results.push(new Refused(new AiosError('models.rollout_active', { detail })));
        continue;
      }
      const moved = await tx.query(
        `insert into model_aliases (name, alias, version, before) values ($1, $2, $3, $5)
         on conflict (name, alias) do update set version = excluded.version, before = excluded.before
         where model_aliases.version = any($4::int[]) returning version`,
        [name, alias, version, [from, version], before ?? null],
      );
      results.push(moved.length > 0 ? undefined : conflict(`${alias} of ${name} was moved by someone else.`));
    }
    return results;
  },
};
