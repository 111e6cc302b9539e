import { AiosError } from '../../kernel/errors.ts';
import type { Json } from '../../kernel/json.ts';

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const RETURNS: { readonly [what: string]: (ended: Ended) => Json } = {
  stdout: ({ stdout }) => stdout,
  stderr: ({ stderr }) => stderr,
  code: ({ code }) => code,
  all: ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  none: () => null,
};

/** What `return` may ask for. */
export const RETURN: readonly string[] = Object.keys(RETURNS);

/**
 * The output of a process by `return` (dsl-reference.md, "Run"). One that exited with another code than 0 fails its step, unless the flow asks for the code or
 * for what it wrote as errors.
 *
 * @throws AiosError `workflow.script_failed`
 */
export function processOutput(what: string, ended: Ended): Json {
  const tolerant = what === 'code' || what === 'all' || what === 'stderr';
  if (ended.code !== 0 && !tolerant)
    throw new AiosError('workflow.script_failed', {
      detail: `It exited with ${ended.code}: ${ended.stderr.slice(0, 1_000)}`,
    });
  return RETURNS[what]!(ended);
}
