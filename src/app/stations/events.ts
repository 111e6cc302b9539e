import { hkdfSync } from 'node:crypto';
import { exchange } from '../../connectors/http-exchange.ts';
import { Replays } from '../../events/replay/replays.ts';
import { Retention } from '../../events/retention/retention.ts';
import { Webhooks } from '../../events/webhooks/webhooks.ts';
import type { FeatureViews } from '../../features/views.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { WorkflowEngine } from '../../workflow/engine/engine.ts';
import { type BridgeSurroundings, createBridges } from './bridges.ts';
import type { Ground } from './ground.ts';

interface Surroundings extends BridgeSurroundings {
  engine: WorkflowEngine;
  views: FeatureViews;
  /** What the keys of the ledger are derived from. */
  master: Uint8Array;
}

/** What stands around the log: events given again, sent out and dropped. */
export function createEventOutlets(ground: Ground, surroundings: Surroundings) {
  return {
    replays: createReplays(ground, surroundings),
    // After the replays: it answers for groups that they do not know.
    bridges: createBridges(ground, surroundings),
    retention: createRetention(ground, surroundings),
    webhooks: createWebhooks(ground, surroundings),
  };
}

/** What gives events to consumers and flows again. */
function createReplays(
  { db, changes, clock, limits, troubles, takesRuns }: Ground,
  { log, consumers, engine, definitions }: Surroundings,
): Replays {
  return new Replays({
    db,
    log,
    consumers,
    clock,
    limits,
    changes,
    takesPart: takesRuns,
    workflows: {
      require: (workflow) => void engine.isQueued(workflow),
      room: () => engine.room(),
      definitions,
      start: (events, tx, options) => engine.startFromEvents(events, tx, options),
    },
    onError: troubles.of('Replays could not be looked at'),
  });
}

/** What bounds the log. `AIOS_EVENTS_UNREAD=drop` lets it drop what a consumer group has not read. */
function createRetention(
  { db, clock, limits, troubles }: Ground,
  { auditLog, views }: Pick<Surroundings, 'auditLog' | 'views'>,
): Retention {
  const unread = process.env.AIOS_EVENTS_UNREAD ?? 'keep';
  if (unread !== 'keep' && unread !== 'drop')
    throw new AiosError('start.setting', {
      detail: `AIOS_EVENTS_UNREAD: “${unread}” is neither keep nor drop.`,
    });
  return new Retention({
    db,
    clock,
    limits,
    unread,
    othersBehind: (tx, ends) => views.behind(tx, ends),
    record: ({ segment, bytes, first, unread }) =>
      auditLog.entry({
        kind: 'events',
        action: 'dropped',
        actor: { kind: 'system', id: 'aios' },
        object: `events:segment-${segment}`,
        at: clock.now(),
        payload: { segment, bytes, first: [...first], unread: [...unread] },
      }),
    onError: troubles.of('The retention of the log could not be looked at'),
  });
}

/** What sends events out, through the guard of everything that leaves. */
function createWebhooks(
  { db, changes, clock, limits, troubles, takesRuns }: Ground,
  { log, consumers, auditLog, master, outgoing }: Surroundings,
): Webhooks {
  return new Webhooks({
    ...{ db, log, consumers, clock, limits, changes },
    takesPart: takesRuns,
    key: new Uint8Array(hkdfSync('sha256', master, '', 'aios webhooks', 32)),
    async send({ url, headers, body, signal }) {
      const { origin, pathname, search } = new URL(url);
      const { status } = await exchange(outgoing.agent, {
        ...{ origin, path: pathname + search, method: 'POST', headers, body, signal },
        timeoutMs: limits.webhookAnswerMs,
        responseBytesMax: limits.connectorResponseBytesMax,
      });
      return status;
    },
    record: ({ action, id, by = { kind: 'system', id: 'aios' }, payload }) =>
      auditLog.entry({
        ...{ kind: 'webhook', action, actor: by, object: `webhook:${id}`, at: clock.now(), payload },
      }),
    onError: troubles.of('Webhooks could not be looked at'),
  });
}
