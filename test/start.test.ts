import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
    ['a project that is not there', {}, ['--project', '/no/such/folder'], 'There is no project folder'],
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
