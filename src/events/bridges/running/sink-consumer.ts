import type { CloudEvent } from '../../../kernel/cloudevent.ts';
import { type AiosError, toAiosError } from '../../../kernel/errors.ts';
import type { Queryable } from '../../../store/database.ts';
import type { ConsumerDefinition } from '../../consumer-definition.ts';
import { buryEvent } from '../../dead-letters.ts';
import { backOffMs } from '../../groups/retries.ts';
import type { EventSink } from '../port/event-source.ts';

interface Surroundings {
  readonly types?: readonly string[] | undefined;
  isSelected(event: CloudEvent): boolean;
  readonly start: 'earliest' | 'latest';
  readonly batchMax: number;
  /** In the transaction that moves the group. */
  count(tx: Queryable, sent: number): Promise<void>;
  onError(error: AiosError): void;
}

/**
 * The consumer group of a sink bridge. While the other side is away its events stay in the log and are tried again, later and later; only an event that the other
 * side refuses for what it is becomes a dead letter.
 */
export function bridgeConsumer(sink: EventSink, surroundings: Surroundings): ConsumerDefinition {
  const { types, start, batchMax, isSelected, count, onError } = surroundings;
  let failures = 0;
  let awayUntilMs = 0;
  return {
    group: sink.group,
    ...(types ? { types } : {}),
    from: start,
    room: () => (performance.now() < awayUntilMs ? 0 : batchMax),
    // Only of dead letters.
    handle: async (events) => {
      const { refused: [refused] = [] } = await sink.deliver(events, true);
      if (refused) throw refused.error;
      return undefined;
    },
    deliver: async (events) => {
      const selected = events.filter(({ event }) => isSelected(event));
      if (selected.length === 0) return { undone: [], write: async () => {} };
      try {
        const { undone, refused = [] } = await sink.deliver(selected);
        failures = 0;
        return {
          undone,
          async write(tx) {
            await count(tx, selected.length - undone.length - refused.length);
            for (const { event, error } of refused) await buryEvent(tx, sink.group, event, error, 1);
          },
        };
      } catch (error) {
        const problem = toAiosError(error);
        onError(problem);
        awayUntilMs = performance.now() + backOffMs(++failures);
        return { undone: events, write: async () => {} };
      }
    },
  };
}
