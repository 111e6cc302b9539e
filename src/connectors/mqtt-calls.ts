import { randomUUID } from 'node:crypto';
import { connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { IClientOptions, MqttClient } from 'mqtt';
import { AiosError } from '../kernel/errors.ts';
import { exactJson } from '../kernel/exact-integers.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Authentication } from './authentication.ts';
import { guardedAddresses } from './egress.ts';
import type { Outgoing } from './outgoing.ts';

interface MqttServer {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** MQTT 5, else 3.1.1. */
  readonly isV5: boolean;
  readonly authentication?: Authentication | undefined;
  readonly signal: AbortSignal;
}

interface Publication extends MqttServer {
  readonly topic: string;
  readonly payload: Json;
  /** User properties: of MQTT 5 only. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly contentType: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly idempotencyKey: string;
}

interface Subscription extends MqttServer {
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  /** Takes a message; true when it wants no more. */
  readonly take: (message: MqttMessage) => boolean;
  /** How long it listens; with its end the subscription ends, and is no error. */
  readonly forMs?: number | undefined;
}

/** A message as flows see it (OWS 1.0.3, "AsyncAPI Inbound Message"). */
type MqttMessage = { payload: Json; headers: JsonObject; correlationId?: string };

const CLOSING_MS = 1_000;
/** Reason codes of CONNACK that refuse credentials: those of 3.1.1, and those of 5. */
const REFUSED = new Set([4, 5, 0x86, 0x87]);

/** Publishing and subscribing over MQTT: a connection for each call, to an address that was checked, one attempt. The library is loaded by the first call. */
export class MqttCalls {
  readonly #outgoing: Outgoing;

  constructor(outgoing: Outgoing) {
    this.#outgoing = outgoing;
  }

  /**
   * Answers when the broker has taken the message (QoS 1 and 2), or when it was written (QoS 0).
   *
   * @throws AiosError `connectors.unreachable` and `connectors.refused` (nothing was published), `connectors.outcome_unknown`, `connectors.egress_refused`,
   * `connectors.input_invalid`
   * @example await mqtt.publish({ host: 'broker.example.org', port: 8883, isTls: true, topic: 'greetings', payload: { hello: 1 }, qos: 1, … })
   */
  async publish(publication: Publication): Promise<void> {
    const {
      topic,
      payload,
      headers = {},
      contentType,
      qos,
      retain,
      isV5,
      signal,
      idempotencyKey,
    } = publication;
    if (!isV5 && Object.keys(headers).length > 0)
      throw new AiosError('connectors.input_invalid', {
        detail: 'Headers need MQTT 5: the server has to have the protocol mqtt5, or the protocolVersion 5.',
      });
    const client = await this.#connect(publication);
    const userProperties = { ...headers, 'idempotency-key': idempotencyKey };
    const properties = isV5 ? { properties: { userProperties, contentType } } : {};
    const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
    try {
      const published = client.publishAsync(topic, text, { qos, retain, ...properties });
      await ended(client, published, signal, this.#outgoing.limits.httpCallMs);
      await close(client);
    } catch (error) {
      await close(client, true);
      throw new AiosError('connectors.outcome_unknown', {
        detail: `${topic}: ${messageOf(error)}`,
        ...(signal.aborted ? { extensions: { canceled: true } } : {}),
      });
    }
  }

  /**
   * Listens until `take` wants no more, or for `forMs`.
   *
   * @throws AiosError as `publish`; `connectors.failed` when the connection is lost, or nothing ends it within `subscriptionMs`
   */
  async subscribe(subscription: Subscription): Promise<void> {
    const { topic, qos, take, forMs, signal } = subscription;
    const { subscriptionMs } = this.#outgoing.limits;
    const client = await this.#connect(subscription);
    let timer: NodeJS.Timeout | undefined;
    try {
      let isOver = false;
      const listened = new Promise<void>((done, fail) => {
        client.on('message', (_topic, payload, packet) => {
          // One packet of the network may hold several messages.
          if (isOver) return;
          try {
            const { userProperties, correlationData } = packet.properties ?? {};
            const message: MqttMessage = {
              payload: contentOf(payload),
              headers: { ...userProperties } as JsonObject,
            };
            if (correlationData) message.correlationId = correlationData.toString('utf8');
            isOver = take(message);
            if (isOver) done();
          } catch (error) {
            fail(error);
          }
        });
        if (forMs !== undefined) timer = setTimeout(done, forMs);
        client.subscribeAsync(topic, { qos }).catch(fail);
      });
      await ended(client, listened, signal, forMs === undefined ? subscriptionMs : undefined);
    } catch (error) {
      if (error instanceof AiosError) throw error;
      if (signal.aborted) throw new AiosError('connectors.canceled', { detail: messageOf(error) });
      throw new AiosError('connectors.failed', { detail: `${topic}: ${messageOf(error)}` });
    } finally {
      clearTimeout(timer);
      await close(client, true);
    }
  }

  async #connect({ host, port, isTls, isV5, authentication, signal }: MqttServer): Promise<MqttClient> {
    const { limits, authenticator, resolve } = this.#outgoing;
    const login = authenticator.login(authentication);
    const [to] = await guardedAddresses(host, this.#outgoing.isAllowed(host, port), resolve);
    const { MqttClient } = await import('mqtt');
    const options: IClientOptions = {
      ...login,
      protocolVersion: isV5 ? 5 : 4,
      clientId: `aios-${randomUUID()}`,
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: limits.httpCallMs,
    };
    const at = { host: to!.address, port };
    const client = new MqttClient(
      () => (isTls ? connectTls(isIP(host) === 0 ? { ...at, servername: host } : at) : connectTcp(at)),
      options,
    );
    try {
      await ended(client, new Promise((done) => client.once('connect', done)), signal, limits.httpCallMs);
      return client;
    } catch (error) {
      await close(client, true);
      const detail = `${host}:${port}: ${messageOf(error)}`;
      if (REFUSED.has(Number((error as { code?: unknown }).code)))
        throw new AiosError('connectors.refused', { detail, extensions: { remoteStatus: 401 } });
      throw new AiosError(signal.aborted ? 'connectors.canceled' : 'connectors.unreachable', { detail });
    }
  }
}

/** What the work comes to, unless the connection, the caller or the time ends first. */
async function ended<T>(
  client: MqttClient,
  work: Promise<T>,
  signal: AbortSignal,
  timeoutMs: number | undefined,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let stop: (error?: Error) => void = () => {};
  const canceled = () => stop(new Error('The call was canceled.'));
  try {
    return await Promise.race([
      work,
      new Promise<never>((_, fail) => {
        stop = (error) => fail(error ?? new Error('The connection was closed.'));
        client.on('error', stop);
        client.on('close', () => stop());
        signal.addEventListener('abort', canceled, { once: true });
        if (signal.aborted) canceled();
        if (timeoutMs !== undefined)
          timer = setTimeout(() => stop(new Error(`No end within ${timeoutMs} ms.`)), timeoutMs);
      }),
    ]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', canceled);
  }
}

/** With a farewell, so that what was written is sent; by force after a failure, and when the broker does not answer it in time. */
async function close(client: MqttClient, isFailure = false): Promise<void> {
  client.on('error', () => {}); // what comes after the end is nobody's
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((done) => {
    timer = setTimeout(done, CLOSING_MS);
  });
  if (!isFailure && client.connected) await Promise.race([client.endAsync().catch(() => {}), late]);
  clearTimeout(timer);
  client.end(true);
  client.stream.destroy();
}

function contentOf(payload: Buffer): Json {
  const text = payload.toString('utf8');
  try {
    return exactJson(text);
  } catch {
    return text;
  }
}

function messageOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: string };
  return message || String(code ?? error);
}
