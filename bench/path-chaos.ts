import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../examples/returns/simulator.ts';
import { startRefunds, startWarehouse } from '../examples/returns/systems.ts';
import type { ChaosOptions, ChaosResult } from './chaos.ts';
import { ending, type OnEnd } from './ending.ts';
import { KilledProduct } from './kills.ts';
import { Posters } from './posters.ts';
import { freePort, type Product, temporaryFolder } from './product.ts';
import { ORDERS, orderOf } from './requests.ts';

/** More than what is posted takes to be decided on a busy machine (5 s on two cores, nothing else at work). */
const SETTLE_MS = 300_000;
type Refunds = Awaited<ReturnType<typeof startRefunds>>;

/** The path under kill -9, of the server and of Postgres: what was accepted is decided once, and paid once. */
export function chaos(options: ChaosOptions): Promise<ChaosResult> {
  return ending((onEnd) => run(options, onEnd));
}

async function run({ rounds, seed, workers, say }: ChaosOptions, onEnd: OnEnd): Promise<ChaosResult> {
  const random = seededRandom(seed);
  const folder = await temporaryFolder();
  onEnd(() => folder.dispose());
  const port = await freePort();
  const refunds = await startRefunds(`${folder.path}/refunds.jsonl`, 50);
  onEnd(() => refunds.stop());
  const warehouse = await startWarehouse(`${folder.path}/warehouse.jsonl`);
  onEnd(() => warehouse.stop());
  const options = {
    dataDir: folder.path,
    port,
    args: ['--project', 'examples/returns'],
    env: { AIOS_VAR_REFUNDS_URL: refunds.url, AIOS_VAR_WAREHOUSE_URL: warehouse.url },
  };
  const product = await KilledProduct.start(options, random, workers);
  onEnd(() => product.end());
  for (let from = 0; from < ORDERS; from += 500) {
    await publish(
      product.current,
      Array.from({ length: 500 }, (_, i) => orderOf(from + i)),
    );
  }
  const posting = postersOf(product.current);
  onEnd(() => posting.abandon());
  for (let round = 1; round <= rounds; round++) {
    const victim = await product.killWithin(300, 1500);
    say(`round ${round}: killed ${victim}; ${posting.accepted.size} requests accepted so far`);
  }
  await posting.stop();
  const figures = await check(product.current, [...posting.accepted], refunds, say);
  const { lost, doubled, refundsUnpaid, payloadsUnreadable, auditValid } = figures;
  const held = lost + doubled + refundsUnpaid + payloadsUnreadable === 0 && auditValid;
  return { figures: { rounds, seed, workers, ...figures }, held };
}

/** Half as events, half as synchronous starts: those whose 202 or 200 came must be decided. */
function postersOf({ port, key }: Product): Posters {
  const paths = ['/api/v1/workflows/returns/runs?wait=5s', '/api/v1/events'];
  return new Posters({
    ...{ posters: 4, batch: 1, pauseMs: 0, key },
    target: (number) => ({
      url: `http://127.0.0.1:${port}${paths[number % 2]}`,
      contentType: 'application/cloudevents+json',
    }),
    async isAcknowledged(response) {
      await response.arrayBuffer();
      return response.ok;
    },
  });
}

async function publish({ client }: Product, events: readonly Record<string, unknown>[]): Promise<void> {
  await client.request('POST', '/api/v1/events', {
    body: events as never,
    headers: { 'content-type': 'application/cloudevents-batch+json' },
  });
}

interface Event {
  type: string;
  data: { returnId: string; outcome: string };
}

interface Run {
  id: string;
  status: string;
  error?: unknown;
  event?: { id: string };
}

/** How far a request came: what its runs know of it. */
async function traceOf(client: Product['client'], id: string): Promise<string> {
  const { items } = await client.request<{ items: { id: string }[] }>('GET', '/api/v1/runs', {
    query: { q: id },
  });
  const found = await Promise.all(items.map((run) => client.request<Run>('GET', `/api/v1/runs/${run.id}`)));
  const runs = found.filter(({ event }) => event?.id === id); // the search finds return-21 for return-2, too
  const told = runs.map((run) =>
    [run.id, run.status, run.error && JSON.stringify(run.error)].filter(Boolean),
  );
  return `${id}: ${told.map((words) => words.join(' ')).join(', ') || 'no run'}`;
}

/** Waits until nothing moves any more; what a run that never ends had to do is then missing from the counts. */
async function settle({ client }: Product, refunds: Refunds, say: ChaosOptions['say']): Promise<void> {
  const untilMs = performance.now() + SETTLE_MS;
  for (let quiet = 0, before = -1; quiet < 10; await sleep(500)) {
    const { runs } = await client.request<{ runs: { byStatus: Record<string, number> } }>(
      'GET',
      '/api/v1/kpis',
    );
    const moving = refunds.done.size + (runs.byStatus.completed ?? 0);
    quiet = moving === before && !runs.byStatus.running ? quiet + 1 : 0;
    before = moving;
    if (performance.now() < untilMs) continue;
    say(`runs do not come to rest within ${SETTLE_MS / 1000} s: ${JSON.stringify(runs.byStatus)}`);
    return;
  }
}

/** What is there more than once. */
function repeated(texts: readonly string[]): string[] {
  return [...new Set(texts.filter((text, index) => texts.indexOf(text) !== index))];
}

/** Waits until everything accepted is decided and settled, then counts what is missing and what is there twice. */
async function check(product: Product, ids: readonly string[], refunds: Refunds, say: ChaosOptions['say']) {
  await settle(product, refunds, say);
  const { client } = product;
  const decisions = new Map<string, string[]>();
  for await (const { data } of client.items<Event>('/api/v1/events', {
    type: 'return.decided',
    limit: 500,
  })) {
    decisions.set(data.returnId, [...(decisions.get(data.returnId) ?? []), data.outcome]);
  }
  const lost = ids.filter((id) => !decisions.has(id));
  const twice = [...decisions].filter(([, outcomes]) => outcomes.length > 1);
  const toPay = ids.filter((id) => decisions.get(id)?.[0] === 'refund');
  const paidFor = [...refunds.done.values()].map(({ returnId }) => String(returnId));
  const paidTwice = repeated(paidFor);
  const paid = new Set(paidFor);
  const unpaid = toPay.filter((id) => !paid.has(id));
  const audit = await client.request<{ valid: boolean; size: number; erased: number; problems: string[] }>(
    'POST',
    '/api/v1/audit/verify',
    { body: {} },
  );
  if (audit.problems.length > 0) say(audit.problems.join('\n'));
  if (audit.erased > 0) say(`${audit.erased} audit payloads cannot be opened, and nobody has erased any`);
  for (const id of lost) say(`lost: ${await traceOf(client, id)}`);
  for (const [id, outcomes] of twice) say(`decided twice (${outcomes}): ${await traceOf(client, id)}`);
  for (const id of unpaid) say(`not paid: ${await traceOf(client, id)}`);
  for (const id of paidTwice) say(`paid twice: ${await traceOf(client, id)}`);
  return {
    accepted: ids.length,
    decided: decisions.size,
    lost: lost.length,
    decidedTwice: twice.length,
    refundsDue: toPay.length,
    refundsPaid: paidFor.length,
    refundsUnpaid: unpaid.length,
    doubled: twice.length + (paidFor.length - paid.size),
    repeatedCalls: [...refunds.calls.values()].filter((count) => count > 1).length,
    auditEntries: audit.size,
    payloadsUnreadable: audit.erased,
    auditValid: audit.valid,
  };
}
