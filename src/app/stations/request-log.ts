import type { AuditLog } from '../../ledger/audit.ts';
import { RequestLog } from '../../serving/traffic/request-log.ts';
import type { Ground } from './ground.ts';

const SERVING = { kind: 'system', id: 'serving' };

/** The sample of inferences that is kept. The audit entry of a batch holds the digests of what its rows keep, so that a row that was changed is found. */
export function createRequestLog(ground: Ground, auditLog: AuditLog): RequestLog {
  const requestLog = new RequestLog({
    ...ground,
    record: ({ object, at, requests }) => {
      const payload = { requests: requests.map((request) => ({ ...request })) };
      return [auditLog.entry({ kind: 'inference', action: 'sampled', actor: SERVING, object, at, payload })];
    },
    onError: ground.troubles.of('A sampled request could not be kept'),
  });
  requestLog.start();
  ground.closers.push(async () => requestLog.stop());
  return requestLog;
}
