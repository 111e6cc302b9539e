// `npm run chaos -- path [--json] [--rounds N] [--seed N]`: the path under kill -9, of the server and of Postgres, at random moments.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { seededRandom } from '../examples/returns/simulator.ts';
import { startRefunds, startWarehouse } from '../examples/returns/systems.ts';
import { freePort, type Product, startProduct, temporaryFolder } from './product.ts';
import { ORDERS, orderOf, returnRequest } from './requests.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean' },
    rounds: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
  },
});
if (positionals[0] !== 'path') {
  console.error('Which chaos? path');
  process.exit(64);
}
const rounds = Number(values.rounds);
const random = seededRandom(Number(values.seed));
const say = (text: string) => process.stderr.write(`${text}\n`);
say(`seed ${values.seed}`);

const folder = await temporaryFolder();
const port = await freePort();
const refunds = await startRefunds(`${folder.path}/refunds.jsonl`, 50);
const warehouse = await startWarehouse(`${folder.path}/warehouse.jsonl`);
const start = () =>
  startProduct({
    dataDir: folder.path,
    port,
    args: ['--project', 'examples/returns'],
    env: { AIOS_VAR_REFUNDS_URL: refunds.url, AIOS_VAR_WAREHOUSE_URL: warehouse.url },
  });
let product = await start();
for (let from = 0; from < ORDERS; from += 500) {
  await publish(Array.from({ length: 500 }, (_, i) => orderOf(from + i)));
}

/** Ids of return requests whose 202 or 200 came: these must be decided, whatever happens. */
const accepted = new Set<string>();
let next = 0;
let posting = true;
const posters = Array.from({ length: 4 }, () => post());
for (let round = 1; round <= rounds; round++) {
  await sleep(300 + random() * 1200);
  const victim = random() < 0.5 ? 'server' : 'Postgres';
  if (victim === 'server') {
    await product.kill();
    product = await start();
  } else await killPostgres(product);
  say(`round ${round}: killed ${victim}; ${accepted.size} requests accepted so far`);
}
posting = false;
await Promise.all(posters);
const figures = await check(product);
await product.stop();
await Promise.all([refunds.stop(), warehouse.stop()]);
await folder.dispose();
if (values.json) console.log(JSON.stringify({ bench: 'path', figures }));
else console.table(figures);
process.exitCode = figures.lost === 0 && figures.doubled === 0 && figures.auditValid ? 0 : 1;

/** It may be starting again after the last kill: then there is nothing to kill yet. */
async function killPostgres({ postgresPid }: Product): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      return void process.kill(await postgresPid(), 'SIGKILL');
    } catch {
      await sleep(50);
    }
  }
}

async function publish(events: readonly Record<string, unknown>[]): Promise<void> {
  await product.client.request('POST', '/api/v1/events', {
    body: events as never,
    headers: { 'content-type': 'application/cloudevents-batch+json' },
  });
}

/** Posts requests as long as the chaos lasts: half as events, half as synchronous starts. What gets no answer is sent again, as clients do. */
async function post(): Promise<void> {
  while (posting) {
    const request = returnRequest(next++);
    for (let answered = false; !answered; ) {
      try {
        await send(request);
        answered = true;
      } catch {
        await sleep(50); // killed, or not up again yet
      }
    }
    accepted.add(String(request.id));
  }
}

async function send(request: Record<string, unknown>): Promise<void> {
  const synchronous = next % 2 === 0;
  const path = synchronous ? '/api/v1/workflows/returns/runs?wait=5s' : '/api/v1/events';
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${product.key}`, 'content-type': 'application/cloudevents+json' },
    body: JSON.stringify(request),
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  await response.arrayBuffer();
}

interface Event {
  type: string;
  data: { returnId: string; outcome: string };
}

/** How far a lost request came: what its runs know of it. */
async function traceOf(client: Product['client'], id: string): Promise<string> {
  const { items } = await client.request<{ items: { id: string }[] }>('GET', '/api/v1/runs', {
    query: { q: id },
  });
  const runs = await Promise.all(
    items.map((run) => client.request<{ status: string; error?: unknown }>('GET', `/api/v1/runs/${run.id}`)),
  );
  return `${id}: ${runs.map(({ status, error }) => `${status} ${JSON.stringify(error)}`).join(', ') || 'no run'}`;
}

/** Waits until everything accepted is decided and settled, then counts what is missing and what is there twice. */
async function check({ client }: Product) {
  const decisions = new Map<string, string[]>();
  let settled = 0;
  for (let quiet = 0, before = -1; quiet < 10; await sleep(500)) {
    settled = refunds.done.size;
    const { runs } = await client.request<{ runs: { byStatus: Record<string, number> } }>(
      'GET',
      '/api/v1/kpis',
    );
    const moving = settled + (runs.byStatus.completed ?? 0);
    quiet = moving === before && !runs.byStatus.running ? quiet + 1 : 0;
    before = moving;
  }
  for await (const { data } of client.items<Event>('/api/v1/events', {
    type: 'return.decided',
    limit: 500,
  })) {
    decisions.set(data.returnId, [...(decisions.get(data.returnId) ?? []), data.outcome]);
  }
  const ids = [...accepted];
  const lost = ids.filter((id) => !decisions.has(id));
  const twice = [...decisions.values()].filter((outcomes) => outcomes.length > 1);
  const toPay = ids.filter((id) => decisions.get(id)?.[0] === 'refund');
  const paidFor = [...refunds.done.values()].map(({ returnId }) => String(returnId));
  const unpaid = toPay.filter((id) => !paidFor.includes(id));
  const runs = await client.request<{ valid: boolean; size: number; problems: string[] }>(
    'POST',
    '/api/v1/audit/verify',
    { body: {} },
  );
  if (runs.problems.length > 0) say(runs.problems.join('\n'));
  for (const id of lost) say(`lost: ${await traceOf(client, id)}`);
  return {
    rounds,
    seed: Number(values.seed),
    accepted: ids.length,
    decided: decisions.size,
    lost: lost.length,
    decidedTwice: twice.length,
    refundsDue: toPay.length,
    refundsPaid: paidFor.length,
    refundsUnpaid: unpaid.length,
    doubled: twice.length + (paidFor.length - new Set(paidFor).size),
    repeatedCalls: [...refunds.calls.values()].filter((count) => count > 1).length,
    auditEntries: runs.size,
    auditValid: runs.valid,
  };
}
