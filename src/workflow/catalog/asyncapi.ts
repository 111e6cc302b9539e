import { destinationOf } from '../../kernel/destination.ts';
import { type DurationParts, parseDuration } from '../../kernel/duration.ts';
import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import type { HttpPort } from './http.ts';
import { AUTHENTICATION, auditOf, type CallTarget, fixedOf, outgoing, type SecretsPort } from './outgoing.ts';
import type { CallPrimitive, StepContext } from './primitive.ts';
import type { AuditPort } from './records.ts';

interface MqttServer {
  host: string;
  port: number;
  isTls: boolean;
  isV5: boolean;
  authentication?: JsonObject | undefined;
  signal: AbortSignal;
}

/** What these primitives need of the connectors besides HTTP. */
interface MqttPort {
  publish(
    publication: MqttServer & {
      topic: string;
      payload: Json;
      headers?: Record<string, string> | undefined;
      contentType: string;
      qos: 0 | 1 | 2;
      retain: boolean;
      idempotencyKey: string;
    },
  ): Promise<void>;
  subscribe(
    subscription: MqttServer & {
      topic: string;
      qos: 0 | 1 | 2;
      take: (message: JsonObject) => boolean;
      forMs?: number | undefined;
    },
  ): Promise<void>;
}

interface WebSocketChannel {
  url: string;
  authentication?: JsonObject | undefined;
  signal: AbortSignal;
}

interface WebSocketPort {
  publish(publication: WebSocketChannel & { payload: Json }): Promise<void>;
  subscribe(
    subscription: WebSocketChannel & { take: (message: JsonObject) => boolean; forMs?: number | undefined },
  ): Promise<void>;
}

/** What carries the messages. */
interface MessagePorts {
  readonly http: HttpPort;
  readonly mqtt: MqttPort;
  readonly webSocket: WebSocketPort;
}

/** The expressions of a subscription, in the scope of its step; the compiler fixes them as `conditions`, for functions have no place in an input. */
export interface SubscriptionConditions {
  /** Whether a message counts. */
  accepts(message: JsonObject): boolean;
  /** Whether, after these, it is over. */
  isOver(messages: readonly JsonObject[]): boolean;
}

const text = { type: 'string' };
const object = (properties: JsonObject, required: string[] = []): JsonObject => ({
  type: 'object',
  additionalProperties: false,
  properties,
  required,
});
const SHARED = {
  document: { description: 'read when the flow is applied; the operation is kept with the flow' },
  channel: text,
  operation: text,
  server: object({ name: text, variables: { type: 'object' } }, ['name']),
  protocol: text,
  authentication: AUTHENTICATION,
};
const PUBLISH = object(
  { ...SHARED, message: object({ payload: {}, headers: { type: 'object', additionalProperties: text } }) },
  ['document', 'message'],
);
const SUBSCRIBE = object(
  {
    ...SHARED,
    subscription: object(
      { consume: object({ amount: { type: 'integer', minimum: 1 }, for: { type: ['string', 'object'] } }) },
      ['consume'],
    ),
  },
  ['document', 'subscription'],
);

/**
 * `call: asyncapi` of the specification (dsl-reference.md, "AsyncAPI Call"): publishing over MQTT, WebSocket and HTTP, which acts, and subscribing over MQTT and WebSocket, which reads. The
 * operation is that of the document when the flow was applied, fixed by the compiler as `operation`. Output: null after publishing; the messages, in their order,
 * of a subscription.
 */
export function asyncApiPrimitives(
  ports: MessagePorts,
  secrets: SecretsPort,
  audit: AuditPort,
  bytesMax: number,
): [CallPrimitive, CallPrimitive] {
  const publish: CallPrimitive = {
    name: 'asyncapi',
    version: 1,
    kind: 'effect',
    inputSchema: PUBLISH,
    async run(input, context) {
      const { address, kind } = fixedOf(input).operation!;
      if (kind === 'http') await post(ports.http, input, context);
      else if (kind === 'ws') await send(ports.webSocket, input, context);
      else await publishTo(ports.mqtt, input, context);
      const entry = auditOf(audit, context, 'asyncapi.publish', { channel: address!, protocol: kind! });
      return { output: null, writes: [entry] };
    },
  };
  const subscribe: CallPrimitive = {
    name: 'asyncapi-subscribe',
    version: 1,
    kind: 'costly',
    inputSchema: SUBSCRIBE,
    run: async (input, context) => ({ output: await listen(ports, input, context, bytesMax) }),
  };
  return [outgoing(secrets, publish, targetOf), outgoing(secrets, subscribe, targetOf)];
}

