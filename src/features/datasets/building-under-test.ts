import { systemClock } from '../../kernel/clock.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { openDatabase } from '../../store/database.ts';
import { Definitions } from '../../store/definitions.ts';
import { GroupCommit } from '../../store/group-commit.ts';
import { viewsWithoutLog } from '../views-under-test.ts';
import { DatasetBuilds } from './dataset-builds.ts';
import { Datasets } from './datasets.ts';

// A process of its own that works on a version of a dataset, says how far it is, and never gets further: it waits to be killed while it reads, or before its commit.
const [connectionString = '', stage = ''] = process.argv.slice(2);
const db = await openDatabase({ connectionString }, 2);
const limits = limitsFrom('passLeaseMs=1500');
const definitions = new Definitions(db);
await definitions.reload();
const waits = (text: string): Promise<never> => {
  process.stdout.write(`${text}\n`);
  return new Promise(() => setInterval(() => {}, 60_000));
};
const commit = stage === 'keeping' ? { commit: () => waits(stage) } : new GroupCommit(db, limits);
const shared = { db, commit, clock: systemClock, limits, definitions };
const builds = new DatasetBuilds({
  ...shared,
  datasets: new Datasets({ ...shared, record: () => [] }),
  views: viewsWithoutLog(db, definitions),
  features: {
    historical: async ({ names }, spine) =>
      stage === 'reading' ? waits(stage) : { rows: spine.map(() => names.map(() => null)) },
  },
  async *readEvents() {},
  countEvents: async () => 0,
});
await builds.passes.step();
