import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AiosClient } from '../src/client/client.ts';

export interface Product {
  readonly port: number;
  readonly grpcPort: number;
  readonly dataDir: string;
  readonly key: string;
  readonly client: AiosClient;
  /** From the start of the process to the first 200 of /readyz. */
  readonly startMs: number;
  readonly pid: number;
  /** The postmaster's process id, read from its pid file. */
  postgresPid(): Promise<number>;
  /** As `kill -9`: nothing is said to the process. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export interface ProductOptions {
  dataDir: string;
  port: number;
  args?: readonly string[];
  env?: Record<string, string>;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

/** A data folder that Postgres may enter when the caller is root; `dispose` removes it. */
export async function temporaryFolder(): Promise<{ path: string; dispose(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'aios-bench-'));
  await chmod(path, 0o755);
  return { path, dispose: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** Starts the product as its users do, as a process of its own, and waits until it is ready. */
export async function startProduct(options: ProductOptions): Promise<Product> {
  const startedAt = performance.now();
  const grpcPort = await freePort();
  const child = spawn(process.execPath, ['src/main.ts', 'start', ...(options.args ?? [])], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      AIOS_DATA_DIR: options.dataDir,
      AIOS_PORT: String(options.port),
      AIOS_GRPC_PORT: String(grpcPort),
      AIOS_LOG: 'error',
      ...options.env,
    },
  });
  const baseUrl = `http://127.0.0.1:${options.port}`;
  await untilReady(child, baseUrl).catch(async (error: unknown) => {
    await end(child, 'SIGKILL');
    throw error;
  });
  const startMs = performance.now() - startedAt;
  const key = (await readFile(join(options.dataDir, 'admin.key'), 'utf8')).trim();
  return {
    port: options.port,
    grpcPort,
    dataDir: options.dataDir,
    key,
    client: new AiosClient({ baseUrl, key }),
    startMs,
    pid: child.pid!,
    postgresPid: async () =>
      Number((await readFile(join(options.dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0]),
    kill: () => end(child, 'SIGKILL'),
    stop: () => end(child, 'SIGTERM'),
  };
}

async function untilReady(child: ChildProcess, baseUrl: string): Promise<void> {
  for (;;) {
    if (child.exitCode !== null)
      throw new Error(`the server ended with exit code ${child.exitCode} before it was ready`);
    const ready = await fetch(`${baseUrl}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) return;
    await sleep(20);
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

/** CPU milliseconds that a process and its children have used, ended ones too (Linux); NaN elsewhere. */
export async function cpuMs(pid: number): Promise<number> {
  try {
    const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]!.split(' ');
    // Clock ticks of 10 ms: its own, then those of children that have ended.
    const own = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * 10;
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8'))
      .trim()
      .split(' ')
      .filter(Boolean);
    const theirs = await Promise.all(children.map((child) => cpuMs(Number(child)).catch(() => 0)));
    return own + theirs.reduce((sum, ms) => sum + (Number.isNaN(ms) ? 0 : ms), 0);
  } catch {
    return Number.NaN;
  }
}
