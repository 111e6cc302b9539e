// Builds the console when its sources have changed since the last build; a build takes a few seconds, the check milliseconds.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const consoleDir = join(root, 'console');
const stamp = join(consoleDir, 'dist', '.sources');

function sourceDigest() {
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')));
  const entries = readdirSync(consoleDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/[\\/](node_modules|dist)([\\/]|$)/.test(entry.parentPath))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.endsWith('.test.ts'))
    .sort();
  for (const path of entries) hash.update(path.slice(root.length)).update(readFileSync(path));
  return hash.digest('hex');
}

if (!existsSync(join(consoleDir, 'index.html'))) process.exit(0); // a package without the console's sources brings its build
const digest = sourceDigest();
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== digest) {
  process.stderr.write('Building the console …\n');
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  const result = spawnSync(process.execPath, [vite, 'build', '--logLevel', 'error'], {
    cwd: consoleDir,
    stdio: 'inherit',
  });
  if (result.status !== 0) {
    process.stderr.write('The console could not be built; see the message above.\n');
    process.exit(1);
  }
  writeFileSync(stamp, digest);
}
