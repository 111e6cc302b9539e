import type { Json, JsonObject } from '../../kernel/json.ts';
import { checkData } from '../catalog/flow-errors.ts';
import type { StepNode } from '../language/flow.ts';
import type { Scope } from '../language/templates.ts';
import { argumentsOf } from './arguments.ts';
import type { Branch } from './branch.ts';
import type { Journal } from './journal.ts';

/** What `foreach` makes of the n-th item, whether the list inside was left by `end`, and the context after it. */
export type EachItem = (
  item: Json,
  index: number,
) => Promise<{ output: Json; ended: boolean; context: Json }>;

/**
 * A subscription whose messages are iterated while they come (dsl-reference.md, "AsyncAPI Subscription", `foreach`): each is recorded when its turn comes and done with before the next one, and what the
 * iteration makes of them is the output. `while` and `until` are asked after each, of the outputs so far and the context then.
 */
export async function consume(
  step: StepNode & { type: 'call' },
  key: string,
  scope: Scope,
  journal: Journal,
  branch: Branch,
  each: EachItem,
): Promise<Json[]> {
  const given = argumentsOf(step, scope, journal.edited(key));
  checkData(step.validate, given, 'with', key);
  const { amount } = (given.subscription as JsonObject).consume as { amount?: number };
  const stream = journal.messages(key, step.primitive, given, branch);
  const outputs: Json[] = [];
  try {
    for (let n = 0; n !== amount; n++) {
      const message = await stream.next(n);
      if (message === undefined) break;
      const { output, ended, context } = await each(message, n);
      outputs.push(output);
      if (ended || step.foreach!.isOver({ ...scope, output: outputs, context })) break;
    }
  } finally {
    stream.close();
  }
  stream.consumed(outputs);
  return outputs;
}
