import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { type Lane, Refused } from '../store/lane.ts';

/** The runtime of versions that nothing here can run: what was registered are files, named with the reason. */
export const FILES_RUNTIME = 'files';

/** What is kept and not served. */
export interface KeptFiles {
  /** Why no runtime takes it, as people are told. */
  readonly reason: string;
  /** Where its files are, and their digests by path. */
  readonly source: string;
  readonly files: Readonly<Record<string, string>>;
}

/** Why a version is not served. @returns nothing for one that is */
export function unservable(version: {
  name: string;
  version: number;
  runtime: string;
  endpoint?: JsonObject | undefined;
}): AiosError | undefined {
  if (version.runtime !== FILES_RUNTIME) return undefined;
  return new AiosError('models.not_servable', {
    detail: `${version.name}/${version.version}: ${String(version.endpoint?.reason)}`,
  });
}

export interface RemovedAlias {
  readonly name: string;
  readonly alias: string;
  readonly version: number;
}

/** A gate: an alias is taken away only from where its mover saw it, and not under a rollout. Gone already is success. */
export const aliasRemovalLane: Lane<RemovedAlias> = {
  name: 'model aliases removed',
  order: 7,
  gate: true,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const { name, alias, version } of items) {
      const [current] = await tx.query<{ version: number }>(
        'select version from model_aliases where name = $1 and alias = $2 for update',
        [name, alias],
      );
      const [active] = await tx.query<{ id: string }>(
        'select id from model_rollouts where model = $1 and alias = $2 and ended_at is null',
        [name, alias],
      );
      if (active) {
        const detail = `${alias} of ${name} is under the rollout ${active.id}.`;
        results.push(new Refused(new AiosError('models.rollout_active', { detail })));
      } else if (current && current.version !== version) {
        const detail = `${alias} of ${name} was moved by someone else.`;
        results.push(new Refused(new AiosError('store.conflict', { detail })));
      } else {
        await tx.query('delete from model_aliases where name = $1 and alias = $2', [name, alias]);
        results.push(undefined);
      }
    }
    return results;
  },
};
