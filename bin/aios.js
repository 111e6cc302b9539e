#!/usr/bin/env node
// The command line on whatever Node the machine has (>= 20): installs what is missing, once, and hands over to the Node that the code is written for.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const pinned = join(root, 'node_modules', 'node');

if (!existsSync(pinned)) {
  const { status } = spawnSync(process.execPath, [join(root, 'scripts', 'install.mjs')], {
    stdio: ['inherit', 2, 'inherit'], // what npm prints must not end up in the JSON that a script reads
  });
  if (status !== 0) process.exit(1);
}

const { version } = JSON.parse(readFileSync(join(pinned, 'package.json'), 'utf8'));
if (process.versions.node === version) await import('../src/main.ts');
else handOver(join(pinned, 'bin', process.platform === 'win32' ? 'node.exe' : 'node'));

function handOver(node) {
  const child = spawn(node, [join(root, 'src', 'main.ts'), ...process.argv.slice(2)], { stdio: 'inherit' });
  process.on('SIGINT', () => {}); // the terminal tells the child as well: told twice, it would not wait for what is under way
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
}
