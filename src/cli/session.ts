import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosClient } from '../client/client.ts';
import { AiosError } from '../kernel/errors.ts';

/** The options that every command takes. */
export interface GlobalOptions {
  url: string;
  key?: string;
  json: boolean;
  dataDir: string;
}

/**
 * A client for the server that the options name. The key comes from `--key`, `AIOS_API_KEY`, or the admin key that a local server
 * wrote to its data folder.
 *
 * @throws AiosError `access.unauthenticated` when there is no key
 */
export async function openClient({ url, key, dataDir }: GlobalOptions): Promise<AiosClient> {
  const file = join(dataDir, 'admin.key');
  const found = key ?? process.env.AIOS_API_KEY ?? (await readFile(file, 'utf8').catch(() => undefined));
  if (!found) {
    throw new AiosError('access.unauthenticated', {
      detail: `No key: give --key, set AIOS_API_KEY, or start AIOS here (it writes ${file}).`,
    });
  }
  return new AiosClient({ baseUrl: url, key: found.trim() });
}
