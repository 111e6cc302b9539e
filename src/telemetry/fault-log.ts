import { AiosError } from '../kernel/errors.ts';
import type { Troubles } from './troubles.ts';

/**
 * What becomes of calls that the server failed, for the log: an error and where it happened when nobody foresaw it, a warning when it is a state that the
 * table of errors knows. One that comes again and again is one trouble (`Troubles`): a server behind us that is away fails every call.
 *
 * @returns what the doors call with each fault, and with the id of the request where it has one
 * @example const onFault = createFaultLog(troubles); onFault(new AiosError('serving.unavailable'))
 */
export function createFaultLog(troubles: Troubles): (fault: AiosError, requestId?: string) => void {
  return (fault, requestId) => {
    const { code, message, cause } = fault;
    if (fault.status === 501) return; // asked for what is not here: nothing is wrong with this server
    const details = requestId === undefined ? undefined : { request_id: requestId };
    // By the code alone where it is known: the messages of one trouble differ by model, address or time.
    if (code !== 'internal') troubles.tell({ what: code, details }, withoutFindings(fault));
    else troubles.tell({ what: message, level: 'error', details }, cause ?? fault);
  };
}

/** What issues found is somebody's data, the answer of a language model for instance: the caller is told, the log has the places. */
function withoutFindings(fault: AiosError): AiosError {
  const { code, issues } = fault;
  if (issues.length === 0) return fault;
  const places = issues.map(({ path }) => path || '/').join(', ');
  return new AiosError(code, { detail: `what was found does not fit at ${places}` });
}
