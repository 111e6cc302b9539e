import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';

const ANSWER_MS = 30_000;

type Command = (server: { port: number; folder: string }) => readonly string[];

/** A server of others, in a temporary folder and on a free port of this machine, that a test may kill and start again. */
export class ServerUnderTest {
  readonly port: number;
  readonly folder: string;
  readonly #command: Command;
  readonly #env: Record<string, string>;
  #process: ChildProcess | undefined;
  /** The end of what it printed. */
  #output = '';

  private constructor(port: number, folder: string, command: Command, env: Record<string, string>) {
    this.port = port;
    this.folder = folder;
    this.#command = command;
    this.#env = env;
  }

  /**
   * @param command the program and its arguments
   * @param prepare writes what the program reads, before it is started first
   */
  static async start(
    command: Command,
    env: Record<string, string> = {},
    prepare: (server: ServerUnderTest) => Promise<unknown> = async () => {},
  ): Promise<ServerUnderTest> {
    const folder = await mkdtemp(join(tmpdir(), 'aios-server-'));
    const server = new ServerUnderTest(await freePort(), folder, command, env);
    await prepare(server);
    await server.start();
    return server;
  }

  /** Starts it, and waits until it takes connections. */
  async start(): Promise<void> {
    const [program, ...args] = this.#command(this);
    this.#output = '';
    const child = spawn(program!, args, {
      env: { ...process.env, ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text) => {
        this.#output = `${this.#output}${text}`.slice(-4000);
      });
    this.#process = child;
    for (const end = performance.now() + ANSWER_MS; !(await answers(this.port)); await sleep(20)) {
      if (child.exitCode !== null || performance.now() > end)
        throw new Error(`${program} does not answer: ${this.#output}`);
    }
  }

  /** Lets it read its settings again, and waits until it says so. */
  async reload(said: RegExp): Promise<void> {
    this.#output = '';
    this.#process?.kill('SIGHUP');
    for (const end = performance.now() + ANSWER_MS; !said.test(this.#output); await sleep(10))
      if (performance.now() > end) throw new Error(`It does not read its settings again: ${this.#output}`);
  }

  /** As a crash ends it. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
