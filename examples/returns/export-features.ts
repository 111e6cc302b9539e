// `node examples/returns/export-features.ts --orders FILE --out FILE.csv`: replays history through AIOS and writes, for every return request,
// the vector that AIOS itself would have given at its place in the log. Training reads nothing else.
import { createWriteStream } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createApp } from '../../src/app.ts';
import { readProject } from '../../src/cli/projects.ts';
import type { SpineRow } from '../../src/features/historical.ts';
import { ManualClock } from '../../src/kernel/clock.ts';
import type { CloudEvent } from '../../src/kernel/cloudevent.ts';
import type { JsonObject } from '../../src/kernel/json.ts';
import { limitsFrom } from '../../src/kernel/limits.ts';
import { openRetail } from './retail.ts';

const BATCH = 500;
const { values } = parseArgs({ options: { orders: { type: 'string' }, out: { type: 'string' } } });
if (!values.orders || !values.out) {
  console.error('usage: node examples/returns/export-features.ts --orders FILE --out FILE.csv');
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
  // Entities, views and the service only: a model cannot be needed to make the features that it is trained on.
  const wanted = /^(aios\.yaml|contracts|entities|features|services)/;
  const files = (await readProject(import.meta.dirname)).filter(({ path }) => wanted.test(path));
  await app.apply(
    await Promise.all(
      files.map(async ({ path }) => ({ path, bytes: await readFile(join(import.meta.dirname, path)) })),
    ),
  );
  const spine = await replay(values.orders);
  await app.stations.consumers.idle();
  await write(values.out, spine);
} finally {
  await app.stop();
  await rm(folder, { recursive: true, force: true });
}

interface Request extends SpineRow {
  data: JsonObject;
}

async function replay(path: string): Promise<Request[]> {
  const spine: Request[] = [];
  let batch: CloudEvent[] = [];
  const flush = async () => {
    const outcomes = await app.stations.log.append(batch);
    for (const [index, event] of batch.entries()) {
      const outcome = outcomes[index]!;
      if (outcome.status === 'rejected') throw outcome.reason;
      if (event.type !== 'return.requested') continue;
      const data = event.data as JsonObject;
      const { partition, offset } = outcome.value;
      spine.push({
        data,
        keys: { customer: data.customerId!, product: data.product! },
        asOf: { timeMs: Date.parse(event.time), position: { partition, offset } },
        request: { quantity: data.quantity!, unit_price: data.unitPrice!, refund_value: data.refundValue! },
      });
    }
    batch = [];
  };
  for await (const event of openRetail(path).events()) if (batch.push(event) >= BATCH) await flush();
  await flush();
  return spine;
}

async function write(path: string, spine: readonly Request[]): Promise<void> {
  const { names, rows } = await app.stations.features.historical('return-risk', spine);
  const out = createWriteStream(path);
  out.write(
    `${['return_id', 'customer_id', 'kind', 'product', 'quantity', 'unit_price', 'refund_value', 'requested_at', ...names].join(',')}\n`,
  );
  for (const [index, { data }] of spine.entries()) {
    const { returnId, customerId, kind, product, quantity, unitPrice, refundValue, requestedAt } = data;
    out.write(
      `${[returnId, customerId, kind, product, quantity, unitPrice, refundValue, requestedAt, ...rows[index]!].map((cell) => cell ?? '').join(',')}\n`,
    );
  }
  await new Promise<void>((resolve) => out.end(resolve));
  console.error(`${rows.length} vectors of ${names.length} features in ${path}`);
}
