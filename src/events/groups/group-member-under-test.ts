import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../kernel/clock.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { openDatabase } from '../../store/database.ts';
import { GroupCommit } from '../../store/group-commit.ts';
import { EventConsumers } from '../consumers.ts';
import { EventLog } from '../log.ts';

/**
 * A process that takes part in the group `shared`: it writes what it handles to the table `handled`, and says its partitions whenever they change.
 * `node group-member-under-test.ts <database url> <name> <limits>`
 */
const [url = '', name = '', overrides] = process.argv.slice(2);
const limits = limitsFrom(overrides);
const db = await openDatabase({ connectionString: url }, 4);
const log = new EventLog({ db, commit: new GroupCommit(db, limits), clock: systemClock, limits });
const consumers = new EventConsumers({ db, log, limits });
consumers.add({
  group: 'shared',
  pauseMs: () => 1,
  async handle(events, tx) {
    for (const { partition, offset, event } of events)
      await tx.query('insert into handled (member, partition, log_offset, id) values ($1, $2, $3, $4)', [
        name,
        partition,
        offset,
        event.id,
      ]);
    await sleep(5);
    return undefined;
  },
});
await consumers.start();
let told = '';
setInterval(() => {
  const partitions = consumers.partitions('shared').join(' ');
  if (partitions !== told) process.stdout.write(`${partitions}\n`);
  told = partitions;
}, 5);
process.once('SIGTERM', () => void consumers.stop().then(() => process.exit(0)));
