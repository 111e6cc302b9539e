// `node examples/returns/export-features.ts --orders FILE --out FOLDER`: replays history through AIOS, makes a version of the dataset
// `return-requests` of it, and writes it: for every return request the vector that AIOS itself would have given at its place in the log, with its
// metadata (Croissant) and its datasheet. Training reads nothing else.
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createApp } from '../../src/app/app.ts';
import { readProject } from '../../src/cli/projects.ts';
import { croissant, datasheet } from '../../src/features/datasets/told.ts';
import { ManualClock } from '../../src/kernel/clock.ts';
import type { CloudEvent } from '../../src/kernel/cloudevent.ts';
import { limitsFrom } from '../../src/kernel/limits.ts';
import { openRetail } from './retail.ts';

const BATCH = 500;
const { values } = parseArgs({ options: { orders: { type: 'string' }, out: { type: 'string' } } });
if (!values.orders || !values.out) {
  console.error('usage: node examples/returns/export-features.ts --orders FILE --out FOLDER');
  process.exit(64);
}
const folder = await mkdtemp(join(tmpdir(), 'aios-features-'));
await chmod(folder, 0o755); // as root, Postgres runs as another user
const app = await createApp({
  dataDir: folder,
  host: '127.0.0.1',
  port: 0,
  limits: limitsFrom(),
  clock: new ManualClock(),
});
try {
  // Entities, views, the service and the dataset only: a model cannot be needed to make the features that it is trained on.
  const wanted = /^(aios\.yaml|contracts|entities|features|services|datasets)/;
  const files = (await readProject(import.meta.dirname)).filter(({ path }) => wanted.test(path));
  await app.apply(
    await Promise.all(
      files.map(async ({ path }) => ({ path, bytes: await readFile(join(import.meta.dirname, path)) })),
    ),
  );
  await replay(values.orders);
  await app.stations.consumers.idle();
  await write(values.out);
} finally {
  await app.stop();
  await rm(folder, { recursive: true, force: true });
}

async function replay(path: string): Promise<void> {
  let batch: CloudEvent[] = [];
  const flush = async () => {
    for (const outcome of await app.stations.log.append(batch))
      if (outcome.status === 'rejected') throw outcome.reason;
    batch = [];
  };
  for await (const event of openRetail(path).events()) if (batch.push(event) >= BATCH) await flush();
  await flush();
}

async function write(out: string): Promise<void> {
  const { datasets, datasetBuilds, definitions } = app.stations;
  const by = { kind: 'system', id: 'export-features' };
  const id = await datasetBuilds.start({ name: 'return-requests', by });
  const { problem, version: number } = await datasetBuilds.passes.wait(id, Number.POSITIVE_INFINITY);
  if (problem) throw new Error(problem.detail);
  const version = await datasets.version('return-requests', number!);
  await mkdir(out, { recursive: true });
  await datasets.writeTo(join(out, 'data.parquet'), version);
  const metadata = await croissant(datasets, definitions, version, 'data.parquet');
  await writeFile(join(out, 'croissant.json'), `${JSON.stringify(metadata, null, 2)}\n`);
  await writeFile(join(out, 'datasheet.md'), await datasheet(datasets, definitions, version));
  const features = version.columns.filter(({ role }) => role === 'feature').length;
  console.error(`${version.rows} vectors of ${features} features in ${out}, ${version.digest}`);
}
