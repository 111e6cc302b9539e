import type { FlowErrorBody } from '../catalog/flow-errors.ts';
import { withoutAttempts } from '../language/flow.ts';
import { CANCELED } from './execution.ts';
import { SENT } from './idempotency.ts';
import { PHASE } from './lifecycle-events.ts';
import { isOpenBegin } from './lifecycle-steps.ts';
import type { Entry } from './stored-run.ts';

/** What a journal keeps when its run goes back to a step, and what is done anew. */
export interface Rewound {
  /** The key of the step; empty when the run goes on from everything that it has. */
  readonly step: string;
  readonly kept: readonly Entry[];
  readonly dropped: readonly Entry[];
}

/**
 * Takes a journal back to before a step began. What was recorded before that moment is kept, in all branches; the step and what came after it is not, nor is
 * what was under way: open waits, effects of unknown outcome, and the clocks, limits and races of the blocks around the step, which begin again.
 *
 * With a step inside a `try` that was tried several times the first attempt is meant: its retries count anew.
 *
 * @returns undefined when the run never came to the step
 * @example rewind(entries, 'pay')?.kept // what the run had when it came to “pay”
 */
export function rewind(entries: readonly Entry[], step: string): Rewound | undefined {
  const first = withoutAttempts(step);
  for (const key of first === step ? [step] : [first, step]) {
    const at = entries.findIndex(({ k }) => isOf(k, key));
    if (at !== -1) return split(entries, at, key);
  }
  return undefined;
}

/** Takes the journal of an ended run back to where it failed or was canceled. */
export function rewindToEnd(entries: readonly Entry[], error: FlowErrorBody | undefined): Rewound {
  const canceled = entries.findIndex(({ k }) => k === CANCELED);
  if (canceled !== -1) return split(entries, canceled, '');
  const step = error && failedStep(entries, error);
  return (step && rewind(entries, step)) || split(entries, entries.length, '');
}

/** The step whose recorded error ended the run; of a time limit, the step around which it was. */
function failedStep(entries: readonly Entry[], error: FlowErrorBody): string | undefined {
  // The journal and the flow name its place in words of their own.
  const text = (body: FlowErrorBody) => JSON.stringify({ ...body, instance: undefined });
  const told = text(error);
  const failed = entries.findLast(({ e }) => e !== undefined && text(e) === told);
  if (failed) return failed.k;
  if (error.type.endsWith('/timeout')) {
    const limit = entries.findLast(({ k, n }) => OF_LIMITS.test(k) && n === 1);
    if (limit) return limit.k.replace(OF_LIMITS, '');
  }
  return undefined;
}

/** Whether a key is that of the step or of something inside it. */
function isOf(key: string, step: string): boolean {
  if (!key.startsWith(step)) return false;
  const next = key[step.length];
  return next === undefined || next === '/' || next === '[' || next === '^';
}

/** Keys of the interpreter itself about a block: its clock, its time limit, who won. */
const OF_BLOCKS = /\^(?:(?:timeout|limit)(?:\^(?:from|due))?|from|due|started)$/;
/** Who won against a time limit: of a step, or of one attempt of a `try`. */
const OF_LIMITS = /\^(?:timeout|limit)$/;

function split(entries: readonly Entry[], cut: number, step: string): Rewound {
  const before = entries.slice(0, cut).filter((entry) => !isOver(entry, step));
  const keys = new Set(before.map(({ k }) => k));
  const kept = before.filter(({ k }) => {
    if (isOpenBegin(k, keys)) return false;
    if (k.endsWith('^open')) return keys.has(k.slice(0, -'^open'.length));
    // A clock whose wait or time limit has not come to an end.
    if (!k.endsWith('^from')) return true;
    const owner = k.slice(0, -'^from'.length);
    return keys.has(owner) || keys.has(`${owner}^timeout`);
  });
  const still = new Set(kept);
  return { step, kept, dropped: entries.filter((entry) => !still.has(entry)) };
}

/** What is not kept although it came before: of the blocks around the step, and of what nobody saw the end of. */
function isOver({ k, e, n, s }: Entry, step: string): boolean {
  if (k === CANCELED || k === SENT || k === PHASE || e?.code === 'workflow.outcome_unknown') return true;
  if (OF_BLOCKS.test(k)) {
    const block = k.replace(OF_BLOCKS, '');
    return block === '' || isOf(step, block);
  }
  // Which branch of a `fork` won or failed has no time.
  return n !== undefined && s === undefined && !k.includes('^', k.lastIndexOf('/') + 1) && isOf(step, k);
}
