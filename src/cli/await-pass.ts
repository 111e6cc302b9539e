import { setTimeout as sleep } from 'node:timers/promises';
import type { AiosClient } from '../client/client.ts';

/** What of a pass its waiter looks at. */
interface Watched {
  status: string;
  rows: number;
  total?: number;
}

const POLL_MS = 500;
const CLEAR_LINE = '\r\u001b[K';

/**
 * Waits until something that the server works on has ended, with a line of its progress on a terminal. The interrupt of the terminal ends the waiting
 * only: the answer is then what still runs, and `left` is told.
 *
 * @example await awaitPass(client, '/api/v1/dataset-builds/dsb_…', build, { left: 'It goes on.', isQuiet: false })
 */
export async function awaitPass<Pass extends Watched>(
  client: AiosClient,
  path: string,
  begun: Pass,
  { left, isQuiet }: { left: string; isQuiet: boolean },
): Promise<Pass> {
  const isShown = !isQuiet && process.stderr.isTTY === true;
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  process.once('SIGINT', interrupt);
  let pass = begun;
  try {
    while (pass.status === 'running') {
      const { rows, total } = pass;
      if (isShown)
        process.stderr.write(
          `${CLEAR_LINE}${rows.toLocaleString('en')} of ${total?.toLocaleString('en') ?? '?'} rows`,
        );
      await sleep(POLL_MS, undefined, { signal: interrupted.signal });
      pass = await client.request<Pass>('GET', path, { signal: interrupted.signal });
    }
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
  } finally {
    process.off('SIGINT', interrupt);
    if (isShown) process.stderr.write(CLEAR_LINE);
  }
  if (pass.status === 'running') process.stderr.write(`${left}\n`);
  return pass;
}
