import type { EventConsumers } from './events/consumers.ts';
import type { EventLog } from './events/log.ts';
import { Replays } from './events/replay/replays.ts';
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
