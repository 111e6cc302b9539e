import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { LoadAnswer, LoadOrder } from './engine-load.ts';
import { load, post, quantile } from './load.ts';
import { cpuMs, freePort } from './product.ts';

/** One engine, ready to run flows: the process that holds it, and the way its users call it. */
export interface Side {
  readonly name: string;
  run(order: LoadOrder): Promise<Pick<LoadAnswer, 'runs' | 'wallMs' | 'p50Ms'>>;
  /** CPU milliseconds used so far by the server, the app and the database together. */
  cpuMs(): Promise<number>;
  stop(): Promise<void>;
}

/** One that is called in the process that holds it, and tells more. */
export interface EmbeddedSide extends Side {
  run(order: LoadOrder): Promise<LoadAnswer>;
}

const PEERS = join(import.meta.dirname, 'peers');

/** Installs the peers into their own package, once. @throws Error when the registry does not answer */
export function installPeers(progress: (line: string) => void): void {
  if (existsSync(join(PEERS, 'node_modules', '@restatedev'))) return;
  progress('Installing DBOS and Restate into bench/peers (240 MB, once) …');
  const args = ['ci', '--loglevel=error', '--no-audit', '--no-fund'];
  const npm = process.env.npm_execpath;
  const { status } = npm
    ? spawnSync(process.execPath, [npm, ...args], { cwd: PEERS, stdio: 'inherit' })
    : spawnSync('npm', args, { cwd: PEERS, stdio: 'inherit' });
  if (status !== 0) throw new Error('npm ci failed in bench/peers: see its message above.');
}

/** An engine that is called in the process that holds it, by a closed loop there. */
export async function startEmbedded(
  name: string,
  script: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<EmbeddedSide> {
  const child = spawnNode(script, args, env);
  const lines = createInterface({ input: child.stdout! });
  await nextLine(child, lines);
  return {
    name,
    async run(order) {
      child.stdin!.write(`${JSON.stringify(order)}\n`);
      return JSON.parse(await nextLine(child, lines)) as LoadAnswer;
    },
    cpuMs: () => cpuMs(child.pid!),
    stop: () => end(child),
  };
}

const APP = join(import.meta.dirname, 'engine-app.ts');

/** One more process of AIOS over a database that is there. */
export async function startWorker(name: string, folder: string, databaseUrl: string): Promise<EmbeddedSide> {
  return startEmbedded(name, APP, [folder, String(await freePort())], { AIOS_DATABASE_URL: databaseUrl });
}

/** AIOS in process, and the same process by its HTTP door. */
export async function startAios(folder: string): Promise<{ embedded: EmbeddedSide; http: Side }> {
  const port = await freePort();
  const embedded = await startEmbedded('aios', APP, [folder, String(port)]);
  const key = (await readFile(join(folder, 'admin.key'), 'utf8')).trim();
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const http: Side = {
    ...embedded,
    name: 'aios over HTTP',
    run: (order) =>
      runOverHttp(port, order, (index) =>
        post(`/api/v1/workflows/${order.flow}/runs?wait=30s`, JSON.stringify({ input: { index } }), headers),
      ),
  };
  return { embedded, http };
}

/** Restate is called over the ingress of its server, its only door. */
export async function startRestate(folder: string): Promise<Side> {
  await mkdir(folder, { recursive: true });
  const ports = [await freePort(), await freePort(), await freePort(), await freePort()];
  const side = await startEmbedded('restate', join(PEERS, 'restate.mjs'), [folder, ...ports.map(String)]);
  const headers = { 'content-type': 'application/json' };
  return {
    ...side,
    run: (order) =>
      runOverHttp(ports[0]!, order, (index) => post(`/bench/${order.flow}`, JSON.stringify(index), headers)),
  };
}

export function startDbos(folder: string): Promise<Side> {
  return startEmbedded('dbos', join(PEERS, 'dbos.mjs'), [folder]);
}

let from = 0;

async function runOverHttp(
  port: number,
  { atOnce, durationMs }: LoadOrder,
  request: (index: number) => string,
): ReturnType<Side['run']> {
  const result = await load({ port, clients: atOnce, from, durationMs, request });
  from += result.requests + atOnce;
  if (result.failed > 0) throw new Error(`${result.failed} of ${result.requests}: ${result.firstFailure}`);
  return {
    runs: result.requests,
    wallMs: result.wallMs,
    p50Ms: quantile(result.latenciesMs, 0.5),
  };
}

function spawnNode(script: string, args: string[], env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, ['--expose-gc', script, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, AIOS_LOG: 'error', RESTATE_LOGGING: 'ERROR', ...env },
  });
}

function nextLine(child: ChildProcess, lines: Interface): Promise<string> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) =>
      reject(new Error(`${child.spawnargs[2]} ended with exit code ${code}`));
    child.once('exit', onExit);
    lines.once('line', (line) => {
      child.off('exit', onExit);
      resolve(line);
    });
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.stdin!.end();
  await exited;
}
