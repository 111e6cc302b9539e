import type { CompatibilityMode } from '../contracts/compatibility.ts';
import type { ContractRegistry } from '../contracts/registry.ts';
import type { Clock } from '../kernel/clock.ts';
import type { AuditLog } from '../ledger/audit.ts';
import type { Committer } from '../store/group-commit.ts';
import { untilFirst } from './overtaken.ts';
import { actorOf, type Caller } from './routes.ts';

export interface DefaultCompatibilityPort {
  contractRegistry: Pick<ContractRegistry, 'defaultCompatibility'>;
  commit: Committer;
  clock: Clock;
  auditLog: Pick<AuditLog, 'entry'>;
}

/**
 * Changes the mode of contracts that name none, with an entry on the audit log; the mode that is in force already changes nothing.
 *
 * @returns the mode before
 */
export function setDefaultCompatibility(
  { contractRegistry: { defaultCompatibility }, commit, clock, auditLog }: DefaultCompatibilityPort,
  compatibility: CompatibilityMode,
  caller: Caller,
): Promise<CompatibilityMode> {
  return untilFirst(async () => {
    const before = await defaultCompatibility.mode();
    if (before === compatibility) return before;
    await commit.commit([
      defaultCompatibility.change(before, compatibility),
      auditLog.entry({
        kind: 'contract',
        action: 'default-compatibility-changed',
        actor: actorOf(caller),
        object: 'contracts',
        at: clock.now(),
        payload: { before, compatibility },
      }),
    ]);
    return before;
  });
}
