import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { constants, setPriority } from 'node:os';

export interface TrainingCommand {
  readonly command: readonly string[];
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly niceness: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  onOutput(stream: 'stdout' | 'stderr', text: string): void;
}

export type Ended = { readonly code: number } | { readonly stopped: 'time' | 'canceled' | 'missing' };

/** A process by its id and when it began: ids are given again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** In ticks since the machine began; nothing where the system does not tell. */
  readonly startedTicks: string | null;
}

const KILL_MS = 5_000; // from the friendly signal to the other
const PIPES_MS = 500; // what left the group may hold the pipes for ever

/** Groups under way: none outlives this process where it ends in order. */
const running = new Set<number>();
process.once('exit', () => {
  for (const group of running) killGroup(group, 'SIGKILL');
});

/**
 * Runs a command as the leader of a group, which ends as a whole: first asked (SIGTERM), after 5 s killed.
 *
 * @returns when it has ended; `identity` as soon as it has begun
 */
export function startTraining(wanted: TrainingCommand): {
  identity: Promise<ProcessIdentity | undefined>;
  ended: Promise<Ended>;
} {
  const [command = '', ...args] = wanted.command;
  const child = spawn(command, args, {
    cwd: wanted.folder,
    env: { ...wanted.environment },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) return { identity: Promise.resolve(undefined), ended: outcome(child, wanted) };
  running.add(pid);
  letGo(child);
  try {
    setPriority(pid, wanted.niceness);
  } catch {
    // it has ended already, or the system gives no priorities
  }
  const identity = ticksOf(pid).then((startedTicks) => ({ pid, startedTicks }));
  return { identity, ended: outcome(child, wanted) };
}

/** A process that has been stopped ends, and the command with it: neither the command nor what it writes holds it back. */
function letGo(child: ChildProcess): void {
  child.unref();
  for (const stream of [child.stdout, child.stderr]) (stream as Socket | null)?.unref();
}

function outcome(child: ChildProcess, { timeoutMs, signal, onOutput }: TrainingCommand): Promise<Ended> {
  return new Promise((done, fail) => {
    const { pid } = child;
    let stopped: 'time' | 'canceled' | undefined;
    let killing: NodeJS.Timeout | undefined;
    const stop = (why: 'time' | 'canceled') => {
      if (stopped || pid === undefined) return;
      stopped = why;
      killGroup(pid, 'SIGTERM');
      killing = setTimeout(() => killGroup(pid, 'SIGKILL'), KILL_MS);
    };
    const timer = setTimeout(() => stop('time'), timeoutMs).unref();
    const cancel = () => stop('canceled');
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    for (const name of ['stdout', 'stderr'] as const)
      child[name]?.setEncoding('utf8').on('data', (text: string) => onOutput(name, text));
    const settle = () => {
      clearTimeout(timer);
      clearTimeout(killing);
      signal.removeEventListener('abort', cancel);
      if (pid === undefined) return;
      killGroup(pid, 'SIGKILL'); // what the command left behind of its group ends with it
      running.delete(pid);
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
        done(stopped ? { stopped } : { code: code ?? 128 + (constants.signals[by!] ?? 0) });
      };
      const late = setTimeout(finish, PIPES_MS);
      child.once('close', finish);
    });
  });
}

/** Ends what is left of a command that an earlier process of this machine began. */
export async function endLeftover({ pid, startedTicks }: ProcessIdentity): Promise<void> {
  if (startedTicks === null || (await ticksOf(pid)) !== startedTicks) return; // another process has the id by now
  killGroup(pid, 'SIGKILL');
}

async function ticksOf(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The command, in parentheses, may hold anything; the 22nd field is the 20th after it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function killGroup(group: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-group, signal);
  } catch {
    // it has ended
  }
}
