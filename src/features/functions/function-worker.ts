// Runs the functions of one on-demand view in QuickJS for function-thread.ts: an interpreter in WebAssembly, without any I/O of its own.
import { stripTypeScriptTypes } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import variant from '@jitl/quickjs-wasmfile-release-sync';
import {
  newQuickJSWASMModuleFromVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSSyncVariant,
} from 'quickjs-emscripten-core';
import type { FunctionAnswer, FunctionModule, FunctionQuestion } from './function-thread.ts';

/** Deep recursion is told as an error of the function, before the thread's own stack is used up. */
const STACK_BYTES = 256 * 1024;
/**
 * What would make a vector depend on when and where it is computed is not there: training computes it again, years later. A function sees the row alone, and
 * cannot change it for the next one. The names of the functions and what they gave pass as JSON: 15 µs a row.
 */
const PRELUDE = `((module) => {
  const impure = (what) => { throw new Error(what + ' would differ between training and serving: use nowMs'); };
  Math.random = () => impure('Math.random()');
  const Now = Date;
  globalThis.Date = new Proxy(Now, {
    construct: (_, args) => args.length === 0 ? impure('new Date()') : new Now(...args),
    apply: () => impure('Date()'),
    get: (target, name) => name === 'now' ? () => impure('Date.now()') : target[name],
  });
  Now.prototype.constructor = globalThis.Date;
  const names = (json) => JSON.parse(json).filter((name) => typeof module[name] !== 'function').join(', ');
  const compute = (functions, json) => {
    const { features, request, nowMs } = JSON.parse(json);
    const input = Object.freeze({ features: Object.freeze(features), request: Object.freeze(request), nowMs });
    return JSON.stringify(JSON.parse(functions).map((name) => {
      try {
        return module[name](input) ?? null;
      } catch (error) {
        throw Object.assign(new Error(name + ': ' + (error?.message ?? error)), { stack: error?.stack });
      }
    }));
  };
  return [names, compute];
})`;

/**
 * The interpreter asks this thread's `Date` for the zone of the machine. Here it is UTC: another machine, or the same one in summer, would compute other
 * hours of the day.
 */
function liveInUtc(): void {
  const dates = Date.prototype as unknown as Record<string, unknown>;
  for (const part of ['Date', 'Day', 'FullYear', 'Hours', 'Milliseconds', 'Minutes', 'Month', 'Seconds'])
    dates[`get${part}`] = dates[`getUTC${part}`];
  dates.getTimezoneOffset = () => 0;
}

liveInUtc();
const quickjs = await newQuickJSWASMModuleFromVariant(variant as unknown as QuickJSSyncVariant);
const { code, file, rowMs, memoryBytesMax } = workerData as FunctionModule;

class Sandbox {
  readonly #context: QuickJSContext;
  readonly #missing: QuickJSHandle;
  readonly #compute: QuickJSHandle;
  #deadlineMs = 0;
  #isLate = false;

  constructor() {
    const runtime = quickjs.newRuntime();
    runtime.setMemoryLimit(memoryBytesMax);
    runtime.setMaxStackSize(STACK_BYTES);
    runtime.setInterruptHandler(() => {
      this.#isLate = cpuMs() > this.#deadlineMs;
      return this.#isLate;
    });
    this.#context = runtime.newContext();
    const script = stripTypeScriptTypes(code);
    const [missing, compute] = this.#within(() => {
      const module = this.#context.evalCode(script, file, { type: 'module' });
      const handle = this.#context.unwrapResult(module);
      const prelude = this.#context.unwrapResult(this.#context.evalCode(PRELUDE));
      const pair = this.#context.unwrapResult(
        this.#context.callFunction(prelude, this.#context.undefined, handle),
      );
      return [this.#context.getProp(pair, 0), this.#context.getProp(pair, 1)];
    });
    this.#missing = missing!;
    this.#compute = compute!;
  }

  /** The names that the code does not export as functions, joined by commas. */
  missing(functions: readonly string[]): string {
    return this.#within(() => this.#call(this.#missing, JSON.stringify(functions)));
  }

  compute(functions: string, row: string): string {
    return this.#within(() => this.#call(this.#compute, functions, row));
  }

  #call(called: QuickJSHandle, ...texts: string[]): string {
    const context = this.#context;
    const given = texts.map((text) => context.newString(text));
    const result = context.callFunction(called, context.undefined, ...given);
    for (const each of given) each.dispose();
    const handle = context.unwrapResult(result);
    const answer = context.getString(handle);
    handle.dispose();
    return answer;
  }

  /** @throws Stopped when the time is over, the function's own error otherwise */
  #within<T>(work: () => T): T {
    this.#deadlineMs = cpuMs() + rowMs;
    this.#isLate = false;
    try {
      return work();
    } catch (error) {
      const { message } = error as Error;
      if (this.#isLate) throw new Stopped(`took longer than ${rowMs} ms for a row (featureFunctionMs)`);
      if (/(^|: )out of memory$/.test(message))
        throw new Stopped(`took more than ${memoryBytesMax} bytes of memory (featureFunctionBytesMax)`);
      throw error;
    }
  }
}

/** What this thread has computed, and not how long it waited for a processor: a busy machine stops no function. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

class Stopped extends Error {}

let sandbox: Sandbox | undefined;
let broken: unknown;
try {
  sandbox = new Sandbox();
} catch (error) {
  broken = error;
}

function answerTo({ functions, rows }: FunctionQuestion): FunctionAnswer {
  let row = 0;
  try {
    if (!sandbox) throw broken;
    if (rows.length === 0) return { missing: sandbox.missing(functions) };
    const names = JSON.stringify(functions);
    const values: string[] = [];
    for (; row < rows.length; row++) values.push(sandbox.compute(names, rows[row]!));
    return { values };
  } catch (error) {
    const { message } = error as Error;
    return error instanceof Stopped ? { stopped: message } : { failed: message, row };
  }
}

parentPort!.on('message', (question: FunctionQuestion) => parentPort!.postMessage(answerTo(question)));
