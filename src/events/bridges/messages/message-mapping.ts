import { canonicalize } from '../../../kernel/canonical.ts';
import type { CloudEvent } from '../../../kernel/cloudevent.ts';
import { AiosError, toAiosError } from '../../../kernel/errors.ts';
import { exactJson } from '../../../kernel/exact-integers.ts';
import { compileExpression, type Expression } from '../../../kernel/expressions.ts';
import { isObject, type Json, type JsonObject } from '../../../kernel/json.ts';
import type { Limits } from '../../../kernel/limits.ts';
import { checkEvent, dataOf, isJsonType } from '../../cloudevents-http.ts';
import type { RejectedMessage } from '../port/event-source.ts';
import type { IncomingMessage, MessageFormat, OutgoingMessage } from '../port/protocol.ts';

/** The type of the event that a message is kept as when it is none itself. */
const MESSAGE_TYPE = 'aios.bridge.message';
const STRUCTURED = 'application/cloudevents+json';
/** Attributes of a CloudEvent that are not written as headers: the first is the content type of the message. */
const NO_HEADERS = new Set(['datacontenttype', 'data', 'data_base64']);

/** RFC 3339 has four digits for the year. */
const LAST_TIME_MS = Date.UTC(10_000, 0) - 1;

/** A text that may be an attribute: keys may hold anything. */
const KEY = /^[^\p{Cc}\p{Cs}\ufffd]+$/u;

interface Reading {
  readonly bridge: string;
  readonly prefixes: readonly string[];
  /** CEL by attribute, `data` among them; nothing where messages have to be CloudEvents. */
  readonly events?: Readonly<Record<string, string>> | undefined;
  readonly limits: Limits;
  nowMs(): number;
}

/**
 * Reads messages: CloudEvents in binary mode (their attributes are headers) and in structured mode (by the content type, or a body that says its specversion),
 * and others by the expressions of the definition. What the definition says counts for attributes that a message does not bring.
 *
 * @throws AiosError `expression.syntax`
 * @example messageReader({ bridge: 'orders', prefixes: ['ce_'], events: { type: "'order.placed'" }, limits, nowMs })(message)
 */
export function messageReader({ bridge, prefixes, events, limits, nowMs }: Reading) {
  const mapping = events && Object.entries(events).map(compileAttribute);
  const source = `urn:aios:bridge:${bridge}`;
  return (message: IncomingMessage): CloudEvent | RejectedMessage => {
    try {
      if (message.fault !== undefined)
        throw new AiosError('bridges.message_invalid', { detail: `${message.topic}: ${message.fault}` });
      requireRead(message);
      const headers = new Map(
        Object.entries(message.headers).map(([name, value]) => [name.toLowerCase(), value]),
      );
      const size = message.value instanceof Uint8Array ? message.value.byteLength : 0;
      const event =
        binaryEvent(message, headers, prefixes) ??
        structuredEvent(message, mapping !== undefined) ??
        mappedEvent(message, mapping, { source, nowMs: nowMs() });
      return checkEvent(keyed(event, message), nowMs(), size, limits);
    } catch (error) {
      return { error: toAiosError(error), letter: letterOf(message, source, nowMs()) };
    }
  };
}

function requireRead({ topic, unpacked, unpackedKey }: IncomingMessage): void {
  for (const [what, read] of [
    ['value', unpacked],
    ['key', unpackedKey],
  ] as const)
    if (read && 'fault' in read)
      throw new AiosError('bridges.value_invalid', { detail: `${topic}, the ${what}: ${read.fault}.` });
}

function compileAttribute([name, source]: [string, string]): [string, Expression] {
  return [name, compileExpression(source)];
}

/** Its value as it is read: by its schema where it has one. */
function bodyValue({ value, unpacked }: IncomingMessage): IncomingMessage['value'] {
  return unpacked && 'json' in unpacked ? unpacked : value;
}

