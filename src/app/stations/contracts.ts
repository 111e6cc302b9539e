import { Contracts } from '../../contracts/contracts.ts';
import { DefaultCompatibility } from '../../contracts/default-compatibility.ts';
import { QualityMonitor } from '../../contracts/quality-monitor.ts';
import { Quarantine } from '../../contracts/quarantine.ts';
import { QuarantineRetention } from '../../contracts/quarantine-retention.ts';
import { ContractRegistry } from '../../contracts/registry.ts';
import type { EventConsumers } from '../../events/consumers.ts';
import { unpassedSince } from '../../events/group-offsets.ts';
import type { EventLog } from '../../events/log.ts';
import { logBegin } from '../../events/retention/log-begin.ts';
import type { AuditLog } from '../../ledger/audit.ts';
import type { Definitions } from '../../store/definitions.ts';
import type { Committer } from '../../store/group-commit.ts';
import type { Ground } from './ground.ts';

/** The consumer that counts events for quality rules. */
const QUALITY_GROUP = 'contract-quality';
const AIOS = { kind: 'system', id: 'aios' };

interface Used {
  readonly definitions: Definitions;
  readonly auditLog: Pick<AuditLog, 'entry'>;
  readonly log: Pick<EventLog, 'write'>;
}

type Store = Pick<Ground, 'db' | 'clock' | 'limits'> & { readonly commit: Committer };

/** The contracts in force, what is known of their versions, what they measure and what they keep apart. */
export function createContracts({ db, commit, clock, limits }: Store, { definitions, auditLog, log }: Used) {
  const defaultCompatibility = new DefaultCompatibility(db);
  const contracts = new Contracts(definitions, () => defaultCompatibility.mode(), limits);
  return {
    contracts,
    contractRegistry: new ContractRegistry(db, definitions, defaultCompatibility),
    qualityMonitor: new QualityMonitor({
      db,
      clock,
      limits,
      rulesOf: (type) => contracts.measuredOf(type),
      types: () => contracts.measuredTypes(),
      logBegin,
      uncountedSince: (tx) => unpassedSince(tx, QUALITY_GROUP),
      emit: (event) => commit.commit([log.write(event)]),
    }),
    quarantine: new Quarantine({
      db,
      commit,
      clock,
      limits,
      check: (event) => contracts.check(event),
      append: (event) => log.write(event),
      record: ({ action, id, by, at, reason }) =>
        auditLog.entry({
          kind: 'quarantine',
          action,
          actor: by,
          object: `quarantine:${id}`,
          at,
          payload: { id, reason },
        }),
    }),
    quarantineRetention: new QuarantineRetention({
      db,
      commit,
      clock,
      limits,
      record: ({ counts, open, beforeMs, at }) =>
        auditLog.entry({
          kind: 'quarantine',
          action: 'expired',
          actor: AIOS,
          object: 'quarantine',
          at,
          payload: { counts, open, before: new Date(beforeMs).toISOString() },
        }),
    }),
  };
}

type Measuring = Pick<ReturnType<typeof createContracts>, 'qualityMonitor' | 'quarantineRetention'> &
  Pick<Ground, 'limits' | 'troubles' | 'closers'> & { readonly consumers: EventConsumers };

/**
 * Events are counted by a consumer of their own; windows that have ended are judged now and then, by whichever process looks first. What has been in
 * quarantine for too long goes.
 */
export function measureQuality({
  qualityMonitor,
  quarantineRetention,
  consumers,
  limits,
  troubles,
  closers,
}: Measuring): void {
  consumers.add({
    group: QUALITY_GROUP,
    types: () => qualityMonitor.types(),
    wakesOn: () => [], // nobody waits for a count: batches may grow until the next look
    handle: (events, tx) => qualityMonitor.handle(events, tx),
  });
  const timer = setInterval(() => {
    qualityMonitor.judge().catch(troubles.of('Quality rules could not be judged'));
  }, limits.contractQualityPauseMs);
  const pruning = setInterval(() => {
    quarantineRetention.pass().catch(troubles.of('Quarantine could not be gone through'));
  }, limits.contractQuarantinePassMs);
  const hide = qualityMonitor.expose();
  closers.push(async () => {
    clearInterval(timer);
    clearInterval(pruning);
    hide();
  });
}
