import type { AiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import { log } from './logger.ts';

const TEXTS_MAX = 200; // lines that are remembered; a detail may name whatever a caller sent

/**
 * What becomes of calls that the server failed, for the log: an error and where it happened when nobody foresaw it, a warning when it is a state that the
 * table of errors knows. One that says what was said within `faultLogPauseMs` is counted, and the next line has the number: a server behind us that is away
 * fails every call.
 *
 * @returns what the doors call with each fault
 * @example const onFault = createFaultLog({ faultLogPauseMs: 10_000 }); onFault(new AiosError('serving.unavailable'))
 */
export function createFaultLog(
  { faultLogPauseMs }: Pick<Limits, 'faultLogPauseMs'>,
  logger: Pick<typeof log, 'warn' | 'error'> = log,
  now: () => number = performance.now.bind(performance),
): (fault: AiosError, requestId?: string) => void {
  const told = new Map<string, { atMs: number; more: number }>();
  return (fault, requestId) => {
    const { code, message, cause } = fault;
    if (fault.status === 501) return; // asked for what is not here: nothing is wrong with this server
    // By the code alone where it is known: the messages of one trouble differ by model, address or time.
    const key = code === 'internal' ? message : code;
    const last = told.get(key);
    if (last && now() - last.atMs < faultLogPauseMs) {
      last.more++;
      return;
    }
    if (told.size >= TEXTS_MAX) told.clear();
    told.set(key, { atMs: now(), more: 0 });
    const repeated = last && last.more > 0 ? ` (and ${last.more} more like it before)` : '';
    const more = requestId === undefined ? undefined : { request_id: requestId };
    if (code === 'internal') logger.error(`${message}${repeated}`, cause ?? fault, more);
    else logger.warn(`${code}: ${message}${repeated}`, cause, more);
  };
}
