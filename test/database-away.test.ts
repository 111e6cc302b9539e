import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../bench/product.ts';
import { startEmbeddedPostgres } from '../src/store/embedded.ts';

const MAIN = join(import.meta.dirname, '..', 'src', 'main.ts');
const AWAY_MS = 8_000;

/** Stands before a server, and can be as if that were not there. */
class Line {
  readonly #target: { host: string; port: number };
  readonly #open = new Set<Socket>();
  #server: Server | undefined;
  port = 0;

  constructor(target: { host: string; port: number }) {
    this.#target = target;
  }

  async mend(): Promise<void> {
    const server = createServer((near) => {
      const far = connect(this.#target);
      for (const socket of [near, far]) {
        this.#open.add(socket);
        socket.on('error', () => {}).on('close', () => [near, far].forEach((one) => void one.destroy()));
      }
      near.pipe(far).pipe(near);
    }).listen(this.port, '127.0.0.1');
    await once(server, 'listening');
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async cut(): Promise<void> {
    const closed = this.#server && once(this.#server, 'close');
    this.#server?.close();
    for (const socket of this.#open) socket.destroy();
    this.#open.clear();
    await closed;
  }
}

describe('a server whose database is away for a while', () => {
  let folder: string;
  let postgres: Awaited<ReturnType<typeof startEmbeddedPostgres>>;
  let line: Line;
  let child: ChildProcess;
  let said = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aios-away-'));
    await chmod(folder, 0o755); // the database's own user passes through it where this is run as root
    postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'elsewhere') });
    const { user, password, host, port, database } = postgres.target as Record<string, string>;
    line = new Line({ host: host!, port: Number(port) });
    await line.mend();
    child = spawn(process.execPath, [MAIN, 'start', '--example', 'returns'], {
      env: {
        PATH: process.env.PATH,
        AIOS_DATA_DIR: folder,
        AIOS_PORT: String(await freePort()),
        AIOS_GRPC_PORT: 'off',
        AIOS_DATABASE_URL: `postgresql://${user}:${encodeURIComponent(password!)}@127.0.0.1:${line.port}/${database}`,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    while (!said.includes('Ctrl-C stops everything')) {
      if (child.exitCode !== null) throw new Error(`it ended before it was ready:\n${said}`);
      await sleep(50);
    }
  }, 120_000);
  afterAll(async () => {
    child.kill('SIGINT');
    await once(child, 'exit');
    await line.cut();
    await postgres.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }, 60_000);

  it('says so once, and once that it is back, with how often it was missed', async () => {
    await sleep(2_000); // the simulated shop sends its orders
    const before = said.length;
    await line.cut();
    await expect.poll(() => said.slice(before)).toContain('The database does not answer');
    await sleep(AWAY_MS);
    await line.mend();
    await expect.poll(() => said.slice(before), { timeout: 30_000 }).toContain('The database answers again');
    await sleep(2_000);
    const lines = said
      .slice(before)
      .split('\n')
      .filter((text) => text.startsWith('{'))
      .map((text) => JSON.parse(text) as { level: string; msg: string; error?: string });
    const messages = lines.map(({ msg }) => msg);
    expect(messages.filter((msg) => msg.startsWith('The database'))).toEqual([
      expect.stringMatching(
        /^The database does not answer: Postgres: .+\. What needs it waits, or is tried again\.$/,
      ),
      expect.stringMatching(/^The database answers again\. \d+ tries failed in \d+(\.\d)? s\.$/),
    ]);
    expect(messages.length).toBeLessThan(6); // what else goes wrong by it is told as little
    expect(lines.filter(({ error }) => error !== undefined)).toEqual([]); // no stack of what is known
  });
});
