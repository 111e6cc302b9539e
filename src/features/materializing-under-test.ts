import { systemClock } from '../kernel/clock.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { openDatabase } from '../store/database.ts';
import { Definitions } from '../store/definitions.ts';
import { GroupCommit } from '../store/group-commit.ts';
import { heldViewsOf } from './held-views.ts';
import { Materializations } from './materializations.ts';
import { PostgresOnlineStore } from './online-store.ts';
import { TableSources } from './table-source.ts';
import { viewsWithoutLog } from './views-under-test.ts';

// A process of its own that writes pages until nothing is left, or until it is killed.
const [connectionString = '', rows = '100'] = process.argv.slice(2);
const db = await openDatabase({ connectionString }, 2);
const limits = limitsFrom(`featureMaterializeRowsMax=${rows}`);
const definitions = new Definitions(db, heldViewsOf);
await definitions.reload();
const materializations = new Materializations({
  db,
  commit: new GroupCommit(db, limits),
  views: viewsWithoutLog(db, definitions),
  rows: { online: new PostgresOnlineStore(db), tables: new TableSources(db, ['shop']) },
  clock: systemClock,
  freshness: { note: () => {} },
  limits,
});
while (await materializations.step());
await db.close();
