import type { Json } from '../../kernel/json.ts';
import type { ExtensionNode, StepNode } from '../language/flow.ts';
import type { Scope } from '../language/templates.ts';

/** Runs a list of an extension: what came out of it, and whether it was left by `exit`. */
export type RunList = (
  steps: readonly StepNode[],
  prefix: string,
  input: Json,
) => Promise<{ output: Json; exited: boolean }>;

/**
 * A step with its extensions: what `before` makes is not the step's input, and what `after` makes is not its output, so that an extension that logs changes
 * nothing; `exit` in `before` leaves the step out, and what was made there is its output (dsl-reference.md, "Extension").
 */
export async function withExtensions(
  extensions: readonly ExtensionNode[],
  key: string,
  input: Json,
  scope: Scope,
  perform: () => Json | Promise<Json>,
  run: RunList,
): Promise<Json> {
  const applied = extensions.filter(({ when }) => !when || when(scope));
  for (const { name, before } of applied) {
    const { output, exited } = await run(before, `${key}^before/${name}/`, input);
    if (exited) return output;
  }
  const output = await perform();
  for (const { name, after } of applied) await run(after, `${key}^after/${name}/`, output);
  return output;
}
