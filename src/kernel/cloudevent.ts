import type { Json } from './json.ts';

/** A CloudEvent 1.0 in the JSON form of its specification (cloudevents/formats/json-format.md). */
export interface CloudEvent {
  specversion: '1.0';
  id: string;
  source: string;
  type: string;
  /** RFC 3339. Always present inside AIOS: an event that comes without one gets its time of arrival. */
  time: string;
  subject?: string;
  datacontenttype?: string;
  dataschema?: string;
  data?: Json;
  data_base64?: string;
  /** The partitioning extension: events with the same key keep their order. */
  partitionkey?: string;
  /** The distributed-tracing extension (W3C). */
  traceparent?: string;
  /** The key that posted it, or started the run that emitted it: AIOS sets it where runs that events start may train models, and takes it from nobody. */
  postedby?: string;
  [extension: string]: Json | undefined;
}

/**
 * The event with who posted it.
 *
 * @example postedBy(event, 'key_01…').postedby // 'key_01…'
 */
export function postedBy(event: CloudEvent, by: string | undefined): CloudEvent {
  return by === undefined ? event : { ...event, postedby: by };
}

/** A place in the log. Within a partition offsets grow in commit order without gaps; across partitions nothing is ordered. */
export interface LogPosition {
  partition: number;
  offset: number;
}

/** An event with its place in the log; `timeMs` is the event's own time, `recordedAtMs` when it was committed. */
export interface LoggedEvent extends LogPosition {
  event: CloudEvent;
  timeMs: number;
  recordedAtMs: number;
}
