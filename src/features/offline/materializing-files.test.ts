import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { entityKind, featureServiceKind, featureViewKind } from '../definitions.ts';
import { FeaturesUnderTest } from '../features-under-test.ts';
import { Materializations } from '../materializations.ts';
import { BatchSources } from './batch-sources.ts';
import { FileSources } from './file-source.ts';
import { OfflineJobs } from './jobs.ts';

let features: FeaturesUnderTest;
let folder: string;
beforeAll(async () => {
  features = await FeaturesUnderTest.open();
  folder = await mkdtemp(join(tmpdir(), 'aios-files-'));
});
afterAll(async () => {
  await features.close();
  await rm(folder, { recursive: true, force: true });
});

it('files come online page by page, what came in since is added, and one that is not allowed says so', async () => {
  await features.put(entityKind, 'name: product\njoinKeys: [product]');
  for (const [name, path] of [
    ['stock', 'stock.csv'],
    ['elsewhere', '/elsewhere/stock.csv'],
  ])
    await features.put(
      featureViewKind,
      `name: ${name}\nentity: product\nsource: { csv: ${path}, timestamp: at }\nfeatures: { units: { type: int64 } }`,
    );
  await features.put(featureServiceKind, 'name: stock\nviews: [stock]');
  const process = await features.process();
  const { db, commit, limits } = features.database;
  const jobs = new OfflineJobs([folder], limits);
  const tables = new BatchSources({ tables: process.rows.tables, files: new FileSources(jobs) });
  let nowMs = 100_000;
  const open = () =>
    new Materializations({
      db,
      commit,
      views: process.views,
      rows: { ...process.rows, tables },
      clock: { now: () => nowMs },
      freshness: process.freshness,
      limits: { ...limits, featureMaterializeRowsMax: 2, featureMaterializeOverlapMs: 0 },
    });
  const passes = open();
  const finish = async (view: string, mode: 'full' | 'incremental', rest = passes) => {
    const id = await passes.start({ view, mode, by: 'ann' }, []);
    while (await rest.step());
    return passes.get(id);
  };
  const units = async (...products: string[]) => {
    const entities = products.map((product) => ({ product }));
    return (await process.store.online({ service: 'stock', entities, asOf: { timeMs: nowMs } })).rows.flat();
  };

  const csv = (...lines: string[]) =>
    writeFile(join(folder, 'stock.csv'), ['product,at,units', ...lines, ''].join('\n'));
  const old = ['a,1000,1', 'b,2000,2', 'a,3000,3', 'c,4000,4', 'd,5000,5', 'e,900000,6'];
  await csv(...old);
  expect(await finish('stock', 'full')).toMatchObject({
    status: 'done',
    entities: 4,
    total: 4,
    newestMs: 5_000,
  });
  expect(await units('a', 'b', 'c', 'd', 'e')).toEqual([3, 2, 4, 5, null]);

  nowMs = 200_000;
  await csv(...old, 'b,150000,7', 'f,150001,8');
  expect(await finish('stock', 'incremental', open())).toMatchObject({ fromMs: 100_000, entities: 2 });
  expect(await units('a', 'b', 'f')).toEqual([3, 7, 8]);

  // What the file has no more stays until a pass has read all of it.
  await csv('a,1000,1', 'b,150000,7', 'f,150001,9');
  expect(await finish('stock', 'incremental')).toMatchObject({ removed: 0 });
  expect(await units('a', 'c', 'd', 'f')).toEqual([3, 4, 5, 8]);
  expect(await finish('stock', 'full', open())).toMatchObject({ entities: 3, removed: 2 });
  expect(await units('a', 'b', 'c', 'd', 'f')).toEqual([1, 7, null, null, 9]);
  expect(await finish('elsewhere', 'full')).toMatchObject({
    status: 'failed',
    problem: { code: 'features.source_not_allowed' },
  });
  await passes.stop();
  // What was kept for the pages of a pass holds no turn any more.
  expect(await Promise.all([1, 2, 3].map((one) => jobs.run(async () => one)))).toEqual([1, 2, 3]);
});
