import type { CloudEvent } from '../kernel/cloudevent.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import { requireDigits, strictJson, withDigits } from '../kernel/exact-integers.ts';
import { requireFinite } from '../kernel/finite-json.ts';
import { instantMs, isPlainInstant } from '../kernel/instant.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { requireDepth } from '../kernel/json-depth.ts';
import type { Limits } from '../kernel/limits.ts';

/** Header names in lower case, as Node gives them. */
export type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** One entry per event of a request, in its order: the event, or why it is none. */
export type Parsed = CloudEvent | AiosError;

// RFC 3339, section 5.6. Date.parse alone would take "2020".
const RFC3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
// CloudEvents 1.0.2, "Attribute Naming Convention": lower-case letters and digits. 20 is a recommendation there, so it is not enforced.
const ATTRIBUTE_NAME = /^[a-z0-9]+$/;
// Section "Type System": a String holds no control characters and no half of a surrogate pair.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** Attributes that are texts where they are there at all: the specification's, and those of the extensions that AIOS reads. */
const TEXTS = new Set([
  'subject',
  'datacontenttype',
  'dataschema',
  'partitionkey',
  'dataversion',
  'traceparent',
]);

/**
 * Reads the CloudEvents of an HTTP request in any of the three modes of the HTTP protocol binding (cloudevents/bindings/http-protocol-binding.md):
 * binary (`ce-*` headers), structured (`application/cloudevents+json`) and batched (`application/cloudevents-batch+json`). Plain
 * `application/json` with a `specversion` inside counts as structured.
 *
 * @throws AiosError `request.malformed`, `request.media_type`, `request.too_large`, `request.too_deep` for the request as a whole
 * @example parseEvents({ 'content-type': 'application/cloudevents+json' }, body, Date.now(), limits)
 */
export function parseEvents(headers: Headers, body: Uint8Array, nowMs: number, limits: Limits): Parsed[] {
  const type = mediaType(headers);
  if (headers['ce-specversion'] !== undefined)
    return [guarded(() => fromBinary(headers, type, body, nowMs, limits))];
  if (type === 'application/cloudevents-batch+json') {
    const { events, exact } = parsed(body, batch);
    if (!Array.isArray(events))
      throw new AiosError('request.invalid', {
        issues: [{ path: '', message: 'a batch is an array of events' }],
      });
    if (events.length > limits.eventBatchCountMax) {
      throw new AiosError('request.too_large', {
        detail: `${events.length} events; at most ${limits.eventBatchCountMax} in a batch.`,
        extensions: { limitName: 'eventBatchCountMax', limit: limits.eventBatchCountMax },
      });
    }
    return events.map((event, index) =>
      guarded(() => {
        requireDigits(event, exact[index]!);
        return checkEvent(event, nowMs, sizeOf(event, body, events.length, limits), limits);
      }),
    );
  }
  if (type === 'application/cloudevents+json' || type === 'application/json') {
    return [guarded(() => checkEvent(parsed(body, strictJson), nowMs, body.byteLength, limits))];
  }
  throw new AiosError('request.media_type', {
    detail: `“${type}” without ce- headers is no CloudEvent; send application/cloudevents+json, application/cloudevents-batch+json, or binary mode.`,
  });
}

function guarded(read: () => CloudEvent): Parsed {
  try {
    return read();
  } catch (error) {
    if (error instanceof AiosError && error.code !== 'request.malformed') return error;
    throw error;
  }
}

