import type { CloudEvent, LoggedEvent } from '../../../kernel/cloudevent.ts';
import type { AiosError } from '../../../kernel/errors.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import type { Delivery } from '../../consumer-definition.ts';

/** A message that is not an event: it is put aside as a dead letter, and read no more. */
export interface RejectedMessage {
  readonly error: AiosError;
  /** The message as an event of type `aios.bridge.message`, so that it can be looked at and tried again. */
  readonly letter: CloudEvent;
}

/** Events of somewhere else, and the place there from which the next ones come. */
export interface SourceBatch {
  readonly events: readonly CloudEvent[];
  readonly rejected?: readonly RejectedMessage[];
  /** Whatever the other side counts by: offsets, a cursor, a number of bytes; `{}` where it keeps the place itself. */
  readonly position: JsonObject;
  /** Called when the batch is committed: where the other side is told so. What it throws ends this reading. */
  acknowledge?(): Promise<void>;
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

/** What came of events that a sink was handed. */
export interface Delivered extends Pick<Delivery, 'undone'> {
  /** What the other side will never take (`bridges.message_refused`): they become dead letters, and the others go on. */
  readonly refused?: readonly { readonly event: LoggedEvent; readonly error: AiosError }[];
}

/**
 * How events are handed over. `strict`: of each partition, nothing that comes behind what the other side refuses goes out; it is undone. `again`: dead letters, each handed
 * over once more: they go out, whatever went out after them. When left out, the others go on past what is refused.
 */
export type Handing = 'strict' | 'again';

/**
 * Where events go. A sink is handed events in the order of each partition, and some of them again after a crash or when another process takes over: it knows them by
 * their places, or by what it sends them under, and takes each once (`sink-conformance.ts`).
 */
export interface EventSink {
  /** Its consumer group. */
  readonly group: string;
  readonly types?: readonly string[];
  /** Resolves when all but the undone and the refused ones are safe on the other side; throws when none is. */
  deliver(events: readonly LoggedEvent[], handing?: Handing): Promise<Delivered>;
  /** Ends its connections. */
  close?(): Promise<void>;
}
