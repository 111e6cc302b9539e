import { Worker } from 'node:worker_threads';

export interface ScriptRequest {
  readonly code: string;
  readonly args: readonly string[];
  readonly env: { readonly [name: string]: string };
  readonly stdin: string;
  readonly timeoutMs: number;
  readonly memoryBytesMax: number;
  readonly outputBytesMax: number;
}

/** What the script came to, or why it was stopped: `time`, `output`, or what went wrong around it. */
export type ScriptAnswer =
  | { readonly code: number; readonly stdout: string; readonly stderr: string }
  | { readonly stopped: string };

/** The interpreter ends a script by itself; a thread that has not answered this long after is ended. */
const GRACE_MS = 2_000;

/**
 * Runs scripts of flows in QuickJS, each in a thread of its own: no I/O, no modules, no timers; time, memory and output are bounded. A thread costs about
 * 60 ms, which a script that computes for a flow can bear, and leaves nothing behind for the next.
 *
 * @example await runScript({ code: 'console.log(process.argv[2])', args: ['hello'], … }) // { code: 0, stdout: 'hello\n', stderr: '' }
 */
export async function runScript(request: ScriptRequest): Promise<ScriptAnswer> {
  const worker = new Worker(new URL('./script-worker.ts', import.meta.url), {
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 64 + Math.ceil(request.outputBytesMax / 2 ** 18) },
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<ScriptAnswer>((resolve) => {
      worker.once('online', () => {
        timer = setTimeout(() => resolve({ stopped: 'time' }), request.timeoutMs + GRACE_MS);
      });
      worker.once('message', resolve);
      worker.once('error', (error) => resolve({ stopped: `sandbox: ${String(error)}` }));
      worker.postMessage(request);
    });
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
