import { createHash } from 'node:crypto';
import { AiosError } from '../kernel/errors.ts';
import type { Database } from '../store/database.ts';
import { type LedgerKeys, openLedgerKeys } from './key-files.ts';

/**
 * The keys of a data folder, held to the database that it is used with: with other keys the payloads there could not be opened, and a second signer would
 * continue the log. The first that come are kept; a folder that lacks those of a database that has some is left as it is.
 *
 * @throws AiosError `ledger.other_keys`
 * @example const { master } = await openIdentity(db, '.aios')
 */
export async function openIdentity(db: Database, folder: string): Promise<LedgerKeys> {
  const read = async () =>
    (await db.query<{ fingerprint: string }>('select fingerprint from ledger_identity'))[0];
  const keys = await openLedgerKeys(folder, (await read()) !== undefined);
  const fingerprint = createHash('sha256')
    .update(keys.master)
    .update(keys.publicKey.export({ format: 'der', type: 'spki' }))
    .digest('hex');
  await db.query('insert into ledger_identity (fingerprint) values ($1) on conflict do nothing', [
    fingerprint,
  ]);
  if ((await read())?.fingerprint !== fingerprint) throw new AiosError('ledger.other_keys');
  return keys;
}
