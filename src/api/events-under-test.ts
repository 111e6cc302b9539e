import type { EventConsumers } from '../events/consumers.ts';
import type { EventLog } from '../events/log.ts';
import { Replays } from '../events/replay/replays.ts';
import { Retention } from '../events/retention/retention.ts';
import { systemClock } from '../kernel/clock.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Database } from '../store/database.ts';
import type { WorkflowEngine } from '../workflow/engine/engine.ts';

interface Modules {
  db: Database;
  log: EventLog;
  consumers: EventConsumers;
  limits: Limits;
  engine: WorkflowEngine;
}

/** What gives events out, as `stations-events.ts` puts it together. */
export function eventOutletsUnderTest({ engine, ...modules }: Modules) {
  const replays = new Replays({
    ...modules,
    clock: systemClock,
    takesPart: true,
    workflows: {
      require: (workflow) => void engine.isQueued(workflow),
      room: () => engine.room(),
      start: (events, tx, into) => engine.startFromEvents(events, tx, into),
    },
    onError: () => {},
  });
  const retention = new Retention({
    ...modules,
    clock: systemClock,
    unread: 'keep',
    record: () => {
      throw new Error('these tests drop nothing');
    },
    onError: () => {},
  });
  return {
    /** What the routes need. */
    given: { replays, retention },
    async start() {
      await replays.start();
      await retention.start();
    },
    async stop() {
      await retention.stop();
      await replays.stop();
    },
  };
}