function binaryEvent(
  message: IncomingMessage,
  headers: ReadonlyMap<string, string>,
  prefixes: readonly string[],
): JsonObject | undefined {
  const prefix = prefixes.find((one) => headers.has(`${one.toLowerCase()}specversion`))?.toLowerCase();
  if (prefix === undefined) return undefined;
  const event: JsonObject = {};
  for (const [name, text] of headers) {
    // Without a prefix other headers stand among the attributes: what can be none is left out.
    if (name.startsWith(prefix) && (prefix !== '' || /^[a-z0-9]+$/.test(name)))
      event[name.slice(prefix.length)] = text;
  }
  delete event.data;
  delete event.data_base64;
  const { contentType, unpacked } = message;
  if (unpacked)
    event.datacontenttype = 'application/json'; // whatever it was written as
  else if (contentType) event.datacontenttype = contentType;
  const type = mediaTypeOf(contentType ?? '');
  const value = bodyValue(message);
  return {
    ...event,
    ...(value instanceof Uint8Array ? dataOf(type, value, exactJson) : { data: value.json }),
  };
}

/** Where messages are mapped, only the content type says that one is an event as it is. */
function structuredEvent(message: IncomingMessage, isMapped: boolean): JsonObject | undefined {
  const type = mediaTypeOf(message.contentType ?? '');
  if (type !== STRUCTURED && isMapped) return undefined;
  const value = jsonOf(message);
  if (isObject(value) && (type === STRUCTURED || value.specversion !== undefined)) return value;
  if (type !== STRUCTURED) return undefined;
  throw new AiosError('events.invalid', { issues: [{ path: '', message: 'an event is an object' }] });
}

function mappedEvent(
  message: IncomingMessage,
  mapping: readonly [string, Expression][] | undefined,
  { source, nowMs }: { source: string; nowMs: number },
): JsonObject {
  if (!mapping)
    throw new AiosError('bridges.message_invalid', {
      detail: `${message.topic}: the message is no CloudEvent, and the bridge has no \`events\` that make it one.`,
    });
  const time = timeOf(message, nowMs);
  const value = jsonOf(message);
  const scope = {
    key: keyOf(message),
    value,
    headers: message.headers,
    topic: message.topic,
    time,
    position: message.position,
  };
  const event: JsonObject = { specversion: '1.0', id: message.id, source, time, data: value };
  for (const [name, expression] of mapping) {
    const result = expression(scope);
    if (result !== null || name === 'data') event[name] = result;
  }
  return event;
}

/** As expressions see it: base64 where it is not a text. */
function keyOf({ key, unpackedKey }: IncomingMessage): Json {
  if (unpackedKey && 'json' in unpackedKey) return unpackedKey.json;
  return key instanceof Uint8Array ? Buffer.from(key).toString('base64') : (key ?? null);
}

/** The key of a message orders it there: it does here, where the event says no other. */
function keyed(event: JsonObject, message: IncomingMessage): JsonObject {
  const key = keyOf(message);
  if (key === null || event.partitionkey !== undefined) return event;
  const partitionkey = typeof key === 'string' ? key : canonicalize(key);
  return KEY.test(partitionkey) ? { ...event, partitionkey } : event;
}

/** Its senders say it, in seconds or nanoseconds, too: one that no time of an event can be is that of reading. */
function timeOf({ timeMs = Number.NaN }: IncomingMessage, nowMs: number): string {
  return new Date(timeMs >= 0 && timeMs <= LAST_TIME_MS ? timeMs : nowMs).toISOString();
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function jsonOf(message: IncomingMessage): Json {
  const value = bodyValue(message);
  return value instanceof Uint8Array ? contentOf(value) : value.json;
}

/** JSON where it is JSON, the text where it is text, base64 else. */
function contentOf(bytes: Uint8Array): Json {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return Buffer.from(bytes).toString('base64');
  }
  try {
    return exactJson(text);
  } catch {
    return text;
  }
}

