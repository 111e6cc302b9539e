import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRefunds, startWarehouse } from '../examples/returns/systems.ts';
import { type LoadResult, load, median, post, quantile, round3 } from './load.ts';
import { cpuMs, freePort, type Product, startProduct, temporaryFolder } from './product.ts';
import { ORDERS, orderOf, returnRequest } from './requests.ts';
import type { BenchOptions, Figures } from './run.ts';

const CLIENTS = 64;
/** Load before the first counted round: the compiler and Postgres's caches are warm afterwards. */
const WARM_UP_MS = 6000;
const QUIET_MS = 500;

interface Side {
  name: string;
  port: number;
  /** Postgres and the replicas are its children and counted with it. */
  pid: number;
  request(index: number): string;
}

interface Round {
  rate: number;
  p50: number;
  p95: number;
  p99: number;
  cpuUs: number;
}

/**
 * The synchronous path (return request → committed decision: contract, features, inference, table, audit entry, cost entry)
 * against the same HTTP server doing one group-committed insert of the same body, in turn.
 */
export async function bench(options: BenchOptions): Promise<Figures> {
  const folder = await temporaryFolder();
  const floorFolder = await temporaryFolder();
  const refunds = await startRefunds(refundsFile(folder.path));
  const warehouse = await startWarehouse(`${folder.path}/warehouse.jsonl`);
  const product = await startProduct({
    dataDir: folder.path,
    port: await freePort(),
    args: ['--project', 'examples/returns'],
    env: { AIOS_VAR_REFUNDS_URL: refunds.url, AIOS_VAR_WAREHOUSE_URL: warehouse.url },
  });
  const floor = spawn(process.execPath, ['bench/floor.ts', floorFolder.path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(floor.stdout, 'data')) as [Buffer];
    const { port: floorPort } = JSON.parse(line.toString()) as { port: number };
    await seed(product, options);
    const sides: Side[] = [
      {
        name: 'floor',
        port: floorPort,
        pid: floor.pid!,
        request: (index) => post('/floor', JSON.stringify(returnRequest(index)), JSON_HEADERS),
      },
      {
        name: 'path',
        port: product.port,
        pid: product.pid,
        request: pathRequest(product.key),
      },
    ];
    return await measure(sides, product, options);
  } finally {
    floor.stdin.end();
    await product.stop();
    await Promise.all([refunds.stop(), warehouse.stop()]);
    await Promise.all([folder.dispose(), floorFolder.dispose()]);
  }
}

const JSON_HEADERS = { 'content-type': 'application/json' };

function pathRequest(key: string): (index: number) => string {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/cloudevents+json' };
  return (index) =>
    post('/api/v1/workflows/returns/runs?wait=30s', JSON.stringify(returnRequest(index)), headers);
}

/** The orders that the requests return goods from, so that features have something to say. */
async function seed({ client }: Product, { progress }: BenchOptions): Promise<void> {
  for (let from = 0; from < ORDERS; from += 500) {
    const body = Array.from({ length: Math.min(500, ORDERS - from) }, (_, i) => orderOf(from + i));
    await client.request('POST', '/api/v1/events', {
      body: body as never,
      headers: { 'content-type': 'application/cloudevents-batch+json' },
    });
  }
  progress(`${ORDERS} orders are in the log`);
}

async function measure(
  sides: readonly Side[],
  product: Product,
  { rounds, roundMs, progress }: BenchOptions,
): Promise<Figures> {
  const results = new Map<string, Round[]>(sides.map(({ name }) => [name, []]));
  let from = 0;
  for (let round = -1; round < rounds; round++) {
    for (const side of sides) {
      const durationMs = round < 0 ? WARM_UP_MS : roundMs;
      const { result, cpuUs } = await measureSide(side, from, durationMs);
      from += result.requests + CLIENTS;
      if (result.failed > 0)
        throw new Error(
          `${side.name}: ${result.failed} of ${result.requests} failed: ${result.firstFailure}`,
        );
      const figures = summarize(result, cpuUs);
      progress(`${round < 0 ? 'warm-up' : `round ${round + 1}`} ${side.name}: ${describe(figures)}`);
      if (round >= 0) results.get(side.name)!.push(figures);
      if (side.name === 'path') progress(`its refunds had followed after ${await drain(product)} ms`);
    }
  }
  const floor = results.get('floor')!;
  const path = results.get('path')!;
  const ratio = (pick: (round: Round) => number) =>
    round3(median(path.map((round, i) => pick(round) / pick(floor[i]!))));
  const of = (side: readonly Round[], pick: (round: Round) => number) => round3(median(side.map(pick)));
  return {
    rateVsFloor: ratio(({ rate }) => rate),
    p95VsFloor: ratio(({ p95 }) => p95),
    startMs: Math.round(product.startMs),
    decisionsPerSecond: of(path, ({ rate }) => rate),
    floorPerSecond: of(floor, ({ rate }) => rate),
    p50Ms: of(path, ({ p50 }) => p50),
    p95Ms: of(path, ({ p95 }) => p95),
    p99Ms: of(path, ({ p99 }) => p99),
    floorP95Ms: of(floor, ({ p95 }) => p95),
    cpuUsPerDecision: of(path, ({ cpuUs }) => cpuUs),
    cpuUsPerInsert: of(floor, ({ cpuUs }) => cpuUs),
    rounds,
  };
}

/** Waits until no refund has been paid for half a second, so that neither side is measured beside them; answers for how long there were some. */
async function drain({ dataDir }: Product): Promise<number> {
  const startedAt = performance.now();
  let lastAt = startedAt;
  for (let known = -1; performance.now() - lastAt < QUIET_MS; await sleep(50)) {
    const { size } = await stat(refundsFile(dataDir));
    if (size !== known) lastAt = performance.now();
    known = size;
  }
  return Math.round(lastAt - startedAt);
}

function refundsFile(dataDir: string): string {
  return `${dataDir}/refunds.jsonl`;
}

async function measureSide(
  side: Side,
  from: number,
  durationMs: number,
): Promise<{ result: LoadResult; cpuUs: number }> {
  const before = await cpuMs(side.pid);
  const result = await load({ port: side.port, clients: CLIENTS, from, durationMs, request: side.request });
  return { result, cpuUs: (((await cpuMs(side.pid)) - before) * 1000) / result.requests };
}

function summarize({ requests, wallMs, latenciesMs }: LoadResult, cpuUs: number): Round {
  return {
    rate: (requests / wallMs) * 1000,
    p50: quantile(latenciesMs, 0.5),
    p95: quantile(latenciesMs, 0.95),
    p99: quantile(latenciesMs, 0.99),
    cpuUs,
  };
}

function describe({ rate, p50, p95, cpuUs }: Round): string {
  return `${Math.round(rate)}/s, p50 ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms, ${Math.round(cpuUs)} µs CPU a request`;
}
