import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Json } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';

/** Where commands are looked for. */
export const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** What may be an argument, or the value of a variable. */
export const SCALAR = { type: ['string', 'number', 'boolean'] };

export function bounds({ processMs, processOutputBytesMax }: Limits) {
  return { timeoutMs: processMs, outputBytesMax: processOutputBytesMax };
}

export function textsOf(list: Json | undefined): string[] {
  return Array.isArray(list) ? list.map(String) : [];
}

export function environmentOf(variables: Json | undefined): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries((variables ?? {}) as object).map(([name, value]) => [name, String(value)]),
  );
}

export interface ProcessRequest {
  readonly command: string;
  readonly args: readonly string[];
  /** All that the process has of an environment. */
  readonly env: { readonly [name: string]: string };
  readonly stdin: string;
  readonly timeoutMs: number;
  readonly outputBytesMax: number;
  readonly signal: AbortSignal;
}

/** What the process came to, or why it was ended: `time`, `output`, `canceled`; `missing` when there is no such command. */
export type ProcessAnswer =
  | { readonly code: number; readonly stdout: string; readonly stderr: string }
  | { readonly stopped: 'time' | 'output' | 'canceled' | 'missing' };

const PIPES_MS = 500;
/** Groups of processes under way: none outlives this process. */
const running = new Set<number>();
process.once('exit', () => {
  for (const group of running) kill(group);
});

/**
 * Runs a command in a folder of its own, which is removed after, as the leader of a group that is killed as a whole.
 *
 * @example await runProcess({ command: '/bin/sh', args: ['-c', 'echo hi'], env: {}, stdin: '', … }) // { code: 0, stdout: 'hi\n', stderr: '' }
 */
export async function runProcess(request: ProcessRequest): Promise<ProcessAnswer> {
  if (request.signal.aborted) return { stopped: 'canceled' };
  const cwd = await mkdtemp(join(tmpdir(), 'aios-run-'));
  try {
    return await ended(request, cwd);
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}

function ended(
  { command, args, env, stdin, timeoutMs, outputBytesMax, signal }: ProcessRequest,
  cwd: string,
) {
  return new Promise<ProcessAnswer>((done, fail) => {
    const child = spawn(command, [...args], { cwd, env: { ...env }, detached: true, stdio: 'pipe' });
    const { pid } = child;
    if (pid !== undefined) running.add(pid);
    let stopped: Extract<ProcessAnswer, { stopped: string }>['stopped'] | undefined;
    const stop = (why: typeof stopped) => {
      stopped ??= why;
      if (pid !== undefined) kill(pid);
    };
    const timer = setTimeout(() => stop('time'), timeoutMs);
    const cancel = () => stop('canceled');
    signal.addEventListener('abort', cancel, { once: true });
    const read = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    let bytes = 0;
    for (const name of ['stdout', 'stderr'] as const)
      child[name].on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > outputBytesMax) stop('output');
        else read[name].push(chunk);
      });
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', cancel);
      // What the command left behind of its group ends with it.
      if (pid !== undefined) kill(pid);
      if (pid !== undefined) running.delete(pid);
    };
    child.once('error', (error: NodeJS.ErrnoException) => {
      settle();
      if (error.code === 'ENOENT') done({ stopped: 'missing' });
      else fail(error);
    });
    child.once('exit', (code, by) => {
      settle();
      const finish = () => {
        clearTimeout(late);
        const text = (name: 'stdout' | 'stderr') => Buffer.concat(read[name]).toString('utf8');
        if (stopped) done({ stopped });
        else
          done({
            code: code ?? 128 + (constants.signals[by!] ?? 0),
            stdout: text('stdout'),
            stderr: text('stderr'),
          });
      };
      // What left the group may hold the pipes for ever.
      const late = setTimeout(finish, PIPES_MS);
      child.once('close', finish);
    });
    child.stdin.on('error', () => {}); // a command need not read what it is given
    child.stdin.end(stdin);
  });
}

function kill(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // it has ended
  }
}
