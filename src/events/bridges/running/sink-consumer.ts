import type { CloudEvent, LoggedEvent } from '../../../kernel/cloudevent.ts';
import { AiosError, toAiosError } from '../../../kernel/errors.ts';
import type { Queryable } from '../../../store/database.ts';
import type { ConsumerDefinition } from '../../consumer-definition.ts';
import { buryEvent } from '../../dead-letters.ts';
import { backOffMs } from '../../groups/retries.ts';
import type { Delivered, EventSink } from '../port/event-source.ts';
import type { BridgeCounters } from './bridge-metrics.ts';
import type { Tolerance } from './tolerance.ts';

interface Surroundings {
  readonly types?: readonly string[] | undefined;
  isSelected(event: CloudEvent): boolean;
  readonly start: 'earliest' | 'latest';
  readonly batchMax: number;
  readonly batchBytesMax: number;
  /** A batch that is not taken for so long is told of; it is waited for all the same. */
  readonly answerMs: number;
  readonly tolerance: Pick<Tolerance, 'room' | 'putAside' | 'stop'>;
  readonly counters: Pick<BridgeCounters, 'sent' | 'deadLetter' | 'retried'>;
  /** In the transaction that moves the group. */
  count(tx: Queryable, sent: number, isStanding: boolean): Promise<void>;
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
 * side refuses for what it is becomes a dead letter, as far as that is tolerated: past it, its partition waits behind the event.
 */
export function bridgeConsumer(sink: EventSink, surroundings: Surroundings): ConsumerDefinition {
  const { types, start, batchMax, batchBytesMax, isSelected, count, onError, tolerance, counters, answerMs } =
    surroundings;
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
      const { refused: [refused] = [] } = await sink.deliver(events, 'again');
      if (refused) throw refused.error;
      return undefined;
    },
    deliver: async (events) => {
      room = Math.min(batchMax, Math.max(1, Math.floor(batchBytesMax / sampledBytes(events))));
      const selected = events.filter(({ event }) => isSelected(event));
      if (selected.length === 0) return { undone: [], write: async () => {} };
      if (failures > 0) counters.retried();
      const late = setTimeout(() => onError(unanswered(selected.length, answerMs)), answerMs);
      try {
        const room = await tolerance.room(selected.length);
        const delivered = await sink.deliver(selected, room < selected.length ? 'strict' : undefined);
        const { letters, held, undone } = tolerated(delivered, room);
        const sent = selected.length - undone.length - letters.length;
        counters.sent(sent);
        if (held) {
          const { partition, offset, event } = held.event;
          onError(tolerance.stop(`the event ${event.id}, ${partition}/${offset} of the log`, held.error));
          awayUntilMs = performance.now() + backOffMs(++failures);
        } else failures = 0;
        return {
          undone,
          async write(tx) {
            await count(tx, sent, held !== undefined);
            for (const { event, error } of letters) await buryEvent(tx, sink.group, event, error, 1);
            tolerance.putAside(letters.length);
            for (const { error } of letters) counters.deadLetter(error.code);
          },
        };
      } catch (error) {
        const problem = toAiosError(error);
        onError(problem);
        awayUntilMs = performance.now() + backOffMs(++failures);
        return { undone: events, write: async () => {} };
      } finally {
        clearTimeout(late);
      }
    },
  };
}

/** A broker that is alive may take nothing: RabbitMQ where its memory or its disk is used up. */
function unanswered(count: number, answerMs: number): AiosError {
  const detail = `It has taken none of ${count} events for ${answerMs / 1000} s, and has not refused them either.`;
  return new AiosError('bridges.unreachable', { detail });
}

/** What becomes of events that the other side refuses: as many as there is room for are put aside, the others and what comes behind them in their partitions come again. */
function tolerated({ undone, refused = [] }: Delivered, room: number) {
  const [letters, waiting] = [refused.slice(0, room), refused.slice(room)];
  return { letters, held: waiting[0], undone: [...waiting.map(({ event }) => event), ...undone] };
}
