// `node bench/data-dataset-side.ts DATABASE FOLDER DATASET`: makes a version of a dataset of entities.parquet of a folder, and prints {"ms":…,"peakMb":…,"rows":…}.
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { DatasetBuilds } from '../src/features/datasets/dataset-builds.ts';
import { Datasets } from '../src/features/datasets/datasets.ts';
import { FeatureStore } from '../src/features/feature-store.ts';
import { BatchSources } from '../src/features/offline/batch-sources.ts';
import { FileSources } from '../src/features/offline/file-source.ts';
import { OfflineJobs } from '../src/features/offline/jobs.ts';
import { PostgresOnlineStore } from '../src/features/online-store.ts';
import { PushedRows } from '../src/features/pushed-rows.ts';
import { TableSources } from '../src/features/table-source.ts';
import { viewsWithoutLog } from '../src/features/views-under-test.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { openDatabase } from '../src/store/database.ts';
import { Definitions } from '../src/store/definitions.ts';
import { GroupCommit } from '../src/store/group-commit.ts';

const [connectionString = '', folder = '', dataset = ''] = process.argv.slice(2);
const limits = limitsFrom();
const db = await openDatabase({ connectionString }, 4);
const commit = new GroupCommit(db, limits);
const definitions = new Definitions(db);
await definitions.reload();
const views = viewsWithoutLog(db, definitions);
await views.reload();
const jobs = new OfflineJobs([folder], limits);
const features = new FeatureStore({
  db,
  views,
  clock: systemClock,
  limits,
  progress: { passed: async () => {}, continuity: () => 0, offset: () => 0 },
  rows: {
    online: new PostgresOnlineStore(db),
    tables: new BatchSources({ tables: new TableSources(db, []), files: new FileSources(jobs) }),
    pushed: new PushedRows(db),
  },
  freshness: { note: () => {} },
});
const shared = { db, commit, clock: systemClock, limits, definitions };
const builds = new DatasetBuilds({
  ...shared,
  datasets: new Datasets({ ...shared, record: () => [] }),
  views,
  features,
  async *readEvents() {},
  countEvents: async () => 0,
});
const content = createReadStream(join(folder, 'entities.parquet'));
const begun = performance.now();
const id = await builds.start({
  name: dataset,
  source: { file: { content, format: 'parquet' } },
  by: { kind: 'system', id: 'bench' },
});
await builds.passes.step();
const { rows, problem } = await builds.get(id);
if (problem) throw new Error(problem.detail);
const ms = performance.now() - begun;
console.log(JSON.stringify({ ms, peakMb: process.resourceUsage().maxRSS / 1024, rows }));
await commit.close();
await db.close();
