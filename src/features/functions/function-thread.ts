import { Worker } from 'node:worker_threads';
import { AiosError } from '../../kernel/errors.ts';

/** What a thread is begun with: the code of a view, and what it may take. */
export interface FunctionModule {
  /** TypeScript: types are taken away, not checked. */
  readonly code: string;
  /** Its name in messages. */
  readonly file: string;
  readonly rowMs: number;
  readonly memoryBytesMax: number;
}

export interface FunctionQuestion {
  readonly functions: readonly string[];
  /** Each the JSON of `{ features, request, nowMs }`; without any it is asked which of the functions are not there. */
  readonly rows: readonly string[];
}

/** Of each row the JSON of a list of values; or what went wrong, and with which row. */
export type FunctionAnswer =
  | { readonly values: readonly string[] }
  | { readonly missing: string }
  | { readonly failed: string; readonly row: number }
  | { readonly stopped: string };

/** Loading the interpreter takes 60 ms; a machine under load gets this much. The interpreter ends a function by itself: this is for one that it could not end. */
const GRACE_MS = 30_000;

/**
 * The functions of one on-demand view, in a thread of their own: one that does not end holds up its own callers, and nobody else. No I/O, no modules, no
 * clock; time and memory are bounded.
 *
 * @example await new FunctionThread({ code: 'export const twice = ({ features }) => 2 * features.x', … }).ask({ functions: ['twice'], rows: ['{"features":{"x":2}}'] })
 */
export class FunctionThread {
  readonly #worker: Worker;
  readonly #rowMs: number;
  readonly #waiting: ((answer: FunctionAnswer) => void)[] = [];
  #isOver = false;
  #isLast = false;

  constructor(module: FunctionModule) {
    this.#rowMs = module.rowMs;
    this.#worker = new Worker(new URL('./function-worker.ts', import.meta.url), {
      workerData: module,
      execArgv: ['--disable-warning=ExperimentalWarning'], // of stripTypeScriptTypes, which is a release candidate in Node 24
      env: {},
    });
    this.#worker.on('message', (answer: FunctionAnswer) => this.#waiting.shift()!(answer));
    this.#worker.on('error', (error) => this.#end(String(error)));
    this.#worker.on('exit', () => this.#end('its thread ended'));
    this.#worker.unref();
  }

  /** Whether it answers no more: its functions were stopped, or it broke. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** @throws AiosError `features.function_failed`, `features.function_stopped`: the thread is over then */
  async ask(question: FunctionQuestion): Promise<Exclude<FunctionAnswer, { stopped: string }>> {
    if (this.#isOver) throw stopped('its thread has ended');
    this.#worker.ref();
    let timer: NodeJS.Timeout | undefined;
    const answer = await new Promise<FunctionAnswer>((resolve) => {
      const boundMs = GRACE_MS + this.#rowMs * (1 + question.rows.length);
      timer = setTimeout(
        () => this.#end(`no answer within ${boundMs} ms`),
        boundMs * (1 + this.#waiting.length),
      );
      this.#waiting.push(resolve);
      this.#worker.postMessage(question);
    });
    clearTimeout(timer);
    if (this.#waiting.length === 0) {
      this.#worker.unref();
      if (this.#isLast) this.#end('');
    }
    if (!('stopped' in answer)) return answer;
    this.#end(answer.stopped); // what it left half done is not called again
    throw stopped(answer.stopped);
  }

  /** Ends it once what it was asked is answered. */
  close(): void {
    this.#isLast = true;
    if (this.#waiting.length === 0) this.#end('');
  }

  /** Ends it now: who waits is told so. */
  end(): void {
    this.#end('the process stops');
  }

  #end(reason: string): void {
    this.#isOver = true;
    for (const answer of this.#waiting.splice(0)) answer({ stopped: reason });
    void this.#worker.terminate();
  }
}

function stopped(detail: string): AiosError {
  return new AiosError('features.function_stopped', { detail });
}
