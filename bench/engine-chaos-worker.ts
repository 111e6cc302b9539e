// One worker process of the chaos: AIOS with its HTTP door over a database that others use too, and an effect that writes down each time it is done.
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApp } from '../src/app/app.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import type { CallPrimitive } from '../src/workflow/catalog/primitive.ts';
import { chaosFlow } from './engine-flows.ts';

const [dataDir, port, effects] = process.argv.slice(2) as [string, string, string];

/** What a receiver would see: one line as the effect is done, in a file that no kill -9 of this process can take back. */
const touch: CallPrimitive = {
  name: 'touch',
  version: 1,
  kind: 'effect',
  inputSchema: { type: 'object' },
  async run(_, { idempotencyKey }) {
    await sleep(2 + Math.random() * 20);
    appendFileSync(effects, `${idempotencyKey} ${process.pid} ${Date.now()}\n`);
    await sleep(Math.random() * 10);
    return { output: idempotencyKey };
  },
};

const app = await createApp({
  dataDir,
  databaseUrl: process.env.AIOS_DATABASE_URL,
  host: '127.0.0.1',
  port: Number(port),
  limits: limitsFrom(process.env.AIOS_LIMITS),
  functions: [touch],
});
await app.apply([chaosFlow]);
app.ready();
console.log('ready');
process.once('SIGTERM', () => void app.stop().then(() => process.exit(0)));
