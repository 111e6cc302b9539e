import type { CloudEvent, LoggedEvent } from '../../../kernel/cloudevent.ts';
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
  readonly batchBytesMax: number;
  /** In the transaction that moves the group. */
  count(tx: Queryable, sent: number): Promise<void>;
  onError(error: AiosError): void;
}

/** Before anything is known of the size of events: at most 100 MB of them. */
const FIRST_BATCH = 100;
const SAMPLES = 4;

/** The size of the largest of a few, spread over the batch: weighing each would cost as much as writing it. */
function sampledBytes(events: readonly LoggedEvent[]): number {
  let most = 1;
  for (let at = 0; at < events.length; at += Math.ceil(events.length / SAMPLES))
    most = Math.max(most, JSON.stringify(events[at]!.event).length);
  return most;
}

/**
 * The consumer group of a sink bridge. While the other side is away its events stay in the log and are tried again, later and later; only an event that the other
 * side refuses for what it is becomes a dead letter.
 */
export function bridgeConsumer(sink: EventSink, surroundings: Surroundings): ConsumerDefinition {
  const { types, start, batchMax, batchBytesMax, isSelected, count, onError } = surroundings;
  let room = Math.min(batchMax, FIRST_BATCH);
  let failures = 0;
  let awayUntilMs = 0;
  return {
    group: sink.group,
    ...(types ? { types } : {}),
    from: start,
    batchMax,
    room: () => (performance.now() < awayUntilMs ? 0 : room),
    // Only of dead letters.
    handle: async (events) => {
      const { refused: [refused] = [] } = await sink.deliver(events, true);
      if (refused) throw refused.error;
      return undefined;
    },
    deliver: async (events) => {
      room = Math.min(batchMax, Math.max(1, Math.floor(batchBytesMax / sampledBytes(events))));
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
