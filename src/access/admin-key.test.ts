import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openAdminKey } from './admin-key.ts';
import { isSecret, newSecret } from './key-format.ts';

let folder: string;
const ensured: [key: string, only: boolean | undefined][] = [];
const access = { ensureAdminKey: async (key: string, only?: boolean) => void ensured.push([key, only]) };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-admin-key-'));
  ensured.length = 0;
});
afterEach(() => rm(folder, { recursive: true }));
const file = () => join(folder, 'admin.key');

it.each([undefined, '', ' \n'])(
  'makes a key at the first start and keeps it when AIOS_ADMIN_KEY is %j',
  async (given) => {
    const key = await openAdminKey(folder, given, access);
    expect(isSecret(key, 'key')).toBe(true);
    expect(await readFile(file(), 'utf8')).toBe(`${key}\n`);
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    expect(await openAdminKey(folder, given, access)).toBe(key);
    expect(ensured).toEqual([
      [key, false],
      [key, false],
    ]);
  },
);

it('makes a key where the file is empty, as an empty variable once left it', async () => {
  await writeFile(file(), '\n');
  expect(isSecret(await openAdminKey(folder, '', access), 'key')).toBe(true);
});

it('takes the key that is given, as the only one', async () => {
  const key = newSecret('key');
  expect(await openAdminKey(folder, `${key}\n`, access)).toBe(key);
  expect(ensured).toEqual([[key, true]]);
});

it('refuses what is not a key before anything is written', async () => {
  const refused = (told: RegExp) => ({ code: 'access.key_format', message: expect.stringMatching(told) });
  await expect(openAdminKey(folder, 'secret', access)).rejects.toMatchObject(refused(/AIOS_ADMIN_KEY/));
  expect(await readdir(folder)).toEqual([]);
  await writeFile(file(), 'secret\n');
  await expect(openAdminKey(folder, undefined, access)).rejects.toMatchObject(refused(/admin\.key/));
  expect(await readFile(file(), 'utf8')).toBe('secret\n');
  expect(ensured).toEqual([]);
});

it('leaves the file alone that holds the key already: a disk that is full must not empty it', async () => {
  await openAdminKey(folder, undefined, access);
  const { ino, mtimeMs } = await stat(file());
  await openAdminKey(folder, undefined, access);
  expect(await stat(file())).toMatchObject({ ino, mtimeMs });
  // Where it does change, no reader meets half of it: another file takes its place.
  await openAdminKey(folder, newSecret('key'), access);
  expect((await stat(file())).ino).not.toBe(ino);
  expect(await readdir(folder)).toEqual(['admin.key']);
});