function mediaType(headers: Headers): string {
  return String(headers['content-type'] ?? '')
    .split(';')[0]!
    .trim()
    .toLowerCase();
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A batch, and the same with the digits that its numbers lost: an event with such a number is refused alone. */
function batch(text: string): { events: Json; exact: Json[] } {
  const events = JSON.parse(text) as Json;
  requireFinite(text, events);
  return { events, exact: withDigits(text, events) as Json[] };
}

function parsed<Value>(body: Uint8Array, read: (text: string) => Value): Value {
  try {
    return read(utf8.decode(body));
  } catch (cause) {
    if (cause instanceof AiosError) throw cause;
    throw new AiosError('request.malformed', { detail: (cause as Error).message, cause });
  }
}

/** Measured only where the whole body does not already settle it: writing an event again costs as much as reading it. */
function sizeOf(event: Json, body: Uint8Array, count: number, limits: Limits): number {
  if (body.byteLength <= limits.eventBytesMax || count === 0) return 0;
  requireDepth(event, limits.jsonDepthMax + 1); // writing goes by recursion
  return Buffer.byteLength(JSON.stringify(event));
}

/**
 * An event as AIOS keeps it: required attributes there, time set, nothing unknown to the specification, and nothing that only AIOS says.
 *
 * @throws AiosError `events.invalid`, `events.payload_too_large`, `events.time_in_future`, `request.too_deep`
 */
export function checkEvent(value: Json, nowMs: number, bytes: number, limits: Limits): CloudEvent {
  if (bytes > limits.eventBytesMax) {
    throw new AiosError('events.payload_too_large', {
      detail: `The event has ${bytes} bytes; at most ${limits.eventBytesMax}.`,
      extensions: { limitName: 'eventBytesMax', limit: limits.eventBytesMax },
    });
  }
  if (!isObject(value))
    throw new AiosError('events.invalid', { issues: [{ path: '', message: 'an event is an object' }] });
  const issues: Issue[] = [];
  if (value.specversion !== '1.0')
    issues.push({
      path: '/specversion',
      message: 'must be "1.0"',
      found: JSON.stringify(value.specversion) ?? 'nothing',
      expected: '"1.0"',
    });
  for (const name of ['id', 'source', 'type']) {
    if (typeof value[name] !== 'string' || value[name] === '')
      issues.push({ path: `/${name}`, message: 'a text that is not empty is required', expected: name });
  }
  if (value.time !== undefined && value.time !== null) {
    const timeMs = typeof value.time === 'string' ? timeOf(value.time) : Number.NaN;
    if (Number.isNaN(timeMs))
      issues.push({ path: '/time', message: 'must be an RFC 3339 time', found: JSON.stringify(value.time) });
    else if (timeMs - nowMs > limits.eventFutureMs) throw fromTheFuture(value.time as string, limits);
  }
  let unset = value.time === undefined;
  for (const name in value) {
    if (name === 'data' || name === 'id' || name === 'source' || name === 'type') continue;
    const attribute = value[name]!;
    // Who posted it is not the poster's to say.
    if (attribute === null || name === 'postedby') unset = true;
    else issues.push(...attributeIssues(name, attribute));
  }
  for (const name of ['id', 'source', 'type']) issues.push(...textIssues(name, value[name]));
  if (value.data !== undefined && value.data_base64 !== undefined && value.data_base64 !== null)
    issues.push({ path: '/data_base64', message: 'an event has data or data_base64, not both' });
  if (issues.length > 0) throw new AiosError('events.invalid', { issues });
  // What is shorter than its brackets would be is not looked at; 0 bytes are of an event in a batch, of which nobody knows.
  if (bytes === 0 || bytes > 2 * limits.jsonDepthMax) requireDepth(value.data, limits.jsonDepthMax);
  return (unset ? completed(value, nowMs) : value) as unknown as CloudEvent;
}

/** In milliseconds since the epoch; NaN where it is not a time of RFC 3339. */
function timeOf(text: string): number {
  if (isPlainInstant(text)) return instantMs(text);
  return RFC3339.test(text) ? Date.parse(text) : Number.NaN;
}

/** What such an event did to windows of event time, nothing would undo: they would wait for the others to come as far. */
function fromTheFuture(time: string, { eventFutureMs }: Limits): AiosError {
  return new AiosError('events.time_in_future', {
    detail: `The event says that it is of ${time}: more than ${eventFutureMs} ms from now.`,
    extensions: { limitName: 'eventFutureMs', limit: eventFutureMs },
  });
}

function attributeIssues(name: string, value: Json): Issue[] {
  if (name === 'data_base64') {
    const issue = { path: '/data_base64', message: 'must be base64 (RFC 4648, section 4)' };
    return typeof value === 'string' && BASE64.test(value) ? [] : [issue];
  }
  if (!ATTRIBUTE_NAME.test(name))
    return [{ path: `/${name}`, message: 'attribute names are lower-case letters and digits' }];
  if (typeof value === 'object')
    return [{ path: `/${name}`, message: 'an attribute is a text, a number or a boolean' }];
  if (TEXTS.has(name) && (typeof value !== 'string' || value === ''))
    return [{ path: `/${name}`, message: 'must be a text that is not empty', found: JSON.stringify(value) }];
  return textIssues(name, value);
}

function textIssues(name: string, value: Json | undefined): Issue[] {
  if (typeof value !== 'string' || (!CONTROL.test(value) && value.isWellFormed())) return [];
  return [
    { path: `/${name}`, message: 'an attribute holds no control characters', found: JSON.stringify(value) },
  ];
}

/** The JSON format lets an attribute that is not set be `null`; a time that is not set is that of arrival. */
function completed(value: JsonObject, nowMs: number): JsonObject {
  const event: JsonObject = {};
  for (const [name, member] of Object.entries(value)) {
    if ((member !== null && name !== 'postedby') || name === 'data') event[name] = member;
  }
  event.time ??= new Date(nowMs).toISOString();
  return event;
}

function fromBinary(
  headers: Headers,
  type: string,
  body: Uint8Array,
  nowMs: number,
  limits: Limits,
): CloudEvent {
  const event: JsonObject = {};
  for (const [name, value] of Object.entries(headers)) {
    if (name === 'ce-data' || name === 'ce-data_base64')
      throw new AiosError('events.invalid', {
        issues: [{ path: '/data', message: 'in binary mode the data is the body, not a header' }],
      });
    if (name.startsWith('ce-') && typeof value === 'string') event[name.slice(3)] = decodeHeader(value);
  }
  if (type) event.datacontenttype = type;
  Object.assign(
    event,
    dataOf(type, body, (text) => strictJson(text, '/data')),
  );
  return checkEvent(event, nowMs, body.byteLength, limits);
}

/**
 * The data of a body in binary mode, as the JSON format holds it: JSON, text, or base64.
 *
 * @param type the media type, without parameters; `''` counts as JSON
 * @param read what reads JSON
 * @throws AiosError `request.malformed` for invalid JSON, and what `read` throws
 */
export function dataOf(
  type: string,
  body: Uint8Array,
  read: (text: string) => Json,
): { data?: Json; data_base64?: string } {
  if (body.byteLength === 0) return {};
  if (type === '' || isJsonType(type)) return { data: parsed(body, read) };
  if (type.startsWith('text/')) return { data: new TextDecoder().decode(body) };
  return { data_base64: Buffer.from(body).toString('base64') };
}

/** @param type a media type without parameters, in lower case */
export function isJsonType(type: string): boolean {
  return type === 'application/json' || type.endsWith('+json');
}

/** Section 3.1.3.2 of the binding: percent-encoded UTF-8. */
function decodeHeader(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
