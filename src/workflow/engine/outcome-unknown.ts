import { AiosError } from '../../kernel/errors.ts';
import { type FlowError, toFlowError } from '../catalog/flow-errors.ts';
import type { Entry } from './stored-run.ts';

/** A step that was being performed when its run was canceled: the run never saw how it ended. */
export function wasCutOff({ e }: Entry): boolean {
  return e?.code === 'workflow.outcome_unknown';
}

/** The call was cut off: whether the world changed is not known, and the journal says so. */
export function outcomeUnknown(detail: string, instance: string): FlowError {
  return toFlowError(
    new AiosError('workflow.outcome_unknown', { detail: `Given up while it was under way: ${detail}` }),
    instance,
  );
}
