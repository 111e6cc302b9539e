import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, round3 } from './load.ts';
import { freePort, type Product, startProduct, temporaryFolder } from './product.ts';
import type { BenchOptions, Figures } from './run.ts';
import { Efficiency, EMPTY, type Round } from './serving-efficiency.ts';
import { largeAnswers } from './serving-large.ts';
import type { LoadCommand, LoadReport } from './serving-load.ts';
import { type ModelName, writeProject } from './serving-models.ts';
import { type Peer, startPeers } from './serving-peers.ts';
import { replicasOf, residentMb, type ServerUse, Side, serverUse, usesOf } from './serving-processes.ts';
import type { RawCommand, RawReport } from './serving-sides.ts';

const CLIENTS = 64;
const WARM_UP_MS = 3000;
const BODIES = 512;
const ROWS_KNOWN = 9000; // what 2,000 requests of 1 to 8 rows are made of
const MIXED_REQUESTS = 1_000_000;
const OPEN_LOOP_SHARE = 0.7;
const OPEN_LOOP_MS = 60_000;

interface Target {
  readonly name: string;
  readonly model: ModelName;
  readonly clients: number;
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly form: LoadCommand['form'];
  readonly pid: number;
  /** Asked over gRPC, at `port`, under this name. */
  readonly served?: string;
}

interface Setting {
  readonly product: Product;
  readonly files: Record<ModelName, string>;
  readonly load: Side<LoadCommand, LoadReport>;
  readonly grpcLoad: Side<LoadCommand, LoadReport>;
  readonly raw: Side<RawCommand, RawReport>;
  readonly empty: { port: number; pid: number };
  readonly options: BenchOptions;
}

/**
 * Inference over HTTP with authentication, metrics, tracing and audit on, against an empty handler of the same kind of server, the raw runtime, and
 * MLServer and BentoML on the same files; in turn, medians over the rounds. `--part` picks one of: figures, rows, large, kill, peers.
 */
export async function bench(options: BenchOptions): Promise<Figures> {
  const folder = await temporaryFolder();
  const sink = await startTraceSink();
  const files = await writeProject(join(folder.path, 'project'));
  const load = new Side<LoadCommand, LoadReport>('serving-load.ts');
  const grpcLoad = new Side<LoadCommand, LoadReport>('serving-grpc-load.ts');
  const raw = new Side<RawCommand, RawReport>('serving-sides.ts', 'raw');
  const emptySide = new Side<never, { port: number }>('serving-sides.ts', 'empty');
  let product: Product | undefined;
  let peers: Peer[] = [];
  try {
    const empty = { ...(await emptySide.first()), pid: emptySide.pid };
    product = await startProduct({
      dataDir: join(folder.path, 'data'),
      port: await freePort(),
      args: ['--project', join(folder.path, 'project')],
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url },
    });
    const setting: Setting = { product, files, load, grpcLoad, raw, empty, options };
    const isWanted = (part: string) => options.part === undefined || options.part === part;
    if (isWanted('peers')) peers = await startPeers(files.small, options.progress);
    return {
      ...(isWanted('figures') || isWanted('peers') ? await measure(setting, peers) : {}),
      ...(isWanted('rows') ? await mixedRows(setting) : {}),
      ...(isWanted('large') ? await largeAnswers(product, options) : {}),
      ...(isWanted('kill') ? await killReplicas(setting) : {}),
      rounds: options.rounds,
    };
  } finally {
    for (const peer of peers) await peer.stop();
    for (const side of [load, grpcLoad, raw, emptySide]) side.stop();
    await product?.stop();
    sink.stop();
    await folder.dispose();
  }
}

