import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A process of the bench that answers one message with one message. */
export class Side<Command, Report> {
  readonly #child: ChildProcess;

  constructor(file: string, ...args: readonly string[]) {
    this.#child = fork(join(import.meta.dirname, file), args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** What it says by itself when it has started. */
  async first(): Promise<Report> {
    return (await this.#next()) as Report;
  }

  async ask(command: Command): Promise<Report> {
    const answer = this.#next();
    this.#child.send(command as object);
    return (await answer) as Report;
  }

  stop(): void {
    this.#child.kill();
  }

  async #next(): Promise<unknown> {
    const ended = new AbortController();
    const exit = once(this.#child, 'exit', ended).then(([code]) => {
      throw new Error(`a process of the bench ended with ${code}`);
    });
    exit.catch(() => {});
    try {
      return (await Promise.race([once(this.#child, 'message', ended), exit]))[0];
    } finally {
      ended.abort();
    }
  }
}

interface ProcessUse {
  readonly cpuMs: number;
  readonly replica: boolean;
}

/** Of a process and all below it, by process id (Linux). */
export async function usesOf(
  pid: number,
  into = new Map<number, ProcessUse>(),
): Promise<Map<number, ProcessUse>> {
  try {
    const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]!.split(' ');
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    const cpuMs = (Number(fields[11]) + Number(fields[12])) * 10; // clock ticks of 10 ms
    into.set(pid, { cpuMs, replica: command.includes('replica.ts') });
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    for (const child of children.trim().split(' ').filter(Boolean)) await usesOf(Number(child), into);
  } catch {
    // it has ended meanwhile
  }
  return into;
}

export interface ServerUse {
  readonly allMs: number;
  readonly frontMs: number;
  readonly replicasMs: number;
}

/** CPU time of a server so far: its main process, its replicas, and all of its processes together. */
export async function serverUse(pid: number): Promise<ServerUse> {
  const uses = await usesOf(pid);
  const sum = (pick: (use: ProcessUse, id: number) => boolean) =>
    [...uses].reduce((total, [id, use]) => total + (pick(use, id) ? use.cpuMs : 0), 0);
  return {
    allMs: sum(() => true),
    frontMs: sum((_, id) => id === pid),
    replicasMs: sum(({ replica }) => replica),
  };
}

export async function replicasOf(pid: number): Promise<number[]> {
  return [...(await usesOf(pid))].filter(([, { replica }]) => replica).map(([id]) => id);
}

/** Resident memory in MB. */
export async function residentMb(pid: number): Promise<number> {
  const pages = Number((await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ')[1]);
  return (pages * 4096) / 1024 ** 2;
}
