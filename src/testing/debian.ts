import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { madeOnce } from './made-once.ts';

/*
 * Stock servers of others against our clients, from Debian's packages, unpacked into a temporary folder: nothing of the machine changes, no service
 * is started, and the next run uses the folder again.
 */
const run = promisify(execFile);
const FETCH_MS = 240_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

/** Where packages were unpacked, and what a program of them needs to find its libraries. */
export interface DebianPackages {
  readonly root: string;
  readonly env: Record<string, string>;
}

/**
 * The packages, with what they depend on and the machine does not have; nothing where this is no Debian or its archive does not answer: then the test is
 * skipped, with the reason in its name.
 *
 * @example const debian = await debianPackages(['nats-server'])
 * describe.skipIf(!debian)(`NATS${debian ? '' : ' (skipped: no nats-server, and no Debian to take it from)'}`, …)
 * spawn(join(debian.root, 'usr/sbin/nats-server'), args, { env: { ...process.env, ...debian.env } })
 */
export async function debianPackages(packages: readonly string[]): Promise<DebianPackages | undefined> {
  if (process.platform !== 'linux' || !existsSync('/usr/bin/apt-get')) return undefined;
  const folder = await madeOnce('debian', packages, async (building) => {
    const wanted = await missing(packages).catch(async () => {
      await run('apt-get', ['update', '-qq'], { timeout: FETCH_MS }); // a machine that never read the lists
      return missing(packages);
    });
    await run('apt-get', ['download', '-qq', '-o', 'APT::Sandbox::User=root', ...wanted], {
      cwd: building,
      timeout: FETCH_MS,
    });
    for (const file of await readdir(building)) {
      if (!file.endsWith('.deb')) continue;
      await run('dpkg-deb', ['-x', join(building, file), building], { timeout: FETCH_MS });
      await rm(join(building, file));
    }
    await run('chmod', ['755', building]); // servers that refuse to be root run as another
  });
  return folder === undefined ? undefined : told(folder);
}

/** What an installation would add, by apt's own simulation, which needs no rights. */
async function missing(packages: readonly string[]): Promise<string[]> {
  const { stdout } = await run(
    'apt-get',
    ['install', '--simulate', '--reinstall', '--no-install-recommends', ...packages],
    { timeout: FETCH_MS, maxBuffer: OUTPUT_BYTES_MAX },
  );
  return [...stdout.matchAll(/^Inst (\S+)/gm)].map(([, one]) => one!);
}

async function told(root: string): Promise<DebianPackages> {
  const triples = await readdir(join(root, 'usr/lib')).catch(() => []);
  const libraries = triples
    .filter((one) => one.endsWith('-linux-gnu'))
    .map((one) => join(root, 'usr/lib', one));
  const others = process.env.LD_LIBRARY_PATH ? [process.env.LD_LIBRARY_PATH] : [];
  const path = [...libraries, ...others].join(':');
  return { root, env: path ? { LD_LIBRARY_PATH: path } : {} };
}