/** A collector of traces that takes everything: the spans leave the server as they would at its users'. */
async function startTraceSink(): Promise<{ url: string; stop(): void }> {
  const server = createServer((request, response) => {
    request
      .resume()
      .on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return { url: `http://127.0.0.1:${port}`, stop: () => server.closeAllConnections() ?? server.close() };
}

function ours({ product }: Setting, name: string, model: ModelName, clients = CLIENTS): Target {
  const headers = { authorization: `Bearer ${product.key}` };
  const path = `/v2/models/${name}/infer`;
  const { port, pid } = product;
  return {
    name: clients === 1 ? `${name} by one client` : name,
    model,
    clients,
    port,
    path,
    headers,
    form: 'oip',
    pid,
  };
}

function overGrpc(target: Target, port: number, served: string): Target {
  return { ...target, name: `${target.name} over gRPC`, port, served };
}

function targetsOf(setting: Setting, peers: readonly Peer[]): Target[] {
  const { empty, options } = setting;
  const ofPeers = peers.flatMap(({ grpcPort, ...peer }): Target[] => {
    const target = { ...peer, model: 'small', clients: CLIENTS, headers: {} } as const;
    return grpcPort === undefined ? [target] : [target, overGrpc(target, grpcPort, 'small')];
  });
  const small = ours(setting, 'small', 'small');
  const smallOverGrpc = overGrpc(small, setting.product.grpcPort, 'small');
  const emptyOf = (name: string, model: ModelName, clients = CLIENTS): Target => ({
    ...ours(setting, model, model, clients),
    name,
    ...empty,
  });
  if (options.part === 'peers') return [small, smallOverGrpc, ...ofPeers];
  return [
    emptyOf(EMPTY.small, 'small'),
    small,
    ours(setting, 'small-alone', 'small'),
    ours(setting, 'trees', 'trees'),
    emptyOf(EMPTY.large, 'large'),
    ours(setting, 'large', 'large'),
    ours(setting, 'large-alone', 'large'),
    emptyOf(EMPTY.cnn, 'cnn'),
    ours(setting, 'cnn', 'cnn'),
    emptyOf('empty by one client', 'small', 1),
    ours(setting, 'small', 'small', 1),
    smallOverGrpc,
    overGrpc(ours(setting, 'large', 'large'), setting.product.grpcPort, 'large'),
    ...ofPeers,
  ];
}

const commandOf = ({ port, path, headers, clients, model, form, served }: Target): LoadCommand => ({
  ...(served !== undefined && { served }),
  port,
  path,
  headers,
  clients,
  model,
  form,
  durationMs: 0,
  rowsMax: 1,
  bodies: BODIES,
});

async function measureTarget(
  { load, grpcLoad }: Setting,
  target: Target,
  change: Partial<LoadCommand>,
): Promise<Round> {
  const before = await serverUse(target.pid);
  const side = target.served === undefined ? load : grpcLoad;
  const report = await side.ask({ ...commandOf(target), ...change });
  const after = await serverUse(target.pid);
  const us = (pick: (use: ServerUse) => number) => ((pick(after) - pick(before)) * 1000) / report.requests;
  return {
    ...report,
    servedUs: us(({ allMs }) => allMs),
    frontUs: us(({ frontMs }) => frontMs),
    replicaUs: us(({ replicasMs }) => replicasMs),
  };
}

/** @throws Error when a request failed: a figure of a server that refuses says nothing */
function heldTo(target: Target, round: Round): Round {
  if (round.failed === 0) return round;
  throw new Error(`${target.name}: ${round.failed} of ${round.requests} failed: ${round.firstFailure}`);
}

async function measure(setting: Setting, peers: readonly Peer[]): Promise<Figures> {
  const { options } = setting;
  const { rounds, roundMs, progress } = options;
  const targets = targetsOf(setting, peers);
  const kept = new Map<string, Round[]>(targets.map(({ name }) => [name, []]));
  const efficiency = new Efficiency(setting.raw, setting.files);
  const ask = async (target: Target, durationMs: number, label: string) => {
    const measured = heldTo(target, await measureTarget(setting, target, { durationMs }));
    progress(`${label} ${target.name}: ${describe(measured)}`);
    return measured;
  };
  for (let round = -1; round < rounds; round++) {
    const label = round < 0 ? 'warm-up' : `round ${round + 1}`;
    for (const target of targets) {
      const measured = await ask(target, round < 0 ? WARM_UP_MS : roundMs, label);
      if (round >= 0) kept.get(target.name)!.push(measured);
    }
    if (options.part === 'peers' || round < 0) continue;
    await efficiency.measure(
      (name) => kept.get(name)![round]!,
      (model, durationMs) =>
        ask(targets.find(({ name }) => name === EMPTY[model])!, durationMs, `${label}, beside ${model},`),
    );
  }
  const of = (name: string, pick: (round: Round) => number) => median((kept.get(name) ?? []).map(pick));
  const versus = (name: string, own = 'small') =>
    kept.get(name)?.length
      ? round3(median(kept.get(own)!.map(({ perSecond }, i) => perSecond / kept.get(name)![i]!.perSecond)))
      : null;
  const beside = {
    vsMlserver: versus('mlserver'),
    vsBentoml: versus('bentoml'),
    grpcVsMlserver: versus('mlserver over gRPC', 'small over gRPC'),
  };
  const all = Object.fromEntries(targets.flatMap(({ name }) => detailsOf(name, of)));
  if (options.part === 'peers') return { ...beside, ...all };
  return {
    ...efficiency.figures(kept),
    ...beside,
    ...(await openLoop(setting, of('small', rate))),
    ...all,
  };
}

const rate = ({ perSecond }: Round): number => perSecond;

function detailsOf(
  name: string,
  of: (name: string, pick: (round: Round) => number) => number,
): [string, number][] {
  const pick = (key: keyof Round) => round3(of(name, (round) => round[key] as number));
  const keys = ['perSecond', 'p50Ms', 'p99Ms', 'servedUs', 'frontUs', 'replicaUs'] as const;
  return keys.map((key): [string, number] => [`${name} ${key}`, pick(key)]);
}

/** 70 % of what the closed loop reached, sent whatever is answered. */
async function openLoop(setting: Setting, perSecond: number): Promise<Figures> {
  const { progress } = setting.options;
  const target = ours(setting, 'small', 'small');
  const ratePerSecond = Math.round(perSecond * OPEN_LOOP_SHARE);
  const change = { ratePerSecond, durationMs: OPEN_LOOP_MS };
  const measured = heldTo(target, await measureTarget(setting, target, change));
  progress(`open loop of ${ratePerSecond}/s: ${describe(measured)}`);
  return { openLoopP99Ms: round3(measured.p99Ms), openLoopPerSecond: ratePerSecond };
}

/** Mixed requests of 1 to 8 rows, each answer held to its own rows, and how the memory of the front grew from two fifths of them to the end. */
async function mixedRows(setting: Setting): Promise<Figures> {
  const { files, raw, options, product } = setting;
  const expected = (
    await raw.ask({
      model: 'small',
      file: files.small,
      batch: 1,
      durationMs: 0,
      expectedRows: ROWS_KNOWN * 2,
    })
  ).expected;
  const target = ours(setting, 'small', 'small');
  const requests = Math.min(MIXED_REQUESTS, options.rounds * options.roundMs * 40); // all of them with the rounds of the figures
  const ask = (requestsMax: number) =>
    measureTarget(setting, target, {
      durationMs: 3_600_000,
      requestsMax,
      rowsMax: 8,
      bodies: 2000,
      expected,
    });
  const rounds: Round[] = [];
  const residentMbs: number[] = [];
  for (let fifth = 1; fifth <= 5; fifth++) {
    const round = heldTo(target, await ask(requests / 5));
    rounds.push(round);
    residentMbs.push(await residentMb(product.pid));
    options.progress(
      `${fifth} fifths of ${requests} mixed requests: ${describe(round)}; the front holds ${residentMbs.at(-1)!.toFixed(1)} MB`,
    );
  }
  const sum = (pick: (round: Round) => number) => rounds.reduce((total, round) => total + pick(round), 0);
  return {
    misrouted: sum(({ misrouted }) => misrouted),
    mixedRequests: sum(({ requests }) => requests),
    mixedPerSecond: round3(median(rounds.map(rate))),
    grownMb: round3(residentMbs[4]! - residentMbs[1]!),
    residentMb: round3(residentMbs[4]!),
  };
}

/** Kills a replica every half second under load, of a model with two of them and of one with a fallback, so that callers see nothing of it. */
async function killReplicas(setting: Setting): Promise<Figures> {
  const { product, options } = setting;
  const total = { failed: 0, kills: 0 };
  for (const name of ['twice', 'backed']) {
    const target = ours(setting, name, 'small');
    const idle = await idleReplicas(product.pid, () => measureTarget(setting, target, { durationMs: 1500 }));
    const measuring = measureTarget(setting, target, { durationMs: options.roundMs });
    const endsAt = performance.now() + options.roundMs - 500;
    let kills = 0;
    while (performance.now() < endsAt) {
      await sleep(500);
      const [victim] = (await replicasOf(product.pid)).filter((pid) => !idle.has(pid));
      if (victim === undefined) continue; // the one killed before is not back yet
      process.kill(victim, 'SIGKILL');
      kills++;
    }
    const measured = await measuring;
    options.progress(`${name}: ${kills} replicas killed, ${measured.failed} failures: ${describe(measured)}`);
    if (measured.firstFailure) options.progress(measured.firstFailure);
    total.failed += measured.failed;
    total.kills += kills;
  }
  return { failedOnReplicaKill: total.failed, replicaKills: total.kills };
}

/** Replicas that did nothing while something else was measured. */
async function idleReplicas(pid: number, work: () => Promise<unknown>): Promise<Set<number>> {
  const before = await usesOf(pid);
  await work();
  const after = await usesOf(pid);
  return new Set(
    [...after]
      .filter(([id, { cpuMs }]) => before.get(id) && cpuMs - before.get(id)!.cpuMs < 20)
      .map(([id]) => id),
  );
}

function describe(round: Round): string {
  const { requests, perSecond, p50Ms, p99Ms, servedUs, frontUs, replicaUs, cpuUs } = round;
  return `${requests} at ${Math.round(perSecond)}/s, p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, CPU a request ${servedUs.toFixed(1)} µs (front ${frontUs.toFixed(1)}, replicas ${replicaUs.toFixed(1)}), generator ${cpuUs.toFixed(1)}`;
}
