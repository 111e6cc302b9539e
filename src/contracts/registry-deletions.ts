import type { Database, Queryable } from '../store/database.ts';
import { type Write, write } from '../store/lane.ts';
import type { VersionName } from './schema-ids.ts';
import { seenLane } from './seen-lane.ts';

/** `soft`: it is no longer listed, and read by who knows its number or its id. `permanent`: it is not answered for any more. */
export type Deletion = 'soft' | 'permanent';

interface Change extends VersionName {
  /** What was seen. */
  readonly before: Deletion | undefined;
  readonly wanted: Deletion | undefined;
}

const registryDeletionLane = seenLane<Change>('versions deleted in the schema registry', change);

async function change(tx: Queryable, { name, version, before, wanted }: Change): Promise<boolean> {
  const key = [name, version];
  const seen = 'contract = $1 and version = $2 and is_permanent = $3';
  let rows: object[];
  if (before === undefined)
    rows = await tx.query(
      `insert into contract_registry_deletions (contract, version, is_permanent) values ($1, $2, $3)
       on conflict do nothing returning 1`,
      [...key, wanted === 'permanent'],
    );
  else if (wanted === undefined)
    rows = await tx.query(`delete from contract_registry_deletions where ${seen} returning 1`, [
      ...key,
      before === 'permanent',
    ]);
  else
    rows = await tx.query(
      `update contract_registry_deletions set is_permanent = $4 where ${seen} returning 1`,
      [...key, before === 'permanent', wanted === 'permanent'],
    );
  return rows.length > 0;
}

/**
 * Versions that the clients of the schema registry have deleted there. The contracts stay as they are: what was promised holds, and events that were written
 * under a version stay valid.
 *
 * @example await commit.commit([deletions.change({ name: 'order', version: '1.0.0', before: undefined, wanted: 'soft' }), auditLog.entry(…)])
 */
export class RegistryDeletions {
  readonly #db: Pick<Database, 'query'>;

  constructor(db: Pick<Database, 'query'>) {
    this.#db = db;
  }

  /** By contract and version; those of one contract where it is named. */
  async read(contract?: string): Promise<Map<string, Map<string, Deletion>>> {
    const rows = await this.#db.query<VersionName & { deletion: Deletion }>(
      `select contract as name, version, case when is_permanent then 'permanent' else 'soft' end as deletion
       from contract_registry_deletions where $1::text is null or contract = $1`,
      [contract ?? null],
    );
    const found = new Map<string, Map<string, Deletion>>();
    for (const { name, version, deletion } of rows)
      found.set(name, (found.get(name) ?? new Map()).set(version, deletion));
    return found;
  }

  /** The write that deletes a version, or brings it back. Its commit is refused with `store.conflict` where it is no longer as it was seen. */
  change(change: Change): Write {
    return write(registryDeletionLane, change);
  }
}
