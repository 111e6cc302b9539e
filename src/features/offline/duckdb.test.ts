import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limitsFrom } from '../../kernel/limits.ts';
import { DuckDb, identifier, literal } from './duckdb.ts';

describe('a DuckDB of a job', () => {
  let root: string;
  let open: (signal?: AbortSignal, limits?: string) => Promise<DuckDb>;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'aios-duckdb-test-'));
    await mkdir(join(root, 'in'));
    await mkdir(join(root, 'inner'));
    await writeFile(join(root, 'in/rows.csv'), 'a,b\n1,x\n2,\n');
    await writeFile(join(root, 'secret.csv'), 'a\n1\n');
    await writeFile(join(root, 'inner/secret.csv'), 'a\n1\n');
    await symlink(join(root, 'in'), join(root, 'link'));
    open = (signal, limits) =>
      DuckDb.open({
        folders: [join(root, 'link'), join(root, 'absent')],
        limits: limitsFrom(limits),
        signal,
      });
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  it('reads and writes below the folders that it may, and binds parameters', async () => {
    await using duck = await open();
    expect(
      await duck.all('select a, b from read_csv($1) where a >= $2 order by a', [
        join(root, 'in/rows.csv'),
        1,
      ]),
    ).toEqual([
      { a: 1, b: 'x' },
      { a: 2, b: null },
    ]);
    const written = join(root, 'in/out.parquet');
    expect(
      await duck.run(`copy (select range as n from range(5000)) to ${literal(written)} (format parquet)`),
    ).toBe(5000);
    const sizes: number[] = [];
    for await (const rows of duck.chunks('select n from read_parquet($1)', [written]))
      sizes.push(rows.length);
    expect([Math.max(...sizes) <= 2048, sizes.reduce((sum, each) => sum + each)]).toEqual([true, 5000]);
  });

  it('gives integers exactly, decimals as numbers, times as Dates in UTC', async () => {
    await using duck = await open();
    expect(
      await duck.all(
        `select 9007199254740993::bigint as big, 3::hugeint as "small", 1.25::decimal(9,2) as dec, timestamptz '2026-03-01 12:00:00+02' as at, '2026-03-01 12:00'::timestamp::timestamptz as local, $1 as half, $2 as whole`,
        [0.5, 7],
      ),
    ).toEqual([
      {
        big: 9007199254740993n,
        small: 3,
        dec: 1.25,
        at: new Date('2026-03-01T10:00Z'),
        local: new Date('2026-03-01T12:00Z'),
        half: 0.5,
        whole: 7,
      },
    ]);
    expect(await duck.all(`select 1 as ${identifier('a "b"')}`)).toEqual([{ 'a "b"': 1 }]);
  });

  it.each([
    [
      'a file beside the folder',
      (at: string) => `select * from read_csv(${literal(join(at, 'secret.csv'))})`,
    ],
    [
      'a folder whose name begins alike',
      (at: string) => `select * from read_csv(${literal(join(at, 'inner/secret.csv'))})`,
    ],
    ['a way out by dots', (at: string) => `select * from read_csv(${literal(`${at}/in/../secret.csv`)})`],
    ['a listing of elsewhere', (at: string) => `select * from glob(${literal(`${at}/*`)})`],
    ['writing elsewhere', (at: string) => `copy (select 1) to ${literal(`${at}/x.csv`)}`],
    ['the network', () => "select * from read_csv('https://example.com/x.csv')"],
    ['another database', (at: string) => `attach ${literal(`${at}/x.db`)}`],
    ['an extension', () => 'install httpfs'],
  ])('refuses %s', async (_, sql) => {
    await using duck = await open();
    await expect(duck.all(sql(root))).rejects.toMatchObject({ code: 'features.file_not_allowed' });
  });

  it.each([
    ['settings, which are locked', 'set threads = 1', 'locked'],
    ['what is no SQL', 'selec 1', 'syntax'],
    ['a file that is not there', 'select * from read_parquet($1)', 'No files'],
  ])('says what is wrong with %s', async (_, sql, words) => {
    await using duck = await open();
    const values = sql.includes('$1') ? [join(root, 'in/absent.parquet')] : [];
    await expect(duck.all(sql, values)).rejects.toMatchObject({
      code: 'features.offline_failed',
      message: expect.stringContaining(words),
    });
  });

  it('ends what runs when it is canceled, and begins nothing more', async () => {
    const ended = new AbortController();
    await using duck = await open(ended.signal);
    const counting = duck.all(
      'select count(*) from range(10000000) a, range(10000000) b where (a.range * b.range) % 7 = 1',
    );
    setTimeout(() => ended.abort(), 50);
    await expect(counting).rejects.toMatchObject({ code: 'features.offline_canceled' });
    await expect(duck.all('select 1')).rejects.toMatchObject({ code: 'features.offline_canceled' });
    await expect(open(ended.signal)).rejects.toMatchObject({ code: 'features.offline_canceled' });
  });

  it('puts on disk what its memory does not hold, to a limit, and leaves nothing', async () => {
    const large =
      'create table large as select md5(range::varchar) as m, md5((range + 1)::varchar) as n from range(2000000)';
    const duck = await open(undefined, 'offlineMemoryBytesMax=67108864');
    await duck.run(large);
    const [spilled] = await duck.all<{ bytes: number }>(
      'select sum(size) as bytes from duckdb_temporary_files()',
    );
    expect(spilled!.bytes).toBeGreaterThan(1_048_576);
    expect(existsSync(duck.folder)).toBe(true);
    await duck.close();
    expect(existsSync(duck.folder)).toBe(false);
    await using small = await open(undefined, 'offlineMemoryBytesMax=67108864,offlineSpillBytesMax=1048576');
    await expect(small.run(large)).rejects.toMatchObject({ code: 'features.offline_failed' });
  });
});
