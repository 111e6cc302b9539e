// Runs on whatever Node the machine has (>= 20), before anything of ours can: installs what `npm start` and `npm test` miss.
// With --browser it also sees to a Chromium for the browser tests, where that is possible.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const stamp = join(root, 'node_modules', '.aios-install');
const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  return result.status === 0;
}

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  process.stderr.write('Installing packages (about 30 s, once) …\n');
  const npm = process.env.npm_execpath;
  const args = ['ci', '--loglevel=error', '--no-audit', '--no-fund'];
  // Its install script fetches CUDA libraries; as a key of .npmrc npm would warn of it at every command.
  const options = { env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' } };
  const done = npm
    ? run(process.execPath, [npm, ...args], options)
    : run('npm', args, { ...options, shell: process.platform === 'win32' });
  if (!done) {
    process.stderr.write('npm ci failed: see its message above. AIOS needs the npm registry once.\n');
    process.exit(1);
  }
  writeFileSync(stamp, wanted);
}

if (
  process.argv.includes('--browser') &&
  !['/usr/bin/chromium', '/usr/bin/google-chrome'].some(existsSync) &&
  !process.env.AIOS_CHROMIUM
) {
  const debian = process.platform === 'linux' && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
  if (debian) {
    process.stderr.write('Installing Chromium for the browser tests (once) …\n');
    const quiet = {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    };
    const installed =
      run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], {
        ...quiet,
        stdio: 'ignore',
      }) ||
      (run('apt-get', ['update', '-qq'], quiet) &&
        run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], quiet));
    if (!installed)
      process.stderr.write('Chromium could not be installed: the browser tests will be skipped.\n');
  } else {
    process.stderr.write(
      'No Chromium found (set AIOS_CHROMIUM to one): the browser tests will be skipped.\n',
    );
  }
}
