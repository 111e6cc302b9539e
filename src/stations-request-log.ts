import type { AuditLog } from './ledger/audit.ts';
import { RequestLog } from './serving/traffic/request-log.ts';
import type { Ground } from './stations.ts';

const SERVING = { kind: 'system', id: 'serving' };

/** The sample of inferences that is kept. The audit entry of each holds the digests of what its row keeps, so that a row that was changed is found. */
export function createRequestLog(ground: Ground, auditLog: AuditLog): RequestLog {
  const requestLog = new RequestLog({
    ...ground,
    record: ({ id, caller, at, status, ...request }) => [
      auditLog.entry({
        kind: 'inference',
        action: status,
        actor: caller ?? SERVING,
        object: `inference:${id}`,
        at,
        payload: { id, status, ...request },
      }),
    ],
    onError: ground.troubles.of('A sampled request could not be kept'),
  });
  requestLog.start();
  ground.closers.push(async () => requestLog.stop());
  return requestLog;
}
