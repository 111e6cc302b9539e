import type { CloudEvent } from '../kernel/cloudevent.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';

/** Header names in lower case, as Node gives them. */
export type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** One entry per event of a request, in its order: the event, or why it is none. */
export type Parsed = CloudEvent | AiosError;

// RFC 3339, section 5.6. Date.parse alone would take "2020".
const RFC3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
// CloudEvents 1.0.2, "Attribute Naming Convention": lower-case letters and digits. 20 is a recommendation there, so it is not enforced.
const ATTRIBUTE_NAME = /^[a-z0-9]+$/;

/**
 * Reads the CloudEvents of an HTTP request in any of the three modes of the HTTP protocol binding (cloudevents/bindings/http-protocol-binding.md):
 * binary (`ce-*` headers), structured (`application/cloudevents+json`) and batched (`application/cloudevents-batch+json`). Plain
 * `application/json` with a `specversion` inside counts as structured.
 *
 * @throws AiosError `request.malformed`, `request.media_type`, `request.too_large` for the request as a whole
 * @example parseEvents({ 'content-type': 'application/cloudevents+json' }, body, Date.now(), limits)
 */
export function parseEvents(headers: Headers, body: Uint8Array, nowMs: number, limits: Limits): Parsed[] {
  const type = mediaType(headers);
  if (headers['ce-specversion'] !== undefined)
    return [guarded(() => fromBinary(headers, type, body, nowMs, limits))];
  if (type === 'application/cloudevents-batch+json') {
    const events = parseJson(body);
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
    return events.map((event) =>
      guarded(() => checkEvent(event, nowMs, sizeOf(event, body, events.length, limits), limits)),
    );
  }
  if (type === 'application/cloudevents+json' || type === 'application/json') {
    return [guarded(() => checkEvent(parseJson(body), nowMs, body.byteLength, limits))];
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

function parseJson(body: Uint8Array): Json {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as Json;
  } catch (cause) {
    throw new AiosError('request.malformed', { detail: (cause as Error).message, cause });
  }
}

/** Measured only where the whole body does not already settle it: writing an event again costs as much as reading it. */
function sizeOf(event: Json, body: Uint8Array, count: number, limits: Limits): number {
  return body.byteLength <= limits.eventBytesMax || count === 0
    ? 0
    : Buffer.byteLength(JSON.stringify(event));
}

/**
 * An event as AIOS keeps it: required attributes there, time set, nothing unknown to the specification.
 *
 * @throws AiosError `events.invalid`, `events.payload_too_large`
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
  if (
    value.time !== undefined &&
    !(typeof value.time === 'string' && RFC3339.test(value.time) && !Number.isNaN(Date.parse(value.time)))
  ) {
    issues.push({ path: '/time', message: 'must be an RFC 3339 time', found: JSON.stringify(value.time) });
  }
  for (const name of Object.keys(value)) {
    if (name !== 'data_base64' && !ATTRIBUTE_NAME.test(name))
      issues.push({ path: `/${name}`, message: 'attribute names are lower-case letters and digits' });
    else if (name !== 'data' && isStructured(value[name]))
      issues.push({ path: `/${name}`, message: 'an attribute is a text, a number or a boolean' });
  }
  if (issues.length > 0) throw new AiosError('events.invalid', { issues });
  return (value.time === undefined
    ? { ...value, time: new Date(nowMs).toISOString() }
    : value) as unknown as CloudEvent;
}

function isStructured(value: Json | undefined): boolean {
  return typeof value === 'object' && value !== null;
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
    if (name.startsWith('ce-') && typeof value === 'string') event[name.slice(3)] = decodeHeader(value);
  }
  if (type) event.datacontenttype = type;
  if (body.byteLength > 0) {
    if (type === '' || type === 'application/json' || type.endsWith('+json')) event.data = parseJson(body);
    else if (type.startsWith('text/')) event.data = new TextDecoder().decode(body);
    else event.data_base64 = Buffer.from(body).toString('base64');
  }
  return checkEvent(event, nowMs, body.byteLength, limits);
}

/** Section 3.1.3.2 of the binding: percent-encoded UTF-8. */
function decodeHeader(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
