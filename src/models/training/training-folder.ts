import { hash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A folder for the files of a training, readable by its own user alone. What an earlier process, killed in the middle, has left of the same training on this machine
 * goes first: it may hold gigabytes of datasets, of people too.
 *
 * @param key which training: of a step and its attempt
 * @example const folder = await openTrainingFolder('run_…/do/0/train#1'); // '/tmp/aios-train-1f0c9a…-Xy12Ab'
 */
export async function openTrainingFolder(key: string): Promise<string> {
  const prefix = `aios-train-${hash('sha256', key, 'hex').slice(0, 24)}-`;
  for (const name of await readdir(tmpdir()))
    if (name.startsWith(prefix)) await rm(join(tmpdir(), name), { recursive: true, force: true });
  return mkdtemp(join(tmpdir(), prefix));
}
