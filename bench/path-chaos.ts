import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../examples/returns/simulator.ts';
import { startRefunds, startWarehouse } from '../examples/returns/systems.ts';
import type { ChaosOptions, ChaosResult } from './chaos.ts';
import { ending, type OnEnd } from './ending.ts';
import { KilledProduct } from './kills.ts';
import { Posters } from './posters.ts';
import { freePort, type Product, temporaryFolder } from './product.ts';
import { ORDERS, orderOf } from './requests.ts';

type Refunds = Awaited<ReturnType<typeof startRefunds>>;

/** The path under kill -9, of the server and of Postgres: what was accepted is decided once, and paid once. */
export function chaos(options: ChaosOptions): Promise<ChaosResult> {
  return ending((onEnd) => run(options, onEnd));
}

async function run({ rounds, seed, say }: ChaosOptions, onEnd: OnEnd): Promise<ChaosResult> {
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
  const product = await KilledProduct.start(options, random);
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
  const held = figures.lost === 0 && figures.doubled === 0 && figures.auditValid;
  return { figures: { rounds, seed, ...figures }, held };
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
async function check(
  { client }: Product,
  ids: readonly string[],
  refunds: Refunds,
  say: ChaosOptions['say'],
) {
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
  const decisions = new Map<string, string[]>();
  for await (const { data } of client.items<Event>('/api/v1/events', {
    type: 'return.decided',
    limit: 500,
  })) {
    decisions.set(data.returnId, [...(decisions.get(data.returnId) ?? []), data.outcome]);
  }
  const lost = ids.filter((id) => !decisions.has(id));
  const twice = [...decisions.values()].filter((outcomes) => outcomes.length > 1);
  const toPay = ids.filter((id) => decisions.get(id)?.[0] === 'refund');
  const paidFor = [...refunds.done.values()].map(({ returnId }) => String(returnId));
  const unpaid = toPay.filter((id) => !paidFor.includes(id));
  const audit = await client.request<{ valid: boolean; size: number; problems: string[] }>(
    'POST',
    '/api/v1/audit/verify',
    { body: {} },
  );
  if (audit.problems.length > 0) say(audit.problems.join('\n'));
  for (const id of lost) say(`lost: ${await traceOf(client, id)}`);
  return {
    accepted: ids.length,
    decided: decisions.size,
    lost: lost.length,
    decidedTwice: twice.length,
    refundsDue: toPay.length,
    refundsPaid: paidFor.length,
    refundsUnpaid: unpaid.length,
    doubled: twice.length + (paidFor.length - new Set(paidFor).size),
    repeatedCalls: [...refunds.calls.values()].filter((count) => count > 1).length,
    auditEntries: audit.size,
    auditValid: audit.valid,
  };
}
