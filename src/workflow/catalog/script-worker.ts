// Runs scripts in QuickJS for script-sandbox.ts, one at a time: an interpreter in WebAssembly, without any I/O of its own.
import { parentPort } from 'node:worker_threads';
import variant from '@jitl/quickjs-wasmfile-release-sync';
import {
  newQuickJSWASMModuleFromVariant,
  type QuickJSContext,
  type QuickJSSyncVariant,
} from 'quickjs-emscripten-core';
import type { ScriptAnswer, ScriptRequest } from './script-sandbox.ts';

/** Deep recursion is told as an error of the script, before the thread's own stack is used up. */
const STACK_BYTES = 256 * 1024;
/** What scripts find of the host: what they write, their arguments and environment (dsl-reference.md, "Script Process"). */
const PRELUDE = `((write, given) => {
  const text = (value) => {
    if (typeof value === 'string') return value;
    const json = typeof value === 'object' && !(value instanceof Error) ? JSON.stringify(value) : undefined;
    return json === undefined ? String(value) : json;
  };
  const line = (to) => (...values) => write(to, values.map(text).join(' ') + '\\n');
  const { args, env, stdin } = JSON.parse(given);
  globalThis.console = { log: line(1), info: line(1), debug: line(1), warn: line(2), error: line(2) };
  globalThis.process = {
    argv: ['js', 'script', ...args], env, stdin,
    stdout: { write: (value) => write(1, text(value)) }, stderr: { write: (value) => write(2, text(value)) },
    exit: (code = 0) => { throw { exitCode: Number(code) }; },
  };
})`;

const quickjs = await newQuickJSWASMModuleFromVariant(variant as unknown as QuickJSSyncVariant);

function run(request: ScriptRequest): ScriptAnswer {
  const runtime = quickjs.newRuntime();
  const deadline = performance.now() + request.timeoutMs;
  let late = false;
  runtime.setMemoryLimit(request.memoryBytesMax);
  runtime.setMaxStackSize(STACK_BYTES);
  runtime.setInterruptHandler(() => {
    late = performance.now() > deadline;
    return late;
  });
  const context = runtime.newContext();
  const output = { 1: '', 2: '' };
  let full = false;
  try {
    const write = context.newFunction('write', (to, value) => {
      output[context.getNumber(to) as 1 | 2] += context.getString(value);
      full ||= output[1].length + output[2].length > request.outputBytesMax;
      return full ? { error: context.newError('too much output') } : context.undefined;
    });
    const { args, env, stdin } = request;
    const given = context.newString(JSON.stringify({ args, env, stdin }));
    const prelude = context.unwrapResult(context.evalCode(PRELUDE));
    context.unwrapResult(context.callFunction(prelude, context.undefined, write, given)).dispose();
    const code = evaluate(context, request.code, output);
    if (late) return { stopped: 'time' };
    return full ? { stopped: 'output' } : { code, stdout: output[1], stderr: output[2] };
  } catch (error) {
    return { stopped: late ? 'time' : full ? 'output' : `sandbox: ${String(error)}` };
  }
  // The runtime is not freed: what a script left behind may not be freed in order. The thread ends with each script that was stopped.
}

/** The exit code: 0, what `process.exit` was given, 1 after an error that nothing caught. */
function evaluate(context: QuickJSContext, code: string, output: { 1: string; 2: string }): number {
  const result = context.evalCode(`(() => {\n${code}\n})()`, 'script');
  const jobs = result.error ? undefined : context.runtime.executePendingJobs();
  const error = result.error ?? jobs?.error;
  if (!error) return 0;
  const thrown = context.dump(error) as {
    exitCode?: number;
    name?: string;
    message?: string;
    stack?: string;
  };
  if (typeof thrown?.exitCode === 'number') return thrown.exitCode;
  output[2] += `${thrown?.name ?? 'Error'}: ${thrown?.message ?? String(thrown)}\n${thrown?.stack ?? ''}`;
  return 1;
}

parentPort!.on('message', (request: ScriptRequest) => parentPort!.postMessage(run(request)));
