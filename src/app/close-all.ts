import { setTimeout as sleep } from 'node:timers/promises';
import { AiosError } from '../kernel/errors.ts';

/** What a part is given to stop when the time for all of them is over: what it can do at once is done. */
const LAST_MS = 1_000;

/**
 * Stops parts, one after the other. One that fails does not keep the others from being stopped, and one that waits for what does not come (a run for a
 * database that is away) is left behind: whoever supervises the process would kill it, and the database that it started would stay.
 *
 * @param maxMs for all of them together, in milliseconds
 * @throws AiosError `stop.unfinished` once all were told to stop, when one of them has failed or is not done
 * @example await closeAll([() => server.close(), () => db.close()], 25_000)
 */
export async function closeAll(parts: readonly (() => Promise<unknown>)[], maxMs: number): Promise<void> {
  const untilMs = performance.now() + maxMs;
  let cause: unknown;
  for (const close of parts) {
    const over = new AbortController();
    const timeMs = Math.max(LAST_MS, untilMs - performance.now());
    const late = sleep(timeMs, undefined, { signal: over.signal }).then(() => {
      throw new Error('it waits for something that does not come');
    });
    await Promise.race([(async () => close())(), late]).catch((error: unknown) => {
      cause ??= error;
    });
    over.abort();
    late.catch(() => {});
  }
  if (cause === undefined) return;
  const detail = `A part could not be stopped: ${cause instanceof Error ? cause.message : cause}.`;
  throw new AiosError('stop.unfinished', { detail, cause });
}
