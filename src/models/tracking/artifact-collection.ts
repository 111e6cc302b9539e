import type { Write } from '../../store/lane.ts';
import { timestamp } from '../../store/rows.ts';
import type { TrackingDependencies } from './experiments.ts';
import { tracked } from './tracking-lane.ts';

/** Files that went with a training run or a logged model, for the audit log. */
export interface CollectedFiles {
  readonly kind: 'training-run' | 'logged-model';
  readonly id: string;
  readonly files: number;
  readonly bytes: number;
  readonly at: number;
}

interface Owner {
  kind: CollectedFiles['kind'];
  id: string;
  prefix: string;
  files: number;
  bytes: number;
}

interface Dependencies extends TrackingDependencies {
  record(collected: CollectedFiles): readonly Write[];
}

/** Uploads that are older than this were given up by their senders. */
const UPLOAD_MS = 86_400_000;

/**
 * Takes away the files of training runs and logged models that have been deleted for long, uploads that never ended, and the bytes that nothing names any
 * more. What a registered version comes from stays, and so do parameters and metrics.
 *
 * @example await collection.step() // { owners: 3, bytes: 0 }
 */
export class ArtifactCollection {
  readonly #deps: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#deps = dependencies;
  }

  /** As much as one look may take away. @returns how many owners lost their files, and how many contents nothing named */
  async step(): Promise<{ owners: number; contents: number }> {
    const { db, clock, limits } = this.#deps;
    const now = clock.now();
    await db.query(
      'delete from training_uploads where id in (select id from training_uploads where created_at < $1 order by created_at limit $2)',
      [timestamp(now - UPLOAD_MS), limits.trackingCollectCountMax],
    );
    const owners = await this.#owners(now - limits.trackingDeletedMs);
    for (const owner of owners) await this.#collect(owner, now);
    return { owners: owners.length, contents: await this.#dropUnnamed() };
  }

  /** Deleted before a moment, by themselves or with their experiment, with files, and named by no version. */
  #owners(beforeMs: number): Promise<Owner[]> {
    return this.#deps.db.query<Owner>(
      `with gone as (
         select 'training-run' as kind, r.id, r.experiment_id || '/' || r.id || '/artifacts' as prefix
         from training_runs r join experiments e on e.id = r.experiment_id
         where (r.is_deleted and r.deleted_at < $1 or e.is_deleted and e.updated_at < $1)
           and not exists (select from registered_versions v where v.run_id = r.id or strpos(v.source, r.id) > 0)
         union all
         select 'logged-model', l.id, l.experiment_id || '/models/' || l.id || '/artifacts'
         from logged_models l join experiments e on e.id = l.experiment_id
         left join training_runs r on r.id = l.run_id
         where (l.is_deleted and l.updated_at < $1 or r.is_deleted and r.deleted_at < $1 or e.is_deleted and e.updated_at < $1)
           and not exists (select from registered_versions v where v.model_id = l.id or strpos(v.source, l.id) > 0))
       select kind, id, prefix, count(*)::int as files, sum(size_bytes)::float8 as bytes
       from gone join training_artifacts a on a.path > prefix || '/' and a.path < prefix || '0'
       group by kind, id, prefix order by id limit $2`,
      [timestamp(beforeMs), this.#deps.limits.trackingCollectCountMax],
    );
  }

  async #collect({ kind, id, prefix, files, bytes }: Owner, at: number): Promise<void> {
    await this.#deps.commit.commit([
      tracked("delete from training_artifacts where path > $1 || '/' and path < $1 || '0'", [prefix]),
      ...this.#deps.record({ kind, id, files, bytes, at }),
    ]);
  }

  /** Contents that are no file of training, no version, and no file of a version that is kept. What is being named just now refuses the deletion by its reference. */
  async #dropUnnamed(): Promise<number> {
    const { db, limits } = this.#deps;
    const dropped = await db.query(
      `delete from artifacts where digest in (
         select digest from artifacts a
         where not exists (select from training_artifacts t where t.digest = a.digest)
           and not exists (select from model_versions v where v.digest = a.digest)
           and not exists (select from model_versions v, json_each_text(v.endpoint->'files') f
             where v.runtime = 'files' and f.value = a.digest)
         limit $1) returning digest`,
      [limits.trackingCollectCountMax],
    );
    return dropped.length;
  }
}
