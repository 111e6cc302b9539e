import type { CloudEvent, LoggedEvent } from '../../kernel/cloudevent.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { ConsumerDefinition, Delivery } from '../consumer-definition.ts';

/** Events of somewhere else, and the place there from which the next ones come. */
export interface SourceBatch {
  readonly events: readonly CloudEvent[];
  /** Whatever the other side counts by: offsets, a cursor, a number of bytes. */
  readonly position: JsonObject;
}

/**
 * Where events come from: a broker, a stream, a file. It keeps no place of its own: the place is committed with the events, so that each of them is
 * taken once, whatever dies in between (`source-conformance.ts`).
 */
export interface EventSource {
  /** Its place is kept under this name. */
  readonly name: string;
  /** Batches from a place on, or from the beginning; without an end, until the signal. May throw: it is asked again from the place that is committed. */
  read(from: JsonObject | undefined, signal: AbortSignal): AsyncIterable<SourceBatch>;
}

/**
 * Where events go. A sink is handed events in the order of each partition, and some of them again after a crash or when another process takes over: it knows them by
 * their places, or by what it sends them under, and takes each once (`sink-conformance.ts`).
 */
export interface EventSink {
  /** Its consumer group. */
  readonly group: string;
  readonly types?: readonly string[];
  /** Resolves when all but the undone ones are safe on the other side; throws when none is. */
  deliver(events: readonly LoggedEvent[]): Promise<Pick<Delivery, 'undone'>>;
}

/** A sink as the consumer group that it is. */
export function sinkConsumer(sink: EventSink): ConsumerDefinition {
  return {
    group: sink.group,
    ...(sink.types ? { types: sink.types } : {}),
    handle: async () => undefined,
    deliver: async (events) => ({ ...(await sink.deliver(events)), write: async () => {} }),
  };
}
