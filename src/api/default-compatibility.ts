import type { CompatibilityMode } from '../contracts/compatibility.ts';
import type { ContractRegistry } from '../contracts/registry.ts';
import type { Clock } from '../kernel/clock.ts';
import type { AuditLog } from '../ledger/audit.ts';
import type { Committer } from '../store/group-commit.ts';
import { actorOf, type Caller } from './routes.ts';

export interface DefaultCompatibilityPort {
  contractRegistry: Pick<ContractRegistry, 'defaultCompatibility'>;
  commit: Committer;
  clock: Clock;
  auditLog: Pick<AuditLog, 'entry'>;
}

/** Changes the mode of contracts that name none, with an entry on the audit log; the mode that is in force already changes nothing. */
export async function setDefaultCompatibility(
  { contractRegistry: { defaultCompatibility }, commit, clock, auditLog }: DefaultCompatibilityPort,
  compatibility: CompatibilityMode,
  caller: Caller,
): Promise<void> {
  const before = await defaultCompatibility.mode();
  if (before === compatibility) return;
  await commit.commit([
    defaultCompatibility.change(compatibility),
    auditLog.entry({
      kind: 'contract',
      action: 'default-compatibility-changed',
      actor: actorOf(caller),
      object: 'contracts',
      at: clock.now(),
      payload: { before, compatibility },
    }),
  ]);
}
