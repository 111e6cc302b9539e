import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A temporary folder with what others publish, made once and used again by the next run; nothing where it cannot be made here: then what needs it is skipped.
 *
 * @param kind of what lies in it, one folder each
 * @param names what the folder is known by
 * @example await madeOnce('python', ['numpy==2.3.1'], async (folder) => { await run('python3', ['-m', 'venv', folder]); })
 */
export async function madeOnce(
  kind: string,
  names: readonly string[],
  make: (folder: string) => Promise<void>,
): Promise<string | undefined> {
  const name = createHash('sha256').update(names.join('\n')).digest('hex').slice(0, 16);
  const parent = join(tmpdir(), `aios-${kind}-${process.getuid?.() ?? 'user'}`);
  const folder = join(parent, name);
  if (existsSync(folder)) return folder;
  await mkdir(parent, { recursive: true, mode: 0o755 });
  const building = await mkdtemp(join(parent, 'building-'));
  try {
    await make(building);
    // Complete or not there: two tests may make it at once, and the first to end wins.
    await rename(building, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
    return folder;
  } catch {
    return undefined;
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}
