import type { Json } from '../../kernel/json.ts';
import { Abandoned, standardError } from '../catalog/flow-errors.ts';
import type { TimeSpan } from '../language/flow.ts';
import type { Scope } from '../language/templates.ts';
import type { Frame } from './frame.ts';
import type { Journal } from './journal.ts';

/** A time limit: the step that has it, and its mark among the keys, since a step can have one as a whole and one for each attempt. */
export interface Deadline {
  readonly key: string;
  readonly mark: 'timeout' | 'limit';
  readonly timeoutMs: number;
}

export function spanMs(span: TimeSpan, scope: Scope): number {
  return typeof span === 'number' ? span : span(scope);
}

/**
 * Runs the body against a deadline; which of the two came first is recorded. The body runs in a frame of its own: what it exported counts when it ended in time,
 * and not when it was given up, because a replay does not go through it again.
 *
 * @throws FlowError `timeout`, or the body's
 */
export async function within(
  journal: Journal,
  { key, mark, timeoutMs }: Deadline,
  frame: Frame,
  body: (own: Frame) => Promise<Json>,
): Promise<Json> {
  const at = `${key}^${mark}`;
  const dueMs = journal.now(`${at}^from`) + timeoutMs;
  const own = { ...frame, state: { ...frame.state } };
  const adopt = () => {
    frame.state.context = own.state.context;
    frame.ended = own.ended;
    frame.next = own.next;
  };
  try {
    const { winner, value } = await journal.race(at, frame.branch, [
      (branch) => body(Object.assign(own, { branch })),
      (branch) => journal.timer(`${at}^due`, dueMs, branch).then(() => null),
    ]);
    if (winner === 0) {
      adopt();
      return value;
    }
  } catch (error) {
    if (!(error instanceof Abandoned)) adopt();
    throw error;
  }
  throw standardError('timeout', 408, `No end within ${timeoutMs} ms.`, key);
}
