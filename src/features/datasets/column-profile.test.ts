import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limitsFrom } from '../../kernel/limits.ts';
import { DuckDb, literal } from '../offline/duckdb.ts';
import { profileFile } from './column-profile.ts';

describe('how a column lies', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aios-column-profile-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const profile = async (values: string) => {
    await using duck = await DuckDb.open({ folders: [folder], limits: limitsFrom() });
    const path = join(folder, 'column.parquet');
    await duck.run(`copy (select unnest([${values}])::double as x) to ${literal(path)} (format parquet)`);
    const columns = [{ name: 'x', type: 'float64', role: 'feature' }] as const;
    return (await profileFile(duck, path, 4, columns)).x!;
  };

  it('is told with its mean, spread, deciles and bins', async () => {
    const { mean, stddev, deciles, histogram, nulls, distinct } = await profile('1, 2, 3, null');
    expect({ mean, stddev, nulls, distinct }).toEqual({ mean: 2, stddev: 1, nulls: 1, distinct: 3 });
    expect(deciles).toHaveLength(11);
    expect(histogram!.flatMap((count, bin) => (count > 0 ? [[bin, count]] : []))).toEqual([
      [0, 1],
      [10, 1],
      [19, 1],
    ]);
  });

  // One such value kept a dataset from being made: the square of 1e308 is no double.
  it.each([
    ['1e308, 1, 2, null', 1e308 / 3, 0.57735e308],
    ['1e20, 1e20, 1e20, null', 1e20, 0],
    ['-1e308, 1e308, 1e308, null', 1e308 / 3, 1.1547e308],
    ['1.7e308, -1.7e308, null, null', 0, Number.MAX_VALUE],
  ])('of %s is told, too', async (values, mean, stddev) => {
    const told = await profile(values);
    expect(told).toMatchObject({ mean: expect.closeTo(mean, -303), stddev: expect.closeTo(stddev, -304) });
    expect(told.histogram!.reduce((sum, count) => sum + count, 0)).toBe(4 - told.nulls);
    expect(JSON.stringify(told.deciles)).not.toContain('null');
  });
});
