import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface LedgerKeys {
  /** Wraps the data keys of subjects. */
  master: Uint8Array;
  privateKey: KeyObject;
  publicKey: KeyObject;
}

/** The keys of a data folder, made at the first start, readable by their owner only. */
export async function openLedgerKeys(folder: string): Promise<LedgerKeys> {
  const master = await keep(join(folder, 'ledger-master.key'), () => randomBytes(32).toString('base64'));
  const pem = await keep(join(folder, 'ledger-signing.pem'), () =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  );
  const privateKey = createPrivateKey(pem);
  return { master: Buffer.from(master, 'base64'), privateKey, publicKey: createPublicKey(privateKey) };
}

/** `wx`: of two starts at once one makes the file, the other reads it. */
async function keep(path: string, make: () => string): Promise<string> {
  await writeFile(path, make(), { mode: 0o600, flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return readFile(path, 'utf8');
}
