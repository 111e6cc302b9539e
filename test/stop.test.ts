import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

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
  let port: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aios-stop-'));
    await chmod(folder, 0o755); // the database's own user passes through it where this is run as root
    port = await freePort();
    child = spawn(process.execPath, [MAIN, 'start'], {
      env: {
        PATH: process.env.PATH,
        AIOS_DATA_DIR: folder,
        AIOS_PORT: port,
        AIOS_GRPC_PORT: await freePort(),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    while ((await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.status !== 200) {
      expect(child.exitCode).toBeNull();
      await sleep(50);
    }
  });
  afterEach(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await rm(folder, { recursive: true, maxRetries: 5 });
  });

  it.each(['SIGHUP', 'SIGTERM'] as const)(
    'by %s, with nobody left who reads what it says, ends what it started',
    async (signal) => {
      child.stderr!.destroy();
      child.stdout!.destroy();
      child.kill(signal);
      const [code] = (await once(child, 'exit')) as [number | null];
      expect(code).toBe(0);
      await expect(access(join(folder, 'postgres', 'postmaster.pid'))).rejects.toThrow('ENOENT');
    },
  );
});
