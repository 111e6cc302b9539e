import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEmbeddedPostgres } from '../src/store/embedded.ts';

const MAIN = join(import.meta.dirname, '..', 'src', 'main.ts');

async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return String(port);
}

describe('aios start, told to stop', () => {
  let folder: string;
  let child: ChildProcess;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aios-stop-'));
    await chmod(folder, 0o755); // the database's own user passes through it where this is run as root
  });
  afterEach(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await rm(folder, { recursive: true, maxRetries: 5 });
  });

  async function start(env: Record<string, string>, ...args: string[]): Promise<void> {
    const port = await freePort();
    const { PATH } = process.env;
    const ports = { AIOS_PORT: port, AIOS_GRPC_PORT: await freePort() };
    child = spawn(process.execPath, [MAIN, 'start', ...args], {
      env: { PATH, AIOS_DATA_DIR: folder, ...ports, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    while ((await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.status !== 200) {
      expect(child.exitCode).toBeNull();
      await sleep(50);
    }
  }

  it.each(['SIGHUP', 'SIGTERM'] as const)(
    'by %s, with nobody left who reads what it says, ends what it started',
    async (signal) => {
      await start({});
      child.stderr!.destroy();
      child.stdout!.destroy();
      child.kill(signal);
      const [code] = (await once(child, 'exit')) as [number | null];
      expect(code).toBe(0);
      await expect(access(join(folder, 'postgres', 'postmaster.pid'))).rejects.toThrow('ENOENT');
    },
  );

  it('with runs under way and its database gone, ends all the same, and says so', async () => {
    const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'elsewhere') });
    const { user, password, host, port, database } = postgres.target as Record<string, string>;
    const url = `postgresql://${user}:${encodeURIComponent(password!)}@${host}:${port}/${database}`;
    await start({ AIOS_DATABASE_URL: url, AIOS_LIMITS: 'stopMaxMs=3000' }, '--example', 'returns');
    let told = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      told += text;
    });
    const client = new pg.Client(url);
    await client.connect();
    const runs = async () => (await client.query('select 1 from workflow_runs limit 1')).rowCount;
    await expect.poll(runs, { message: 'no run of the simulated shop began' }).toBe(1);
    await client.end();
    await postgres.stop();
    await expect.poll(() => told).toContain('The database does not answer');
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(1);
    expect(told).toMatch(/A part could not be stopped[\s\S]*stop\.unfinished/);
  });
});
