import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AiosError } from '../kernel/errors.ts';
import { migrate } from '../store/migrations.ts';
import { requireFolder, requireFreePort, startFault } from './start-faults.ts';

const place = {
  dataDir: '/data/aios',
  host: '127.0.0.1',
  port: 7700,
  portVariable: 'AIOS_PORT',
  databaseUrl: undefined as string | undefined,
};
const fault = (code: string, rest: object = {}) =>
  Object.assign(new Error(`${code}: told`), { code, ...rest });
const given = { ...place, databaseUrl: 'postgres://ann:hunter2@db.example:5433/shop' };

describe('what kept a process from starting', () => {
  it.each([
    [
      'a port that is taken',
      fault('EADDRINUSE', { syscall: 'listen' }),
      place,
      'start.port_in_use',
      '127.0.0.1:7700 is in use (AIOS_PORT).',
    ],
    [
      'a foreign address',
      fault('EADDRNOTAVAIL', { syscall: 'listen' }),
      place,
      'start.setting',
      '127.0.0.1:7700 is not an address of this machine (AIOS_HOST, AIOS_PORT).',
    ],
    [
      'a folder of somebody else',
      fault('EACCES', { path: '/data/aios' }),
      place,
      'start.folder',
      '/data/aios: this user may not write there.',
    ],
    [
      'a folder above it',
      fault('EROFS', { path: '/data' }),
      place,
      'start.folder',
      '/data: it lies on a disk that is read only.',
    ],
    [
      'a full disk',
      fault('ENOSPC', { path: '/data/aios/admin.key.new' }),
      place,
      'start.folder',
      '/data/aios/admin.key.new: the disk is full.',
    ],
    [
      'a full disk, as Postgres says it',
      new AiosError('store.unavailable', { detail: 'initdb: could not write: No space left on device' }),
      place,
      'start.folder',
      '/data/aios: the disk is full.',
    ],
    [
      'a Postgres of ours that does not start',
      new AiosError('store.unavailable', { detail: 'Postgres did not start: out of memory' }),
      place,
      'start.embedded',
      'Postgres did not start: out of memory',
    ],
    [
      'a database that is not there',
      fault('ECONNREFUSED', { syscall: 'connect' }),
      given,
      'start.database',
      'ann at db.example:5433/shop: ECONNREFUSED: told.',
    ],
    [
      'a password that is wrong',
      fault('28P01'),
      given,
      'start.database',
      'ann at db.example:5433/shop: 28P01: told.',
    ],
  ])('%s has a code and says what to change', (_, error, at, code, message) => {
    expect(startFault(error, at)).toMatchObject({ code, message, cause: error });
  });

  it('is left as it is where it is not known', () => {
    const own = new AiosError('store.in_use');
    for (const error of [own, new Error('other'), fault('EACCES', { path: '/elsewhere' }), fault('28P01')])
      expect(startFault(error, place)).toBe(error);
  });

  it('is a database that nobody answers for, found by the first thing that asks it', async () => {
    const databaseUrl = 'postgres://ann:hunter2@127.0.0.1:1/shop';
    const error = await migrate({ connectionString: databaseUrl }, []).catch((reason: unknown) => reason);
    const told = startFault(error, { ...place, databaseUrl }) as AiosError;
    expect(told).toMatchObject({
      code: 'start.database',
      message: expect.stringMatching(/^ann at 127\.0\.0\.1:1\/shop: .*ECONNREFUSED/),
    });
    expect(told.message).not.toContain('hunter2');
  });
});

describe('the data folder', () => {
  it('is made where it is missing; a part of its path may not be a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aios-start-'));
    await writeFile(join(folder, 'file'), '');
    const at = (...path: string[]) => requireFolder({ ...place, dataDir: join(folder, ...path) });
    await at('new', 'deep');
    await at('new', 'deep');
    expect((await stat(join(folder, 'new', 'deep'))).isDirectory()).toBe(true);
    await expect(at('file', 'x')).rejects.toMatchObject({
      code: 'start.folder',
      message: `${join(folder, 'file', 'x')}: a part of its path is a file.`,
    });
    await expect(at('file')).rejects.toMatchObject({
      message: `${join(folder, 'file')}: it is not a folder.`,
    });
    await rm(folder, { recursive: true });
  });

  const isRoot = process.getuid?.() === 0;
  it.skipIf(isRoot)(
    `is refused where this user may not write${isRoot ? ' (skipped: root may everywhere)' : ''}`,
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'aios-start-'));
      await chmod(folder, 0o500);
      await expect(requireFolder({ ...place, dataDir: join(folder, 'x') })).rejects.toMatchObject({
        code: 'start.folder',
        message: `${join(folder, 'x')}: this user may not write there.`,
      });
      await rm(folder, { recursive: true });
    },
  );
});

describe('the port', () => {
  const other = createServer();
  let dataDir: string;
  let taken: { port: number; dataDir: string } & Omit<typeof place, 'port' | 'dataDir'>;
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'aios-start-'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    taken = { ...place, dataDir, port: (other.address() as { port: number }).port };
  });
  afterAll(async () => {
    await new Promise((resolve) => other.close(resolve));
    await rm(dataDir, { recursive: true });
  });

  it('is asked for before a database is started', async () => {
    await expect(requireFreePort(taken)).rejects.toMatchObject({
      code: 'start.port_in_use',
      message: `127.0.0.1:${taken.port} is in use (AIOS_PORT).`,
    });
    await expect(requireFreePort({ ...taken, port: 0 })).resolves.toBeUndefined();
    await expect(requireFreePort({ ...taken, host: 'no.such.host.invalid' })).rejects.toMatchObject({
      code: 'start.setting',
      message: expect.stringContaining('AIOS_HOST'),
    });
  });

  it('of a second server over one folder is not what is told: the folder is', async () => {
    await writeFile(join(dataDir, 'postgres.owner'), String(process.pid));
    await expect(requireFreePort(taken)).resolves.toBeUndefined();
    await expect(requireFreePort({ ...taken, databaseUrl: 'postgres://h/d' })).rejects.toMatchObject({
      code: 'start.port_in_use',
    });
  });
});
