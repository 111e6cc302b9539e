import { setTimeout as sleep } from 'node:timers/promises';
import { limitsFrom } from '../../../kernel/limits.ts';
import { openDatabase } from '../../../store/database.ts';
import { Membership } from '../../groups/membership.ts';
import { SourceShare } from './source-share.ts';

/**
 * A process that runs sources of bridges: it says which it holds whenever they change.
 * `node share-member-under-test.ts <database url> <sources> <limits>`
 */
const [url = '', names = '', overrides] = process.argv.slice(2);
const limits = limitsFrom(overrides);
const db = await openDatabase({ connectionString: url }, 2);
const membership = new Membership({
  db,
  limits,
  onAppended: () => {},
  onError: (error) => process.stderr.write(`${String(error)}\n`),
});
const share = new SourceShare({ db, membership, limits });
for (let told = ''; ; await sleep(20)) {
  const { held, given } = await share.hold(names.split(','));
  if (given.length > 0) await share.release(given);
  const now = [...held].sort().join(' ');
  if (now !== told) process.stdout.write(`${now}\n`);
  told = now;
}
