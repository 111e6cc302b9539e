import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../examples/returns/simulator.ts';
import type { ChaosOptions, ChaosResult } from './chaos.ts';
import { ending, type OnEnd } from './ending.ts';
import { KilledProduct } from './kills.ts';
import { Posters } from './posters.ts';
import { freePort, type Product, temporaryFolder } from './product.ts';

const CONTRACT_FILE = join(import.meta.dirname, '../examples/returns/contracts/return.requested.yaml');
/** One run for an event, whose outcome says of which, and of which replay. */
const FLOW = `
document: { dsl: '1.0.3', namespace: bench, name: counted, version: '1.0.0', metadata: { aios: { outcome: output.key } } }
evaluate: { language: cel }
schedule: { on: { one: { with: { type: return.requested } } } }
do:
  - count: { set: { key: '\${ event.id + (has(event.replayid) ? "/" + event.replayid : "") }' } }
`;
const BATCH = 20;
const POSTERS = 4;
/** A replay begins in every round of this number. */
const REPLAY_EVERY = 4;

interface Replay {
  id: string;
  status: string;
  handled: number;
}

/** The event log under kill -9, of the server and of Postgres, while events come in and are replayed: what was acknowledged is there and is counted once. */
export function chaos(options: ChaosOptions): Promise<ChaosResult> {
  return ending((onEnd) => run(options, onEnd));
}

async function run({ rounds, seed, workers, say }: ChaosOptions, onEnd: OnEnd): Promise<ChaosResult> {
  const random = seededRandom(seed);
  const folder = await temporaryFolder();
  onEnd(() => folder.dispose());
  const port = await freePort();
  const product = await KilledProduct.start({ dataDir: folder.path, port }, random, workers);
  onEnd(() => product.end());
  await product.current.client.request('POST', '/api/v1/apply', {
    body: {
      files: [
        { path: 'contracts/return.requested.yaml', text: await readFile(CONTRACT_FILE, 'utf8') },
        { path: 'workflows/counted.yaml', text: FLOW },
      ],
    },
  });
  const producers = producersOf(product.current);
  onEnd(() => producers.abandon());
  const replays = new Map<string, number>();
  for (let round = 1; round <= rounds; round++) {
    await sleep(300 + random() * 900);
    if (round % REPLAY_EVERY === 1) {
      const begun = await beginReplay(product, `chaos-${seed}-${round}`);
      replays.set(begun.id, begun.events);
    }
    const victim = await product.killWithin(0, round % REPLAY_EVERY === 1 ? 300 : 0); // it falls into the replay
    say(`round ${round}: killed ${victim}; ${producers.accepted.size} events acknowledged so far`);
  }
  await producers.stop();
  const figures = await check(product, producers.accepted, replays, say);
  const held =
    figures.lost === 0 && figures.doubled === 0 && figures.replayedWrong === 0 && figures.auditValid;
  return { figures: { rounds, seed, workers, replays: replays.size, ...figures }, held };
}

/** Send batches; an event is acknowledged when none of its batch is refused. */
function producersOf({ port, key }: Product): Posters {
  const url = `http://127.0.0.1:${port}/api/v1/events`;
  return new Posters({
    ...{ posters: POSTERS, batch: BATCH, pauseMs: 20, key },
    target: () => ({ url, contentType: 'application/cloudevents-batch+json' }),
    async isAcknowledged(response) {
      if (response.status !== 202) return false;
      const { rejected } = (await response.json()) as { rejected: unknown[] };
      return rejected.length === 0;
    },
  });
}

/** Asked with one key until it is answered: it is one replay. */
async function beginReplay(product: KilledProduct, key: string): Promise<{ id: string; events: number }> {
  return product.persist((client) =>
    client.request<{ id: string; events: number }>('POST', '/api/v1/events/replays', {
      headers: { 'idempotency-key': key },
      body: { target: { workflow: 'counted' } },
    }),
  );
}

async function check(
  product: KilledProduct,
  accepted: ReadonlySet<string>,
  begun: ReadonlyMap<string, number>,
  say: ChaosOptions['say'],
) {
  const idle = async () => {
    const { items } = await product.persist((client) =>
      client.request<{ items: { lag: number }[] }>('GET', '/api/v1/consumer-groups'),
    );
    const replays = await product.persist((client) =>
      client.request<{ items: Replay[] }>('GET', '/api/v1/events/replays'),
    );
    return items.every(({ lag }) => lag === 0) && replays.items.every(({ status }) => status !== 'running');
  };
  while (!(await idle())) await sleep(200);
  const { client } = product.current;
  const logged = new Map<string, number>();
  for await (const { id } of client.items<{ id: string }>('/api/v1/events', {
    type: 'return.requested',
    limit: 500,
  }))
    logged.set(id, (logged.get(id) ?? 0) + 1);
  const runs = new Map<string, number>();
  for await (const { outcome } of client.items<{ outcome?: string }>('/api/v1/runs', {
    workflow: 'counted',
    limit: 500,
  }))
    runs.set(outcome ?? '', (runs.get(outcome ?? '') ?? 0) + 1);
  let replayedWrong = 0;
  for (const [id, events] of begun) {
    const started = [...runs.keys()].filter((outcome) => outcome.endsWith(`/${id}`)).length;
    const { handled } = await client.request<Replay>('GET', `/api/v1/events/replays/${id}`);
    say(`${id}: ${events} events, ${handled} handed over, ${started} runs`);
    // What came between the count and the begin of the same request was asked again for may be in it, too.
    if (started !== handled || handled < 1) replayedWrong++;
  }
  const { valid } = await client.request<{ valid: boolean }>('POST', '/api/v1/audit/verify');
  return {
    acknowledged: accepted.size,
    logged: logged.size,
    lost: [...accepted].filter((id) => !logged.has(id) || !runs.has(id)).length,
    doubled:
      [...logged.values()].filter((count) => count > 1).length +
      [...runs.values()].filter((count) => count > 1).length,
    replayedWrong,
    auditValid: valid,
  };
}
