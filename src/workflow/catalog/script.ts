import { AiosError } from '../../kernel/errors.ts';
import type { Json } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { CallPrimitive } from './primitive.ts';
import { processOutput, RETURN } from './process-output.ts';
import { runScript } from './script-sandbox.ts';

/**
 * `run: script` (dsl-reference.md, "Script Process"): JavaScript in a sandbox, with `console`, `process.argv`, `.env`, `.stdin` (the text) and `.exit`.
 * A script that exits with another code than 0 fails the step, unless `return` asks for the code.
 */
export function scriptPrimitive(limits: Limits): CallPrimitive {
  return {
    name: 'script',
    version: 1,
    kind: 'costly',
    inputSchema: {
      type: 'object',
      properties: {
        language: { enum: ['js', 'javascript'] },
        code: { type: 'string', minLength: 1 },
        stdin: { type: 'string' },
        arguments: { type: 'array', items: { type: ['string', 'number', 'boolean'] } },
        environment: { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } },
        return: { enum: [...RETURN] },
      },
      required: ['language', 'code'],
      additionalProperties: false,
    },
    async run({ code, stdin = '', arguments: args = [], environment = {}, return: what = 'stdout' }) {
      const { scriptMs, scriptBytesMax, scriptOutputBytesMax } = limits;
      const answer = await runScript({
        code: code as string,
        args: (args as Json[]).map(String),
        env: Object.fromEntries(
          Object.entries(environment as object).map(([name, value]) => [name, String(value)]),
        ),
        stdin: stdin as string,
        timeoutMs: scriptMs,
        memoryBytesMax: scriptBytesMax,
        outputBytesMax: scriptOutputBytesMax,
      });
      if ('stopped' in answer) throw failed(stopped(answer.stopped, limits));
      return { output: processOutput(String(what), answer) };
    },
  };
}

function stopped(why: string, { scriptMs, scriptOutputBytesMax }: Limits): string {
  if (why === 'time') return `It did not end within ${scriptMs} ms (scriptMs).`;
  if (why === 'output')
    return `It wrote more than ${scriptOutputBytesMax} characters (scriptOutputBytesMax).`;
  return why;
}

function failed(detail: string): AiosError {
  return new AiosError('workflow.script_failed', { detail });
}