function targetOf(input: JsonObject): CallTarget {
  const { kind, url, host, port } = fixedOf(input).operation!;
  const isByUrl = kind === 'http' || kind === 'ws';
  const to = isByUrl ? destinationOf(String(url)) : { hostname: String(host), port: Number(port) };
  return { to, policyAt: '/authentication' };
}

function serverOf(input: JsonObject, { signal }: StepContext): MqttServer {
  const { host, port, isTls, isV5 } = fixedOf(input).operation!;
  return {
    host: String(host),
    port: Number(port),
    isTls: isTls === true,
    isV5: isV5 === true,
    authentication: input.authentication as JsonObject | undefined,
    signal,
  };
}

async function post(
  http: HttpPort,
  input: JsonObject,
  { idempotencyKey, signal }: StepContext,
): Promise<void> {
  const { method, url, contentType } = fixedOf(input).operation!;
  const { payload, headers } = input.message as JsonObject;
  await http.call({
    method: String(method).toUpperCase(),
    url: String(url),
    headers: { 'content-type': String(contentType), ...(headers as Record<string, string> | undefined) },
    body: payload,
    authentication: input.authentication as JsonObject | undefined,
    idempotencyKey,
    signal,
  });
}

async function publishTo(mqtt: MqttPort, input: JsonObject, context: StepContext): Promise<void> {
  const { address, qos, retain, contentType } = fixedOf(input).operation!;
  const { payload, headers } = input.message as JsonObject;
  await mqtt.publish({
    ...serverOf(input, context),
    topic: String(address),
    payload: payload ?? null,
    headers: headers as Record<string, string> | undefined,
    contentType: String(contentType),
    qos: qos as 0 | 1 | 2,
    retain: retain === true,
    idempotencyKey: context.idempotencyKey,
  });
}

async function send(webSocket: WebSocketPort, input: JsonObject, { signal }: StepContext): Promise<void> {
  const { url } = fixedOf(input).operation!;
  const { payload, headers } = input.message as JsonObject;
  if (isObject(headers) && Object.keys(headers).length > 0)
    throw new AiosError('connectors.input_invalid', { detail: 'A message over WebSocket has no headers.' });
  const authentication = input.authentication as JsonObject | undefined;
  await webSocket.publish({ url: String(url), payload: payload ?? null, authentication, signal });
}

async function listen(
  { mqtt, webSocket }: MessagePorts,
  input: JsonObject,
  context: StepContext,
  bytesMax: number,
): Promise<Json[]> {
  const { kind, url, address, qos } = fixedOf(input).operation!;
  const { consume } = input.subscription as JsonObject;
  const { amount, for: duration } = isObject(consume) ? consume : {};
  const { conditions, sink } = fixedOf(input);
  const of = conditions as SubscriptionConditions | undefined;
  const messages: JsonObject[] = [];
  let bytes = 0;
  const forMs = duration === undefined ? undefined : parseDuration(duration as string | DurationParts);
  const take = (message: JsonObject): boolean => {
    if (of && !of.accepts(message)) return false;
    bytes += JSON.stringify(message).length;
    if (bytes > bytesMax)
      throw new AiosError('connectors.response_too_large', {
        detail: `The messages have more than ${bytesMax} characters.`,
        extensions: { limitName: 'connectorResponseBytesMax', limit: bytesMax },
      });
    if (sink) return sink(message);
    messages.push(message);
    return messages.length === amount || (of?.isOver(messages) ?? false);
  };
  if (kind === 'ws') {
    const authentication = input.authentication as JsonObject | undefined;
    await webSocket.subscribe({ url: String(url), authentication, signal: context.signal, forMs, take });
  } else {
    const server = serverOf(input, context);
    await mqtt.subscribe({ ...server, topic: String(address), qos: qos as 0 | 1 | 2, forMs, take });
  }
  return messages;
}
