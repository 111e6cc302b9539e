import type { EventConsumers } from './events/consumers.ts';
import type { EventLog } from './events/log.ts';
import { Replays } from './events/replay/replays.ts';
import { Retention } from './events/retention/retention.ts';
import { AiosError } from './kernel/errors.ts';
import type { AuditLog } from './ledger/audit.ts';
import type { Ground } from './stations.ts';
import { log as logger } from './telemetry/logger.ts';
import type { WorkflowEngine } from './workflow/engine/engine.ts';

/** What gives events to consumers and flows again. */
export function createReplays(
  { db, clock, limits, takesRuns }: Ground,
  { log, consumers }: { log: EventLog; consumers: EventConsumers },
  engine: WorkflowEngine,
): Replays {
  return new Replays({
    db,
    log,
    consumers,
    clock,
    limits,
    takesPart: takesRuns,
    workflows: {
      require: (workflow) => void engine.isQueued(workflow),
      room: () => engine.room(),
      start: (events, tx, into) => engine.startFromEvents(events, tx, into),
    },
    onError: (error) => logger.warn('Replays could not be looked at', error),
  });
}

/** What bounds the log. `AIOS_EVENTS_UNREAD=drop` lets it drop what a consumer group has not read. */
export function createRetention({ db, clock, limits }: Ground, auditLog: AuditLog): Retention {
  const unread = process.env.AIOS_EVENTS_UNREAD ?? 'keep';
  if (unread !== 'keep' && unread !== 'drop')
    throw new AiosError('request.invalid', {
      detail: `AIOS_EVENTS_UNREAD: “${unread}” is neither keep nor drop.`,
    });
  return new Retention({
    db,
    clock,
    limits,
    unread,
    record: ({ segment, bytes, first, unread }) =>
      auditLog.entry({
        kind: 'events',
        action: 'dropped',
        actor: { kind: 'system', id: 'aios' },
        object: `events:segment-${segment}`,
        at: clock.now(),
        payload: { segment, bytes, first: [...first], unread: [...unread] },
      }),
    onError: (error) => logger.warn('The retention of the log could not be looked at', error),
  });
}
