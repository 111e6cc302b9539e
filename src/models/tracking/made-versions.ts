import type { Queryable } from '../../store/database.ts';

interface MadeVersion {
  readonly name: string;
  readonly version: number;
}

/**
 * The model versions that were made of training runs.
 *
 * @param runIds ids of training runs, a page of them at most
 * @returns versions by the id of their run, by name and number; runs without any are left out
 * @example (await versionsMadeBy(db, ['a1'])).get('a1') // [{ name: 'return-risk', version: 3 }]
 */
export async function versionsMadeBy(
  db: Queryable,
  runIds: readonly string[],
): Promise<ReadonlyMap<string, MadeVersion[]>> {
  const rows = await db.query<MadeVersion & { runId: string }>(
    `select run_id as "runId", name, version from registered_versions
     where run_id = any($1::text[]) order by name, version`,
    [runIds],
  );
  const made = new Map<string, MadeVersion[]>();
  for (const { runId, name, version } of rows) {
    const versions = made.get(runId);
    if (versions) versions.push({ name, version });
    else made.set(runId, [{ name, version }]);
  }
  return made;
}