/** The message itself as an event, to be looked at and tried again (`messageOf`). */
function letterOf(message: IncomingMessage, source: string, nowMs: number): CloudEvent {
  const { id, key, value, headers, contentType, topic, fault, position } = message;
  const data: JsonObject = {
    ...{ headers: { ...headers }, topic, position },
    ...(typeof key === 'string' ? { key } : {}),
    ...(key instanceof Uint8Array ? { keyBase64: Buffer.from(key).toString('base64') } : {}),
    ...(contentType === undefined ? {} : { contentType }),
    ...(fault === undefined ? {} : { fault }),
    ...bodyOf(value),
  };
  const time = timeOf(message, nowMs);
  return { specversion: '1.0', id, source, type: MESSAGE_TYPE, time, data };
}

function bodyOf(value: IncomingMessage['value']): JsonObject {
  if (!(value instanceof Uint8Array)) return { json: value.json };
  const base64 = { base64: Buffer.from(value).toString('base64') };
  if (value.includes(0)) return base64; // which no text of the database holds
  try {
    return { text: utf8.decode(value) };
  } catch {
    return base64;
  }
}

/** The message that a dead letter holds; nothing where it holds an event. */
export function messageOf({ type, id, time, data }: CloudEvent): IncomingMessage | undefined {
  if (type !== MESSAGE_TYPE || !isObject(data)) return undefined;
  const { headers, topic, position, key, keyBase64, contentType, fault, text, base64, json } = data;
  let value: IncomingMessage['value'] = { json: json ?? null };
  if (typeof text === 'string') value = Buffer.from(text);
  else if (typeof base64 === 'string') value = Buffer.from(base64, 'base64');
  return {
    id,
    ...(typeof key === 'string' ? { key } : {}),
    ...(typeof keyBase64 === 'string' ? { key: Buffer.from(keyBase64, 'base64') } : {}),
    value,
    headers: headers as Record<string, string>,
    contentType: typeof contentType === 'string' ? contentType : undefined,
    topic: String(topic),
    timeMs: Date.parse(time),
    fault: typeof fault === 'string' ? fault : undefined,
    position: position as JsonObject,
  };
}

function mediaTypeOf(contentType: string): string {
  return contentType.split(';')[0]!.trim().toLowerCase();
}

/**
 * Writes events as messages. The key is the event's `partitionkey`, else its subject, by which the log orders it.
 *
 * @example messageWriter('binary', 'ce_')(event).headers // { ce_specversion: '1.0', ce_id: … }
 */
export function messageWriter(format: MessageFormat, prefix: string): (event: CloudEvent) => OutgoingMessage {
  return (event) => {
    const key = event.partitionkey ?? event.subject;
    if (format === 'structured')
      return {
        key,
        value: Buffer.from(JSON.stringify(event)),
        headers: {},
        contentType: `${STRUCTURED}; charset=utf-8`,
      };
    const headers: Record<string, string> = {};
    if (format === 'binary')
      for (const [name, value] of Object.entries(event))
        if (!NO_HEADERS.has(name) && value !== undefined && value !== null)
          headers[prefix + name] = String(value);
    return { key, headers, ...writtenData(event) };
  };
}

function writtenData({ data, data_base64, datacontenttype }: CloudEvent) {
  if (data_base64 !== undefined)
    return { value: Buffer.from(data_base64, 'base64'), contentType: datacontenttype };
  if (data === undefined) return { value: Buffer.alloc(0), contentType: datacontenttype };
  // CloudEvents' JSON format, section 3.1.1: a text of a type that is not JSON is the payload as it is, of XML as of text.
  const isText = typeof data === 'string' && datacontenttype && !isJsonType(mediaTypeOf(datacontenttype));
  return {
    value: Buffer.from(isText ? data : JSON.stringify(data)),
    contentType: datacontenttype ?? 'application/json',
  };
}
