import { createHash, randomUUID } from 'node:crypto';
import type { IClientOptions, IPublishPacket, MqttClient } from 'mqtt';
import { AiosError } from '../../../../kernel/errors.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import { decodedBatch } from '../../messages/decoded.ts';
import type { EventSource, SourceBatch } from '../../port/event-source.ts';
import type { IncomingMessage, SourceContext } from '../../port/protocol.ts';
import { connectMqtt, endMqtt, isVersion5, type MqttServer, mqttError } from './connection.ts';
import { HeldAcknowledgements } from './held-acknowledgements.ts';

export interface MqttSourceSettings extends MqttServer {
  /** Filters, with `+` and `#`. */
  readonly topics: readonly string[];
  /** The session at the broker; `aios-`, the bridge's name and its space when left out. */
  readonly clientId?: string;
  /** How long the broker keeps messages for a bridge that is away (MQTT 5). */
  readonly sessionExpirySeconds?: number;
}

/** Messages that are read and not acknowledged; a broker of MQTT 5 is told, and sends no more. */
const UNACKNOWLEDGED_MAX = 256;
/** The same for brokers that cannot be told: what they send beyond it waits in the connection. */
const REMEMBERED_MAX = 512;
const SESSION_EXPIRY_SECONDS = 7 * 24 * 60 * 60;
const FAILED = 0x80;

/** The digest of the last message under a packet id, for as many as the broker may not know to be acknowledged. */
type Taken = [packetId: number, digest: string][];

interface Place {
  /** The session that the rest is of. */
  readonly clientId?: string;
  readonly topics?: string[];
  readonly taken?: Taken;
}

/**
 * The messages of a persistent session, QoS 1, acknowledged when they are committed. A message that the broker sends again because an acknowledgement was lost has its
 * packet id and says that it is sent again: with the digests of the last messages, which are part of the place, it is known and left out. CloudEvents
 * are told by their ids besides.
 *
 * @throws AiosError `bridges.unreachable`, `bridges.refused`
 */
export function mqttSource(context: SourceContext, settings: MqttSourceSettings): EventSource {
  return {
    name: context.name,
    async *read(from, signal) {
      const reader = new SessionReader(context, settings, from);
      const end = () => reader.end();
      signal.addEventListener('abort', end, { once: true });
      try {
        await reader.open();
        if (!signal.aborted) yield* reader.read();
      } catch (error) {
        if (!signal.aborted) throw mqttError(error, settings);
      } finally {
        signal.removeEventListener('abort', end);
        reader.end();
      }
    },
  };
}

class SessionReader {
  readonly #context: SourceContext;
  readonly #settings: MqttSourceSettings;
  readonly #clientId: string;
  readonly #from: Place | undefined;
  readonly #arrived: IPublishPacket[] = [];
  readonly #held = new HeldAcknowledgements();
  #taken = new Map<number, string>();
  #client: MqttClient | undefined;
  /** What ended the reading; what has arrived before is taken. */
  #fault: { readonly error: unknown } | undefined;
  /** Those that the session is known to have. */
  #topics: readonly string[] = [];
  #wake = () => {};

  constructor(context: SourceContext, settings: MqttSourceSettings, from: JsonObject | undefined) {
    this.#context = context;
    this.#settings = settings;
    this.#clientId = settings.clientId ?? `aios-${context.name}-${context.space}`;
    // What was taken of another session says nothing of this one, nor what that one had subscribed to.
    this.#from = from?.clientId === this.#clientId ? (from as Place) : undefined;
  }

  async open(): Promise<void> {
    const { report } = this.#context;
    const { broker } = this.#settings;
    const clientId = this.#clientId;
    const { client, connack, ended } = await connectMqtt(
      this.#settings,
      this.#context,
      { clientId, clean: false, ...this.#sessionOptions() },
      (made) => {
        this.#client = made;
        this.#held.attach(made, {
          messages: UNACKNOWLEDGED_MAX,
          bytes: this.#context.limits.bridgeReadBytesMax,
        });
        made.on('message', (_topic, _payload, packet) => {
          this.#arrived.push(packet);
          this.#wake();
        });
      },
    );
    void ended.then((error) => this.#fail(error));
    if (connack.sessionPresent) this.#taken = new Map(this.#from?.taken ?? []);
    else if (this.#from)
      report(
        new AiosError('bridges.gap', {
          detail: `${broker} no longer has the session ${clientId}: what was published since the bridge was away is lost to it.`,
        }),
      );
    this.#topics = connack.sessionPresent ? (this.#from?.topics ?? []) : [];
    // What the session holds may come before the answers: it is taken meanwhile.
    void this.#subscribe(client).then(
      () => this.#context.answered(),
      (error: unknown) => {
        this.#fail(error);
        this.end();
      },
    );
  }

