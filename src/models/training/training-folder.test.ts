import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openTrainingFolder } from './training-folder.ts';

it('takes away what a process that was killed has left of the same training, and of no other', async () => {
  const key = `run_${process.pid}/do/0/train`;
  const left = await openTrainingFolder(`${key}#1`);
  await mkdir(join(left, 'data'));
  await writeFile(join(left, 'data', 'orders.parquet'), 'rows of people');
  const other = await openTrainingFolder(`${key}#2`);
  const opened = await openTrainingFolder(`${key}#1`);
  try {
    await expect(stat(left)).rejects.toThrow('ENOENT');
    expect(await readdir(opened)).toEqual([]);
    expect((await stat(opened)).mode & 0o077).toBe(0);
    expect((await stat(other)).isDirectory()).toBe(true);
  } finally {
    for (const folder of [opened, other]) await rm(folder, { recursive: true });
  }
});
