import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DebianPackages } from '../../testing/debian.ts';

/** A Redis server of a test, without anything on disk. */
export class RedisUnderTest {
  readonly port: number;
  readonly #debian: DebianPackages;
  readonly #folder: string;
  #process: ChildProcess | undefined;

  private constructor(debian: DebianPackages, port: number, folder: string) {
    this.#debian = debian;
    this.port = port;
    this.#folder = folder;
  }

  static async start(debian: DebianPackages): Promise<RedisUnderTest> {
    const redis = new RedisUnderTest(debian, await freePort(), await mkdtemp(join(tmpdir(), 'aios-redis-')));
    await redis.start();
    return redis;
  }

  get url(): string {
    return `redis://:secret@127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const { root, env } = this.#debian;
    const started = spawn(
      join(root, 'usr/bin/redis-server'),
      ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--requirepass', 'secret'],
      { cwd: this.#folder, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    this.#process = started;
    let said = '';
    for await (const chunk of started.stdout!) {
      said += String(chunk);
      if (said.includes('Ready to accept connections')) break;
    }
    if (!said.includes('Ready to accept connections')) throw new Error(`Redis does not start: ${said}`);
  }

  /** Ends it without a chance to say goodbye. */
  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (!running || running.exitCode !== null) return;
    const ended = once(running, 'exit');
    running.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
