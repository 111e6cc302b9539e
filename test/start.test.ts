import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const MAIN = join(import.meta.dirname, '..', 'src', 'main.ts');

/** `aios start` in a process of its own, which ends because something is wrong: its exit code, and what it told. */
async function start(
  env: Record<string, string>,
  ...args: string[]
): Promise<{ code: number; told: string }> {
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, [MAIN, 'start', ...args], {
    env: { PATH, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    told += text;
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, told };
}

describe('aios', () => {
  const launcher = join(import.meta.dirname, '..', 'bin', 'aios.js');
  const others = ['/usr/bin/node', '/usr/local/bin/node'].filter(existsSync);
  it.each([process.execPath, ...others])('runs on %s, whatever its version', async (node) => {
    const { stdout } = await promisify(execFile)(node, [launcher, '--version'], { cwd: tmpdir() });
    expect(stdout).toBe('0.1.0\n');
    const failed = await promisify(execFile)(node, [launcher, 'bogus']).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 64, stderr: expect.stringContaining('unknown command') });
  });
});

describe('a command whose reader has had enough', () => {
  it.each([['--help'], ['bogus', 64]])('%s ends without a word', async (argument, code = 0) => {
    const child = spawn(process.execPath, [MAIN, argument as string], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let told = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      told += text;
    });
    expect(await once(child, 'close')).toEqual([code, null]);
    expect(told).not.toContain('EPIPE');
  });
});

describe('aios start, stopped while it starts', () => {
  it('stops at the next stage with all that it started, and shows no banner', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aios-start-'));
    await chmod(folder, 0o755); // as root, Postgres runs as another user
    const { PATH = '' } = process.env;
    const child = spawn(process.execPath, [MAIN, 'start', '--example', 'returns'], {
      env: { PATH, AIOS_DATA_DIR: folder, AIOS_PORT: '0', AIOS_GRPC_PORT: 'off' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let told = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      // Twice SIGTERM, as from a supervisor and a launcher, is once.
      if (!told.includes('engine') && text.includes('engine')) child.kill('SIGTERM') && child.kill('SIGTERM');
      told += text;
    });
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(told).toMatch(/Starting the engine\n\nStopping: .*\nStopped\. /);
    expect(told).not.toMatch(/Applying|Console|API/);
    expect(await readdir(folder)).not.toContain('postgres.owner');
    expect(await readdir(join(folder, 'postgres'))).not.toContain('postmaster.pid');
    await rm(folder, { recursive: true });
  });
});

describe('aios start, over an example that somebody has changed', () => {
  it('leaves what was changed, and says so; commands find it by its data folder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aios-start-'));
    await chmod(folder, 0o755); // as root, Postgres runs as another user
    const project = join(folder, 'mine');
    await mkdir(join(project, 'queues'), { recursive: true });
    const queue = join(import.meta.dirname, '..', 'examples', 'returns', 'queues', 'return-review.yaml');
    const changed = (await readFile(queue, 'utf8')).replace('priority: 50', 'priority: 51');
    await writeFile(join(project, 'queues', 'return-review.yaml'), changed);
    const dataDir = join(folder, 'data');
    const { PATH = '' } = process.env;
    const env = { PATH, AIOS_DATA_DIR: dataDir, AIOS_PORT: '0', AIOS_GRPC_PORT: 'off' };
    const aios = promisify(execFile);
    /** A start, until its banner is told; then the work, then its stop: what it told. */
    const during = async (work: () => Promise<unknown>): Promise<string> => {
      const child = spawn(process.execPath, [MAIN, 'start', '--example', 'returns'], {
        env,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      const ended = once(child, 'close');
      let told = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        told += text;
      });
      await expect.poll(() => told, { timeout: 60_000 }).toContain('Ctrl-C stops everything');
      await work();
      child.kill('SIGTERM');
      expect(await ended).toEqual([0, null]);
      return told;
    };
    const first = await during(() => aios(process.execPath, [MAIN, 'apply', project], { env }));
    expect(first).not.toContain('Left as you changed it');
    expect(await readdir(dataDir)).not.toContain('server.url');
    const again = await during(async () => {});
    expect(again).toMatch(
      /^! Left as you changed it: queue return-review v2\. To have the example’s again: npx aios apply \S*examples\/returns$/m,
    );
    await rm(folder, { recursive: true });
  });
});

describe('aios start, told what is wrong before a database is started', () => {
  let folder: string;
  const other = createServer();
  let port: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aios-start-'));
    await writeFile(join(folder, 'file'), '');
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    port = String((other.address() as { port: number }).port);
  });
  afterAll(async () => {
    other.close();
    await rm(folder, { recursive: true });
  });

  it.each([
    ['a port that is none', { AIOS_PORT: 'abc' }, [], 'start.setting'],
    ['a limit that is none', { AIOS_LIMITS: 'eventByteMax=5' }, [], 'did you mean eventBytesMax\\?'],
    ['a folder that cannot be', { AIOS_DATA_DIR: 'FOLDER/file/x' }, [], 'start.folder'],
    ['a folder where none can be made', { AIOS_DATA_DIR: '/proc/aios' }, [], 'start.folder'],
    ['a file for a folder', { AIOS_DATA_DIR: 'FOLDER/file' }, [], 'it is not a folder'],
    [
      'a project that is not there',
      {},
      ['--project', '/no/such/folder'],
      'There is no project folder /no/such/folder',
    ],
    [
      'an example that does not run by itself',
      {},
      ['--example', 'expenses'],
      'There is no example “expenses”; there is returns\\.',
    ],
    [
      'a port that is taken',
      { AIOS_PORT: 'PORT', AIOS_DATADIR: 'x' },
      [],
      'did you mean AIOS_DATA_DIR\\?\\n.* is in use \\(AIOS_PORT\\)\\.\\n.*start.port_in_use',
    ],
  ])('%s', async (_, env, args, told) => {
    const filled = Object.entries(env).map(([name, text]) => [
      name,
      text.replace('FOLDER', folder).replace('PORT', port),
    ]);
    const found = await start(
      { AIOS_DATA_DIR: join(folder, 'data'), ...Object.fromEntries(filled) },
      ...args,
    );
    expect(found).toEqual({ code: 1, told: expect.stringMatching(new RegExp(told)) });
    expect(found.told).not.toContain('Starting the database');
    expect(await readdir(folder)).toEqual(['file']);
  });
});
