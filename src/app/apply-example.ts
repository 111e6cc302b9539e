import { AiosError } from '../kernel/errors.ts';
import type { ProjectFile } from '../store/definition-kind.ts';
import { applyProject } from './apply-project.ts';
import type { Stations } from './stations/stations.ts';

/** What a start left of an example as somebody had changed it. */
export interface KeptOfExample {
  /** `workflow returns v3`. */
  readonly kept: readonly string[];
  /** Why nothing else of it was applied: the rest no longer fits what was changed. */
  readonly misfit: AiosError | undefined;
}

/**
 * Applies an example at each start of it. A definition that somebody has changed since the example put it stays as it is: who tries an example out edits it, and
 * the next start must not undo that. A change that was taken back counts as none.
 *
 * @throws AiosError what the plan finds, of an example that nobody has changed
 * @example const { kept } = await applyExample(stations, 'returns', files) // ['workflow returns v2']
 */
export async function applyExample(
  stations: Stations,
  example: string,
  files: readonly ProjectFile[],
): Promise<KeptOfExample> {
  const by = { kind: 'system', id: `example:${example}` };
  const kept = new Set<string>();
  try {
    await applyProject(stations, files, by, false, async ({ kind, name, version, digest }) => {
      const versions = await stations.definitions.versions(kind, name);
      if (versions.some((one) => one.createdBy === by.id && one.digest === digest)) return false;
      kept.add(`${kind} ${name} v${version}`);
      return true;
    });
    return { kept: [...kept], misfit: undefined };
  } catch (error) {
    if (!(error instanceof AiosError) || kept.size === 0) throw error;
    return { kept: [...kept], misfit: error };
  }
}
