import type { Json } from '../../kernel/json.ts';
import { standardError } from '../catalog/flow-errors.ts';
import type { Branch, Journal } from './journal.ts';

/** Runs the body against a deadline; which of the two came first is recorded. @throws FlowError `timeout` */
export async function within(
  journal: Journal,
  key: string,
  timeoutMs: number,
  parent: Branch,
  body: (branch: Branch) => Promise<Json>,
): Promise<Json> {
  const dueMs = journal.now(`${key}^from`) + timeoutMs;
  const { winner, value } = await journal.race(`${key}^timeout`, parent, [
    body,
    (branch) => journal.timer(`${key}^due`, dueMs, branch).then(() => null),
  ]);
  if (winner === 0) return value;
  throw standardError('timeout', 408, `No end within ${timeoutMs} ms.`, key);
}