  #fail(error: unknown): void {
    this.#fault ??= { error };
    this.#wake();
  }

  #sessionOptions(): IClientOptions {
    const { sessionExpirySeconds = SESSION_EXPIRY_SECONDS } = this.#settings;
    if (!isVersion5(this.#settings)) return {};
    return {
      properties: { sessionExpiryInterval: sessionExpirySeconds, receiveMaximum: UNACKNOWLEDGED_MAX },
    };
  }

  /**
   * All topics, though the session may have them: another client that began it anew under our id has left one without them, and no answer of a broker says so. With MQTT 5
   * retained messages come to a new subscription only (`rh: 1`); with 3.1.1 to each, and are known by their ids.
   */
  async #subscribe(client: MqttClient): Promise<void> {
    const { topics } = this.#settings;
    const gone = this.#topics.filter((topic) => !topics.includes(topic));
    if (gone.length > 0) await client.unsubscribeAsync(gone);
    await this.#subscribeTo(client, topics);
    this.#topics = topics;
  }

  async #subscribeTo(client: MqttClient, topics: readonly string[]): Promise<void> {
    const options = isVersion5(this.#settings) ? ({ qos: 1, rh: 1 } as const) : ({ qos: 1 } as const);
    const granted = await client.subscribeAsync([...topics], options);
    const refused = granted.filter(({ qos }) => qos >= FAILED).map(({ topic }) => topic);
    if (refused.length > 0)
      throw new AiosError('bridges.refused', {
        detail: `${this.#settings.broker} refuses the subscription to ${refused.join(', ')}.`,
      });
  }

  async *read(): AsyncGenerator<SourceBatch> {
    for (;;) {
      while (this.#arrived.length === 0) {
        if (this.#fault) throw this.#fault.error;
        await new Promise<void>((done) => {
          this.#wake = done;
        });
      }
      yield this.#batch(this.#arrived.splice(0, Math.min(UNACKNOWLEDGED_MAX, this.#context.batchMax())));
    }
  }

  end(): void {
    if (this.#client) endMqtt(this.#client);
  }

  #batch(packets: readonly IPublishPacket[]): SourceBatch {
    const messages: IncomingMessage[] = [];
    for (const packet of packets) if (!this.#isTaken(packet)) messages.push(this.#message(packet));
    const kept = isVersion5(this.#settings) ? UNACKNOWLEDGED_MAX : REMEMBERED_MAX;
    for (const packetId of this.#taken.keys()) {
      if (this.#taken.size <= kept) break;
      this.#taken.delete(packetId);
    }
    const position = {
      clientId: this.#clientId,
      topics: [...this.#topics],
      taken: [...this.#taken],
    };
    return {
      ...decodedBatch(this.#context, messages, position),
      acknowledge: async () => this.#held.release(packets),
    };
  }

  /** Whether a message is one that was committed, sent again. */
  #isTaken({ messageId, dup, topic, payload }: IPublishPacket): boolean {
    if (messageId === undefined) return false;
    const short = digestOf(topic, payload).slice(0, 11);
    if (dup && this.#taken.get(messageId) === short) return true;
    this.#taken.delete(messageId); // to the end
    this.#taken.set(messageId, short);
    return false;
  }

  #message({ topic, payload, qos, retain, properties }: IPublishPacket): IncomingMessage {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(properties?.userProperties ?? {}))
      headers[name] = Array.isArray(value) ? (value.at(-1) ?? '') : value;
    return {
      // A retained message comes again with each new subscription, also of a later session.
      id: retain ? `retained-${digestOf(topic, payload)}` : randomUUID(),
      topic,
      value: typeof payload === 'string' ? Buffer.from(payload) : payload,
      headers,
      contentType: properties?.contentType,
      position: { topic, qos, retain },
    };
  }
}

function digestOf(topic: string, payload: string | Buffer): string {
  return createHash('sha256').update(topic).update('\0').update(payload).digest('base64url');
}
