import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { AiosError } from '../kernel/errors.ts';
import type { ConnectionTarget } from './database.ts';

/** How long a process that joins waits for the one that runs the database: they may be started together. */
const JOIN_MS = 60_000;
const LOOK_MS = 100;

/** Where the embedded Postgres of a data folder answers: beside its data, readable by their owner. */
const fileOf = (dataDir: string, what: 'port' | 'password') => `${dataDir}.${what}`;

/** @example addressOf(51234, password) */
export function addressOf(port: number, password: string) {
  return { host: '127.0.0.1', port, user: 'aios', password, database: 'postgres' };
}

/**
 * The port for the Postgres of this folder: the one that it had, so that other processes over it find it again after a restart; a free one
 * when that is taken, or there was none.
 */
export async function portFor(dataDir: string): Promise<number> {
  const file = fileOf(dataDir, 'port');
  const earlier = Number(await readFile(file, 'utf8').catch(() => '0'));
  const port = earlier > 0 && (await isFree(earlier)) ? earlier : await freePort();
  await writeFile(file, `${port}\n`, { mode: 0o600 });
  return port;
}

/**
 * The address of the embedded Postgres that another process runs in this folder; waits for it while it starts.
 *
 * @throws AiosError `store.unavailable` when nobody runs it
 * @example openDatabase(await joinEmbeddedPostgres('.aios/postgres'), 16)
 */
export async function joinEmbeddedPostgres(folder: string, waitMs = JOIN_MS): Promise<ConnectionTarget> {
  const dataDir = resolve(folder);
  const until = performance.now() + waitMs;
  while (true) {
    const target = await addressIn(dataDir);
    if (target && (await answers(target))) return target;
    if (performance.now() > until) {
      throw new AiosError('store.unavailable', {
        detail: `No process runs the database of ${dirname(dataDir)}. Start one there with \`aios start\`, or set AIOS_DATABASE_URL.`,
      });
    }
    await sleep(LOOK_MS);
  }
}

async function addressIn(dataDir: string) {
  const [port, password] = await Promise.all(
    (['port', 'password'] as const).map((what) =>
      readFile(fileOf(dataDir, what), 'utf8').catch(() => undefined),
    ),
  );
  return port && password ? addressOf(Number(port), password) : undefined;
}

async function answers(target: ReturnType<typeof addressOf>): Promise<boolean> {
  const client = new pg.Client({ ...target, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
  });
  if (free) await new Promise((done) => server.close(done));
  return free;
}
