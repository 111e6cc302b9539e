// `node bench/data-join-side.ts FOLDER TTL`: joins entities.parquet of a folder with features.parquet, writes aios.parquet, and prints {"ms":…,"peakMb":…}.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HistoricalReader } from '../src/features/historical.ts';
import { HistoricalFiles } from '../src/features/offline/historical-files.ts';
import { OfflineJobs } from '../src/features/offline/jobs.ts';
import { compileRowView } from '../src/features/row-view.ts';
import { compileService } from '../src/features/service.ts';
import { resolveViews } from '../src/features/service-views.ts';
import { limitsFrom } from '../src/kernel/limits.ts';

const [folder = '', ttl = ''] = process.argv.slice(2);
const view = compileRowView(
  1,
  {
    name: 'spend',
    entity: 'customer',
    ttl,
    source: { parquet: 'features.parquet', timestamp: 'event_timestamp', created: 'created' },
    features: {
      amount: { type: 'float64' },
      orders: { type: 'int64' },
      rate: { type: 'float64' },
      tier: { type: 'string' },
      version: { type: 'int64' },
    },
  },
  { joinKeys: ['customer'], types: { customer: 'int64' } },
);
const listed = { name: 'spend', views: ['spend'] };
const service = compileService(
  listed,
  1,
  '',
  resolveViews(listed, () => ({ row: view })),
);
// A service of files alone asks nothing else of the store.
const features = { historicalReader: () => ({ service }) as HistoricalReader };
const files = new HistoricalFiles(new OfflineJobs([folder], limitsFrom()), features);
await rm(join(folder, 'aios.parquet'), { force: true });
const begun = performance.now();
await files.run({ service: 'spend', entities: 'entities.parquet', out: 'aios.parquet' });
const ms = performance.now() - begun;
console.log(JSON.stringify({ ms, peakMb: process.resourceUsage().maxRSS / 1024 }));
