import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, link, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosError } from '../kernel/errors.ts';

export interface LedgerKeys {
  /** Wraps the data keys of subjects. */
  master: Uint8Array;
  privateKey: KeyObject;
  publicKey: KeyObject;
}

const MASTER = 'ledger-master.key';
const SIGNING = 'ledger-signing.pem';

/**
 * The keys of a data folder, made at the first start, readable by their owner only.
 *
 * @param areKept the database was begun with keys: one that is missing here is not made, as no other would open what is there
 * @throws AiosError `ledger.other_keys` for such a one
 * @example const { publicKey } = await openLedgerKeys('.aios')
 */
export async function openLedgerKeys(folder: string, areKept = false): Promise<LedgerKeys> {
  const missing = [MASTER, SIGNING].filter((name) => !existsSync(join(folder, name)));
  if (areKept && missing.length > 0)
    throw new AiosError('ledger.other_keys', {
      detail: `${folder} has no ${missing.join(' and no ')}, and the audit log of this database was begun with keys.`,
    });
  const master = await keep(join(folder, MASTER), () => randomBytes(32).toString('base64'));
  const pem = await keep(join(folder, SIGNING), () =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  );
  const privateKey = createPrivateKey(pem);
  return { master: Buffer.from(master, 'base64'), privateKey, publicKey: createPublicKey(privateKey) };
}

/**
 * A file is made whole beside its place and linked into it: of two starts at once one makes it and both read the same, and a start that is cut off leaves no
 * half of a key. One that others may read, as after a restore from a backup, is closed to them.
 */
async function keep(path: string, make: () => string): Promise<string> {
  const fresh = `${path}.${randomBytes(6).toString('hex')}`;
  if (!existsSync(path)) {
    try {
      await writeFile(fresh, make(), { mode: 0o600, flag: 'wx', flush: true });
      await link(fresh, path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
    } finally {
      await rm(fresh, { force: true });
    }
  }
  if (((await stat(path)).mode & 0o077) !== 0) await chmod(path, 0o600);
  return readFile(path, 'utf8');
}
