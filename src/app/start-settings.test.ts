import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { START_VARIABLES, startSettings } from './start-settings.ts';

const ROOT = join(import.meta.dirname, '../..');

describe('the settings of a process', () => {
  it('have defaults, and a variable that is empty says nothing', () => {
    const plain = startSettings({}, 'all');
    expect(plain).toMatchObject({
      dataDir: resolve('.aios'),
      host: '127.0.0.1',
      port: 7700,
      portVariable: 'AIOS_PORT',
      databaseUrl: undefined,
      publicUrl: undefined,
      corsOrigins: [],
      unknown: [],
    });
    const empty = { AIOS_PORT: '', AIOS_HOST: '', AIOS_DATABASE_URL: '', AIOS_DATA_DIR: '', AIOS_LOG: '' };
    expect(startSettings({ ...empty, AIOS_PUBLIC_URL: '' }, 'all')).toEqual(plain);
  });

  it('of a worker take a free port unless one is named', () => {
    expect(startSettings({ AIOS_PORT: '7800' }, 'worker')).toMatchObject({ port: 0 });
    const named = startSettings({ AIOS_WORKER_PORT: '7900' }, 'worker');
    expect(named).toMatchObject({ port: 7900, portVariable: 'AIOS_WORKER_PORT' });
  });

  it.each([
    [{ AIOS_PORT: 'abc' }, 'AIOS_PORT takes a port, 0 to 65535; “abc” is not that.'],
    [{ AIOS_PORT: '99999' }, 'AIOS_PORT takes a port, 0 to 65535; “99999” is not that.'],
    [{ AIOS_LOG: 'loud' }, 'AIOS_LOG takes one of debug, info, warn, error; “loud” is not that.'],
    [
      { AIOS_PUBLIC_URL: 'aios.example.org' },
      'AIOS_PUBLIC_URL takes an address such as https://aios.example.org; “aios.example.org” is not that.',
    ],
    [
      { AIOS_CORS_ORIGINS: 'https://a.example,https://b.example/' },
      /^AIOS_CORS_ORIGINS takes origins such as https:\/\/app\.example\.org, .*“https:\/\/b\.example\/” is not that/,
    ],
    [{ AIOS_CORS_ORIGINS: 'app.example' }, /“app\.example” is not that/],
    [{ AIOS_CORS_ORIGINS: 'HTTPS://App.example' }, /is not that/],
    [
      { AIOS_LIMITS: 'eventBytes=5' },
      /AIOS_LIMITS: “eventBytes” is not a limit; did you mean eventBytesMax\?/,
    ],
  ])('%j is refused with what it takes', (env, told) => {
    const message = typeof told === 'string' ? told : expect.stringMatching(told);
    expect(() => startSettings(env, 'all')).toThrow(
      expect.objectContaining({ code: 'start.setting', message }),
    );
  });

  it('name the origins whose pages may call', () => {
    const of = (text: string) => startSettings({ AIOS_CORS_ORIGINS: text }, 'all').corsOrigins;
    expect(of('https://a.example, http://localhost:5173')).toEqual([
      'https://a.example',
      'http://localhost:5173',
    ]);
    expect(of('*')).toEqual(['*']);
    expect(of('')).toEqual([]);
  });

  it('never tell the password of an address that is none', () => {
    expect(() => startSettings({ AIOS_DATABASE_URL: 'mysql://u:hunter2@h/d' }, 'all')).toThrow(
      expect.objectContaining({ code: 'start.setting', message: expect.not.stringContaining('hunter2') }),
    );
  });

  it('tell of a variable that means nothing, and of the one that was meant', () => {
    const env = {
      AIOS_DATADIR: 'x',
      AIOS_WHATEVER_IT_IS: 'x',
      AIOS_VAR_SHOP: 'x',
      AIOS_SECRET_TOKEN: 'x',
      AIOS_API_KEY: 'x',
      OTHER: 'x',
    };
    expect(startSettings(env, 'all').unknown).toEqual([
      'AIOS_DATADIR is not known and changes nothing; did you mean AIOS_DATA_DIR?',
      'AIOS_WHATEVER_IT_IS is not known and changes nothing',
    ]);
  });
});

describe('the variables', () => {
  it('are all in the table of docs/operations.md', () => {
    const page = readFileSync(join(ROOT, 'docs', 'operations.md'), 'utf8');
    const table = page.slice(page.indexOf('## Configuration'), page.indexOf('## Several processes'));
    const told = new Set(table.match(/(?<=`)AIOS_[A-Z0-9_]+(?=`)/g));
    expect(START_VARIABLES.filter((name) => !told.has(name))).toEqual([]);
  });

  it('are all that the code reads, and each is read', () => {
    const read = new Set<string>();
    for (const folder of ['src', 'examples']) {
      for (const name of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })) {
        if (!name.endsWith('.ts') || name.includes('test') || name.endsWith('start-settings.ts')) continue;
        const code = readFileSync(join(ROOT, folder, name), 'utf8');
        for (const [found] of code.matchAll(/(?<=env\.|')AIOS_[A-Z0-9_]+(?=')|(?<=env\.)AIOS_[A-Z0-9_]+/g))
          read.add(found);
      }
    }
    const known: ReadonlySet<string> = new Set(START_VARIABLES);
    const unlisted = [...read].filter(
      (name) => !known.has(name) && !/^AIOS_(VAR|SECRET|HOSTS_OF)_/.test(name),
    );
    expect(unlisted.sort()).toEqual(['AIOS_API_KEY', 'AIOS_URL']); // of the command line
    // Of this file, once in the list and once where it is read.
    const own = readFileSync(join(ROOT, 'src/app/start-settings.ts'), 'utf8');
    expect(START_VARIABLES.filter((name) => !read.has(name) && own.split(name).length < 3)).toEqual([]);
  });
});
