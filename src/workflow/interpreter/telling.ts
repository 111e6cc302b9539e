import type { Json } from '../../kernel/json.ts';
import { Abandoned, type FlowErrorBody, located, toFlowError } from '../catalog/flow-errors.ts';
import type { StepNode } from '../language/flow.ts';
import type { Branch } from './branch.ts';

/** Who is told what becomes of each step, of those too that only hold others; of a replay it is told again, and has to know what it knew. */
export interface StepListener {
  begun(step: StepNode, key: string, branch: Branch): void;
  completed(step: StepNode, key: string, output: Json): void;
  faulted(step: StepNode, key: string, error: FlowErrorBody): void;
  /** A `try` begins again, after its delay. */
  retried(step: StepNode, key: string): void;
}

/** Performs a step and tells of it. Of one that is given up nothing is told: whoever gave it up knows. */
export function told(
  listener: StepListener,
  step: StepNode,
  key: string,
  branch: Branch,
  perform: () => Json | Promise<Json>,
): Json | Promise<Json> {
  const fail = (error: unknown): never => {
    if (!(error instanceof Abandoned)) {
      const { body } = located(toFlowError(error, key), key, step.pointer);
      listener.faulted(step, key, body);
    }
    throw error;
  };
  listener.begun(step, key, branch);
  try {
    const result = perform();
    if (result instanceof Promise)
      return result.then((output) => {
        listener.completed(step, key, output);
        return output;
      }, fail);
    listener.completed(step, key, result);
    return result;
  } catch (error) {
    return fail(error);
  }
}
