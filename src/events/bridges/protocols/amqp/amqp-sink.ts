import type { Channel, ChannelModel } from 'amqplib';
import type { LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { AiosError } from '../../../../kernel/errors.ts';
import { derivedId } from '../../../../kernel/ids.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import type { EventSink } from '../../port/event-source.ts';
import type { SinkContext } from '../../port/protocol.ts';
import { type AmqpServer, amqpFailure, closeAmqp, connectAmqp } from './amqp-connection.ts';
import { PlacesOfSink } from './amqp-place.ts';

interface Settings extends AmqpServer {
  readonly queue?: string;
  readonly exchange?: string;
  readonly routingKey?: string;
  /** Whether the broker keeps the place of the bridge; true when left out. */
  readonly placeInBroker?: boolean;
}

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
  let opening: Promise<Publisher> | undefined;
  const forget = async () => {
    const gone = opening;
    opening = undefined;
    await gone?.then((publisher) => publisher.close()).catch(() => {});
  };
  return {
    group: context.group,
    async deliver(events, handing) {
      opening ??= Publisher.open(context, server);
      try {
        const publisher = await opening;
        await (handing === 'again' ? publisher.publish(events) : publisher.publishUnsent(events));
        context.answered();
        return { undone: [] };
      } catch (error) {
        await forget();
        throw amqpFailure(error, target, server.tls);
      }
    },
    close: forget,
  };
}

class Publisher {
  readonly #connection: ChannelModel;
  readonly #channel: Channel;
  readonly #places: PlacesOfSink | undefined;
  readonly #context: SinkContext;
  readonly #settings: Settings;
  /** Ids of what the broker could bring to no queue. */
  readonly #returned = new Map<string, string>();
  /** Routing keys by which the broker has found a queue. */
  readonly #routed = new Set<string>();
  /** Whether the transaction holds anything. */
  #isBegun = false;

  private constructor(
    context: SinkContext,
    settings: Settings,
    {
      connection,
      channel,
      places,
    }: { connection: ChannelModel; channel: Channel; places: PlacesOfSink | undefined },
  ) {
    this.#context = context;
    this.#settings = settings;
    this.#connection = connection;
    this.#channel = channel;
    this.#places = places;
    channel.on('return', ({ fields, properties }) =>
      this.#returned.set(String(properties.messageId), String(fields.routingKey)),
    );
  }

  static async open(context: SinkContext, settings: Settings): Promise<Publisher> {
    const connection = await connectAmqp(context, settings);
    const opened = async () => {
      const channel = await connection.createChannel();
      channel.on('error', () => {}); // what waits for an answer is told
      return channel;
    };
    try {
      const channel = await opened();
      await call(channel, TX.select, TX.selectOk);
      const places =
        settings.placeInBroker === false
          ? undefined
          : new PlacesOfSink(await opened(), context.group, context.space);
      const publisher = new Publisher(context, settings, { connection, channel, places });
      if (settings.queue !== undefined && (await isThere(await opened(), settings.queue)))
        publisher.#routed.add(settings.queue);
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
  async publish(events: readonly LoggedEvent[]): Promise<void> {
    for (const event of events) this.#send(event);
    await this.#commit();
    this.#throwReturned();
  }

  async publishUnsent(events: readonly LoggedEvent[]): Promise<void> {
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
    let piece: LoggedEvent[] = [];
    for (const event of events) {
      if (event.offset <= sent.get(event.partition)!) continue;
      const key = this.#routingKeyOf(event);
      if (this.#routed.has(key)) {
        piece.push(event);
        continue;
      }
      // Whether a queue takes it is known with the answer alone, and the place must not be behind one that none takes.
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
    events: readonly LoggedEvent[],
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
    await this.#commit();
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
    await call(this.#channel, TX.commit, TX.commitOk);
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

  #routingKeyOf({ event }: LoggedEvent): string {
    const { queue, routingKey } = this.#settings;
    return routingKey ?? queue ?? event.type;
  }

  #send(logged: LoggedEvent): void {
    const { event, partition, offset } = logged;
    this.#isBegun = true;
    const { value, headers, contentType } = this.#context.encode(event);
    this.#channel.publish(this.#settings.exchange ?? '', this.#routingKeyOf(logged), value, {
      // With hyphens, so that they are no attributes of the event.
      headers: { ...headers, 'aios-partition': partition, 'aios-offset': offset },
      ...{ mandatory: true, persistent: true, type: event.type },
      messageId: idOf(logged),
      timestamp: Math.floor(Date.parse(event.time) / 1000),
      ...(contentType ? { contentType } : {}),
    });
  }
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
