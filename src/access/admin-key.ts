import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosError } from '../kernel/errors.ts';
import type { Access } from './access.ts';
import { isSecret, newSecret } from './key-format.ts';

const FORM = 'aios_key_…, checksum included';

/**
 * The admin key: given, kept from an earlier start, or made now; in a file that only its owner reads. A variable or a file that is empty says nothing:
 * `AIOS_ADMIN_KEY=` in a compose file is how people leave it out.
 *
 * @param given as `AIOS_ADMIN_KEY` says it; then the keys of earlier starts are revoked
 * @throws AiosError `access.key_format` for one that is given or kept and is not a key, before anything is written
 * @example const key = await openAdminKey('.aios', process.env.AIOS_ADMIN_KEY, access)
 */
export async function openAdminKey(
  dataDir: string,
  given: string | undefined,
  access: Pick<Access, 'ensureAdminKey'>,
): Promise<string> {
  const file = join(dataDir, 'admin.key');
  const preset = given?.trim() || undefined;
  const inFile = (await readFile(file, 'utf8').catch(() => undefined))?.trim() || undefined;
  const kept = preset ?? inFile;
  if (kept !== undefined && !isSecret(kept, 'key'))
    throw new AiosError('access.key_format', {
      detail: preset
        ? `AIOS_ADMIN_KEY must have the form ${FORM}.`
        : `${file} holds no key of the form ${FORM}. Move it away, and the next start makes a new one.`,
    });
  const key = kept ?? newSecret('key');
  if (inFile !== key) await replace(file, key);
  await chmod(file, 0o600); // of a file that was there already

  // Given by whoever runs AIOS, it is the one that counts; made here, another process over this database may have made its own.
  await access.ensureAdminKey(key, preset !== undefined);
  return key;
}

/** The file is put in its place whole: a start that the disk has no room for must leave the only copy of the key as it was. */
async function replace(file: string, key: string): Promise<void> {
  const beside = `${file}.new`;
  await writeFile(beside, `${key}\n`, { mode: 0o600 });
  await rename(beside, file);
}
