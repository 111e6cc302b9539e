import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { AiosError } from '../../kernel/errors.ts';
import { LIMITS } from '../../kernel/limits.ts';
import type { RunJq } from './jq.ts';

export interface JqChannel {
  readonly port: MessagePort;
  /** One cell: 0 while an answer is awaited. */
  readonly flag: Int32Array<SharedArrayBuffer>;
}

export interface JqRequest {
  readonly program: string;
  readonly input: string;
}

type JqAnswer = ReturnType<RunJq> | { readonly broken: string };

const expressionMs = LIMITS.expressionMs.value;
/** Loading the interpreter takes 50 ms; a machine under load gets this much. */
const LOAD_MS = 30_000;

/**
 * jq in a thread of its own, called and waited for: the interpreter of flows takes no step between a question and its answer, so that a replay is exact,
 * and a program that does not end is ended (`expressionMs`). One thread for a process, begun at the first program.
 */
class JqThread {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #flag = new Int32Array(new SharedArrayBuffer(4));

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(new URL('./jq-worker.ts', import.meta.url), {
      workerData: { port: port2, flag: this.#flag } satisfies JqChannel,
      transferList: [port2],
      execArgv: [],
    });
    this.#worker.unref();
    this.#port.unref();
    this.#wait(LOAD_MS);
  }

  /** @throws AiosError `expression.failed` when the program took too long or broke the interpreter; the thread is over then */
  run(request: JqRequest): ReturnType<RunJq> {
    Atomics.store(this.#flag, 0, 0);
    this.#port.postMessage(request);
    this.#wait(expressionMs);
    const answer = receiveMessageOnPort(this.#port)?.message as JqAnswer;
    if (!('broken' in answer)) return answer;
    throw this.#over(`the interpreter gave up: ${answer.broken}`);
  }

  #wait(timeoutMs: number): void {
    if (!isSet(this.#flag, timeoutMs)) throw this.#over(`no answer within ${timeoutMs} ms (expressionMs)`);
  }

  #over(detail: string): AiosError {
    void this.#worker.terminate();
    this.#port.close();
    return new AiosError('expression.failed', { detail });
  }
}

/**
 * Waits until the cell is no longer 0; false when that takes too long. The other thread sets it and then wakes up whoever waits: one that saw the answer
 * before it slept is woken by that while it waits for the next, and has to go on waiting.
 */
export function isSet(flag: Int32Array<SharedArrayBuffer>, timeoutMs: number): boolean {
  const untilMs = performance.now() + timeoutMs;
  while (Atomics.load(flag, 0) === 0) {
    const leftMs = untilMs - performance.now();
    if (leftMs <= 0) return false;
    Atomics.wait(flag, 0, 0, leftMs);
  }
  return true;
}

let thread: JqThread | undefined;

/** @throws AiosError `expression.failed` when the program took longer than `expressionMs`, or more memory than there is */
export const runJq: RunJq = (program, input) => {
  try {
    thread ??= new JqThread();
    return thread.run({ program, input });
  } catch (error) {
    thread = undefined;
    throw error;
  }
};
