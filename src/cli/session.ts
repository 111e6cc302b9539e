import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosClient } from '../client/client.ts';
import { AiosError } from '../kernel/errors.ts';

/** The options that every command takes. */
export interface GlobalOptions {
  /** Left out: of the server whose data folder it is. */
  url?: string;
  key?: string;
  json: boolean;
  dataDir: string;
}

/** Where a server keeps its address while it runs, in its data folder: commands find it there when it is not at the default port. */
export const ADDRESS_FILE = 'server.url';
const ADDRESS_DEFAULT = 'http://127.0.0.1:7700';

/**
 * A client for the server that the options name, or the one that runs over the data folder. The key comes from `--key`, `AIOS_API_KEY`, or the admin key that a local server
 * wrote to its data folder.
 *
 * @throws AiosError `access.unauthenticated` when there is no key
 */
export async function openClient({ url, key, dataDir }: GlobalOptions): Promise<AiosClient> {
  const file = join(dataDir, 'admin.key');
  const found = key ?? process.env.AIOS_API_KEY ?? (await readFile(file, 'utf8').catch(() => undefined));
  if (!found) {
    throw new AiosError('access.unauthenticated', {
      detail: `There is no key, and no ${file}: no server has been started on this data folder.`,
    });
  }
  const address = url ?? (await readFile(join(dataDir, ADDRESS_FILE), 'utf8').catch(() => ADDRESS_DEFAULT));
  return new AiosClient({ baseUrl: address.trim(), key: found.trim() });
}
