import { createHash } from 'node:crypto';
import { AiosError } from '../kernel/errors.ts';
import type { Database } from '../store/database.ts';
import type { LedgerKeys } from './key-files.ts';

/**
 * Holds a data folder's keys to the database that it is used with: with other keys the payloads there could not be opened, and a second signer would
 * continue the log. The first that comes is kept.
 *
 * @throws AiosError `ledger.other_keys`
 */
export async function checkIdentity(db: Database, { master, publicKey }: LedgerKeys): Promise<void> {
  const fingerprint = createHash('sha256')
    .update(master)
    .update(publicKey.export({ format: 'der', type: 'spki' }))
    .digest('hex');
  await db.query('insert into ledger_identity (fingerprint) values ($1) on conflict do nothing', [
    fingerprint,
  ]);
  const [known] = await db.query<{ fingerprint: string }>('select fingerprint from ledger_identity');
  if (known?.fingerprint !== fingerprint) throw new AiosError('ledger.other_keys');
}
