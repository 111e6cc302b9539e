import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, vi } from 'vitest';

const STOPPING = `
import { ManualClock } from '${join(import.meta.dirname, '../../kernel/clock.ts')}';
import { startTraining } from '${join(import.meta.dirname, 'process.ts')}';
import { TrainingLog } from '${join(import.meta.dirname, 'training-log.ts')}';

const of = { runId: 'run', stepKey: 'train', trainingRun: 'training' };
new TrainingLog({ commit: async () => [] }, new ManualClock(0), { trainingLogBytesMax: 1000 }, of);
const { identity } = startTraining({
  command: ['sleep', '600'], folder: '.', environment: process.env, niceness: 0, timeoutMs: 600_000,
  signal: new AbortController().signal, onOutput: () => {},
});
console.log((await identity).pid);
`;

it.skipIf(process.platform === 'win32')(
  'a training neither holds a process back that has been stopped, nor outlives it',
  async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', STOPPING], {
      timeout: 20_000,
    });
    const pid = Number(stdout);
    expect(pid).toBeGreaterThan(1);
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'), { timeout: 5_000 });
  },
  30_000,
);
