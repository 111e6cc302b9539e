import type { Channel, ChannelModel, ConfirmChannel } from 'amqplib';
import type { LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { AiosError } from '../../../../kernel/errors.ts';
import { derivedId } from '../../../../kernel/ids.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import type { EventSink } from '../../port/event-source.ts';
import type { OutgoingMessage, SinkContext } from '../../port/protocol.ts';
import { fittingOf, type Written } from '../fitting.ts';
import { type AmqpServer, amqpFailure, closeAmqp, connectAmqp, isPartial } from './amqp-connection.ts';
import { PlacesOfSink } from './amqp-place.ts';

interface Settings extends AmqpServer {
  readonly queue?: string;
  readonly exchange?: string;
  readonly routingKey?: string;
  /** Whether the broker keeps the place of the bridge; true when left out. */
  readonly placeInBroker?: boolean;
}

/** What is known of the broker over connections. */
interface Known {
  /** Bytes of a message, where it has refused one that has more. */
  bytesMax: number;
  /** Whether a queue was full: then each event goes out alone, and its place when it is there. */
  isWary: boolean;
  /** Places that were kept without all of the events before them, by partition: they are to be set back. */
  readonly ahead: Map<number, { readonly told: number; readonly before: number }>;
}

/** A short string of AMQP: a routing key. */
const SHORT_BYTES_MAX = 255;
/** The library writes the headers of a message into 64 KiB; 1 KiB is left for those of the bridge. */
const HEADERS_BYTES_MAX = 63 * 1024;

/** Methods of AMQP that the library knows and has no function for, by class and number (AMQP 0-9-1, 1.9). */
const TX = { select: 0x5a_000a, selectOk: 0x5a_000b, commit: 0x5a_0014, commitOk: 0x5a_0015 };

interface WithMethods {
  rpc(method: number, fields: object, answer: number): Promise<unknown>;
}

/**
 * Publishes persistent messages in transactions of AMQP, together with the place in the log that they lead to (`PlacesOfSink`): who comes after a crash reads the
 * place and goes on behind it. RabbitMQ carries a transaction out as a whole whatever becomes of us; only its own end in the middle of one may leave a part of it.
 * The message id is that of the event, so that a receiver knows even that.
 */
export function amqpSink(context: SinkContext, settings: JsonObject): EventSink {
  const server = settings as unknown as Settings;
  const target = server.queue ?? server.exchange!;
  const known: Known = { bytesMax: Number.POSITIVE_INFINITY, isWary: false, ahead: new Map() };
  let opening: Promise<Publisher> | undefined;
  const open = () => {
    opening ??= Publisher.open(context, server, known);
    return opening;
  };
  const forget = async () => {
    const gone = opening;
    opening = undefined;
    await gone?.then((publisher) => publisher.close()).catch(() => {});
  };
  const deliver: EventSink['deliver'] = async (events, handing) => {
    const { fitting, ...rest } = fittingOf(events, {
      encode: context.encode,
      isStrict: handing === 'strict',
      faultOf: (message, event) => faultOf(message, routingKeyOf(server, event), known),
    });
    try {
      const publisher = await open();
      await (handing === 'again' ? publisher.publish(fitting) : publisher.publishUnsent(fitting));
      known.isWary = false;
      context.answered();
      return rest;
    } catch (error) {
      await forget();
      if (known.ahead.size > 0) await open().catch(forget); // at once: whoever comes next takes the places for true
      const bytesMax = bytesMaxIn(error);
      if (bytesMax >= known.bytesMax) throw amqpFailure(error, target, server.tls);
      known.bytesMax = bytesMax;
      return deliver(events, handing);
    }
  };
  return { group: context.group, deliver, close: forget };
}

/** Why AMQP or this broker never takes a message. */
function faultOf({ value, headers }: OutgoingMessage, routingKey: string, { bytesMax }: Known) {
  if (value.byteLength > bytesMax) return `${value.byteLength} bytes; the broker takes ${bytesMax}.`;
  const keyBytes = Buffer.byteLength(routingKey);
  if (keyBytes > SHORT_BYTES_MAX)
    return `A routing key of ${keyBytes} bytes; AMQP has room for ${SHORT_BYTES_MAX}.`;
  const headerBytes = Object.entries(headers).reduce(
    (sum, [name, text]) => sum + Buffer.byteLength(name) + Buffer.byteLength(text) + 6, // their lengths and the kind
    0,
  );
  if (headerBytes > HEADERS_BYTES_MAX)
    return `${headerBytes} bytes of attributes in headers; at most ${HEADERS_BYTES_MAX}. In structured mode they are part of the body.`;
  return undefined;
}

function routingKeyOf({ queue, routingKey }: Settings, { event }: LoggedEvent): string {
  return routingKey ?? queue ?? event.type;
}

/** What RabbitMQ says of a message that is over `max_message_size`. */
function bytesMaxIn(error: unknown): number {
  const [, bytes] = /larger than (?:configured )?max size (\d+)/.exec((error as Error).message ?? '') ?? [];
  return bytes === undefined ? Number.POSITIVE_INFINITY : Number(bytes);
}

class Publisher {
  readonly #connection: ChannelModel;
  readonly #channel: Channel;
  readonly #places: PlacesOfSink | undefined;
  readonly #context: SinkContext;
  readonly #settings: Settings;
  readonly #known: Known;
  /** Ids of what the broker could bring to no queue. */
  readonly #returned = new Map<string, string>();
  /** Routing keys by which the broker has found a queue. */
  readonly #routed = new Set<string>();
  /** Whether the transaction holds anything. */
  #isBegun = false;

  private constructor(
    context: SinkContext,
    settings: Settings,
    parts: { connection: ChannelModel; channel: Channel; places: PlacesOfSink | undefined; known: Known },
  ) {
    this.#context = context;
    this.#settings = settings;
    this.#connection = parts.connection;
    this.#channel = parts.channel;
    this.#places = parts.places;
    this.#known = parts.known;
    parts.channel.on('return', ({ fields, properties }) =>
      this.#returned.set(String(properties.messageId), String(fields.routingKey)),
    );
  }

  static async open(context: SinkContext, settings: Settings, known: Known): Promise<Publisher> {
    const connection = await connectAmqp(context, settings);
    const opened = async () => {
      const channel = await connection.createChannel();
      channel.on('error', () => {}); // what waits for an answer is told
      return channel;
    };
    const confirming = async () => {
      const channel = await connection.createConfirmChannel();
      channel.on('error', () => {}); // the same
      return channel;
    };
    try {
      const channel = settings.placeInBroker === false ? await confirming() : await opened();
      if (settings.placeInBroker !== false) await call(channel, TX.select, TX.selectOk);
      const places =
        settings.placeInBroker === false
          ? undefined
          : new PlacesOfSink(await opened(), context.group, context.space);
      const publisher = new Publisher(context, settings, { connection, channel, places, known });
      if (settings.queue !== undefined && (await isThere(await opened(), settings.queue)))
        publisher.#routed.add(settings.queue);
      await publisher.#setBack();
      return publisher;
    } catch (error) {
      await closeAmqp(connection);
      throw error;
    }
  }

  async close(): Promise<void> {
    await closeAmqp(this.#connection);
  }

  /** Without a place: dead letters, and where the broker is to keep none. */
  async publish(events: readonly Written[]): Promise<void> {
    for (const event of events) this.#send(event);
    await this.#commit();
    this.#throwReturned();
  }

  async publishUnsent(events: readonly Written[]): Promise<void> {
    const places = this.#places;
    if (!places) return this.publish(events);
    const partitions = [...new Set(events.map(({ partition }) => partition))];
    const sent = new Map(
      await Promise.all(
        partitions.map(async (partition) => [partition, await places.read(partition)] as const),
      ),
    );
    for (const [partition, offset] of sent)
      if (events.some((event) => event.partition === partition && event.offset <= offset))
        await this.#context.checkPlace(partition, offset);
    let piece: Written[] = [];
    for (const event of events) {
      if (event.offset <= sent.get(event.partition)!) continue;
      const key = routingKeyOf(this.#settings, event);
      if (this.#routed.has(key) && !this.#known.isWary) {
        piece.push(event);
        continue;
      }
      // Whether there is a queue that takes it is known with the answer alone, and the place must not be behind one that none takes.
      await this.#publishWithPlace(piece, places, sent);
      piece = [];
      await this.publish([event]);
      this.#routed.add(key);
      sent.set(event.partition, event.offset);
      this.#writePlace(places, event.partition, event.offset); // with what comes next, or alone
    }
    await this.#publishWithPlace(piece, places, sent);
  }

  async #publishWithPlace(
    events: readonly Written[],
    places: PlacesOfSink,
    sent: Map<number, number>,
  ): Promise<void> {
    const before = new Map(sent);
    for (const event of events) {
      this.#send(event);
      sent.set(event.partition, event.offset);
    }
    for (const partition of new Set(events.map((event) => event.partition)))
      this.#writePlace(places, partition, sent.get(partition)!);
    await this.#commit().catch((error: unknown) => {
      if (isPartial(error)) this.#oweBack(before, sent);
      throw error;
    });
    if (this.#returned.size === 0) return;
    // A binding went away meanwhile: back to before the first that no queue took.
    for (const [partition, run] of Map.groupBy(events, (event) => event.partition)) {
      const first = run.findIndex((event) => this.#returned.has(idOf(event)));
      if (first >= 0) this.#writePlace(places, partition, run[first - 1]?.offset ?? before.get(partition)!);
    }
    await this.#commit();
    this.#throwReturned();
  }

  #writePlace(places: PlacesOfSink, partition: number, offset: number): void {
    this.#isBegun = true;
    places.write(this.#channel, partition, offset);
  }

  async #commit(): Promise<void> {
    if (!this.#isBegun) return;
    this.#isBegun = false;
    if (this.#places) await call(this.#channel, TX.commit, TX.commitOk);
    else await confirmed(this.#channel as ConfirmChannel);
  }

  #throwReturned(): void {
    const [key] = this.#returned.values();
    if (key === undefined) return;
    const place = this.#settings.queue ?? this.#settings.exchange!;
    const count = this.#returned.size;
    this.#returned.clear();
    throw new AiosError('bridges.failed', {
      detail: `${place}: no queue is bound for ${count} messages, of the routing key “${key}”.`,
    });
  }

  /** A queue that is full (`x-overflow: reject-publish`) refuses its part of a transaction, and that of the place is carried out. */
  #oweBack(before: ReadonlyMap<number, number>, sent: ReadonlyMap<number, number>): void {
    this.#known.isWary = true;
    for (const [partition, told] of sent)
      if (told !== before.get(partition))
        this.#known.ahead.set(partition, { told, before: before.get(partition)! });
  }

  async #setBack(): Promise<void> {
    const places = this.#places;
    const { ahead } = this.#known;
    if (!places) return;
    // Another process may have gone on meanwhile.
    for (const [partition, { told, before }] of ahead)
      if ((await places.read(partition)) === told) this.#writePlace(places, partition, before);
    await this.#commit();
    ahead.clear();
  }

  #send(written: Written): void {
    const { event, partition, offset, message } = written;
    this.#isBegun = true;
    const { value, headers, contentType } = message;
    const isShort = Buffer.byteLength(event.type) <= SHORT_BYTES_MAX;
    this.#channel.publish(this.#settings.exchange ?? '', routingKeyOf(this.#settings, written), value, {
      // With hyphens, so that they are no attributes of the event.
      headers: { ...headers, 'aios-partition': partition, 'aios-offset': offset },
      ...{ mandatory: true, persistent: true, ...(isShort ? { type: event.type } : {}) },
      messageId: idOf(written),
      timestamp: Math.floor(Date.parse(event.time) / 1000),
      ...(contentType ? { contentType } : {}),
    });
  }
}

/** Without a place there is nothing to carry out as a whole, and a confirmation tells more: a transaction hides what a quorum queue refuses. */
async function confirmed(channel: ConfirmChannel): Promise<void> {
  await channel.waitForConfirms().catch((error: Error) => {
    if (!/nacked/.test(error.message)) throw error;
    throw new AiosError('bridges.failed', {
      detail: `A queue refuses messages (${error.message}).`,
      cause: error,
    });
  });
}

/** Where it is not, or where the user may not know, the first message tells. */
async function isThere(channel: Channel, queue: string): Promise<boolean> {
  try {
    await channel.checkQueue(queue);
    await channel.close();
    return true;
  } catch {
    return false; // which closed the channel
  }
}

function idOf({ event }: LoggedEvent): string {
  return derivedId('msg', event.source, event.id);
}

function call(channel: Channel, method: number, answer: number): Promise<unknown> {
  return (channel as unknown as WithMethods).rpc(method, {}, answer);
}
