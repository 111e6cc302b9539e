import { Abandoned, canceledError, FlowError } from '../catalog/flow-errors.ts';
import { type Flow, stepsById, type TryNode } from '../language/flow.ts';
import type { Scope } from '../language/templates.ts';
import type { Branch } from './branch.ts';
import type { Journal } from './journal.ts';
import { catches } from './retry.ts';

/**
 * Whether a `try` says what to do when the run is canceled: only one that names it, by the error's type or status or by a condition of its own. A
 * `catch` that takes every error is a way to go on, and a canceled run does not go on: it must not ask a person or pay because of that.
 */
function namesCancellation({ filter, catchWhen }: TryNode): boolean {
  return filter?.type !== undefined || filter?.status !== undefined || catchWhen !== undefined;
}

const known = new WeakMap<Flow, boolean>();

/** Whether a flow may have something to clean up when it is canceled: one that has not ends at once. */
export function mayCleanUp(flow: Flow): boolean {
  let may = known.get(flow);
  if (may === undefined) {
    may = [...stepsById(flow).values()].some((step) => step.type === 'try' && namesCancellation(step));
    known.set(flow, may);
  }
  return may;
}

/**
 * What becomes of a `try` whose body was given up: when the run is canceled and its `catch` names that, its steps are run, from the inside out. A
 * fault in them does not keep the others from running; it is told when the run ends.
 */
export async function cleanUp(
  step: TryNode,
  key: string,
  vars: Scope,
  journal: Journal,
  run: (vars: Scope, branch: Branch) => Promise<unknown>,
): Promise<void> {
  const branch = journal.cleanUp();
  if (!branch || !namesCancellation(step)) return;
  const canceled = canceledError(key);
  const scope = { ...vars, [step.as]: canceled.body };
  try {
    if (catches(step, canceled, scope)) await run(scope, branch);
  } catch (error) {
    if (error instanceof Abandoned || !(error instanceof FlowError)) throw error;
    journal.cleanUpFailed(error);
  }
}
