import type { Json, JsonObject } from '../../kernel/json.ts';
import type { StepNode } from '../language/flow.ts';
import type { Scope } from '../language/templates.ts';

/**
 * The arguments of a call. Where an operator gave others, those are they; but a secret goes where the flow sends it, and nowhere else: the members that hold one
 * and the address stay those of the flow (decisions/0011).
 */
export function argumentsOf(
  step: StepNode & { type: 'call' },
  scope: Scope,
  edited: Json | undefined,
): JsonObject {
  if (edited === undefined) return step.with(scope) as JsonObject;
  if (!step.pinned) return edited as JsonObject;
  const own = step.with(scope) as JsonObject;
  const given = { ...own, ...(edited as JsonObject) };
  for (const name of step.pinned)
    if (own[name] === undefined) delete given[name];
    else given[name] = own[name];
  return given;
}
