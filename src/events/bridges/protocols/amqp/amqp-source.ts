import { randomUUID } from 'node:crypto';
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import type { CloudEvent } from '../../../../kernel/cloudevent.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import type { EventSource, RejectedMessage, SourceBatch } from '../../port/event-source.ts';
import type { IncomingMessage, SourceContext } from '../../port/protocol.ts';
import { type AmqpServer, amqpFailure, closeAmqp, connectAmqp } from './amqp-connection.ts';
import { FittingPrefetch } from './fitting-prefetch.ts';
import { headerText } from './header-text.ts';
import { requireLasting } from './lasting-queue.ts';

interface Settings extends AmqpServer {
  readonly queue: string;
  readonly prefetch?: number;
}

const PREFETCH = 500;
/** How often the broker is asked how many messages wait. */
const DEPTH_MS = 2_000;

/**
 * A queue. A message is acknowledged once its event is committed: what was read before a crash comes again, and the log knows it by the id of the event, or of the
 * message. No more is held than was acknowledged, but for `prefetch` messages, and for `bridgeReadBytesMax` of them and one message more: the others are given back.
 */
export function amqpSource(context: SourceContext, settings: JsonObject): EventSource {
  const server = settings as unknown as Settings;
  return {
    name: context.name,
    async *read(_from, signal) {
      const connection = await connectAmqp(context, server);
      const reader = new QueueReader(connection, server, context);
      try {
        await requireLasting(connection, server.queue);
        await reader.askDepth(await connection.createChannel());
        yield* reader.read(signal);
      } catch (error) {
        throw amqpFailure(error, server.queue, server.tls);
      } finally {
        await closeAmqp(connection, reader.close());
      }
    },
  };
}

class QueueReader {
  readonly #connection: ChannelModel;
  readonly #settings: Settings;
  readonly #context: SourceContext;
  readonly #prefetch: FittingPrefetch;
  #channel: Channel | undefined;
  #isChanging = false;
  #waiting: ConsumeMessage[] = [];
  /** Messages for which there was no room: they go back into the queue. */
  #surplus = 0;
  #fault: unknown;
  /** Messages that are held and not acknowledged. */
  #held = 0;
  /** Of their bodies. */
  #heldBytes = 0;
  #wake: () => void = () => {};
  #emptied: () => void = () => {};

  constructor(connection: ChannelModel, settings: Settings, context: SourceContext) {
    this.#connection = connection;
    this.#settings = settings;
    this.#context = context;
    this.#prefetch = new FittingPrefetch(settings.prefetch ?? PREFETCH, context.limits.bridgeReadBytesMax);
  }

  /** Tells how many messages the queue holds, now and then, until the channel ends: the broker may not say it to everybody. */
  async askDepth(channel: Channel): Promise<void> {
    const ask = async () => {
      const { messageCount } = await channel.checkQueue(this.#settings.queue);
      this.#context.behind(messageCount + this.#held + this.#surplus);
    };
    const asking = setInterval(() => void ask().catch(() => clearInterval(asking)), DEPTH_MS).unref();
    channel.on('error', () => {}).on('close', () => clearInterval(asking));
    await ask().catch(() => clearInterval(asking));
  }

  async *read(signal: AbortSignal): AsyncGenerator<SourceBatch> {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    await this.#consume(await this.#openChannel());
    this.#context.answered();
    while (!signal.aborted) {
      if (this.#fault) throw this.#fault;
      if (this.#waiting.length > 0) yield this.#batch(this.#waiting.splice(0, this.#context.batchMax()));
      else
        await new Promise<void>((done) => {
          this.#wake = done;
        });
    }
  }

  /** Behind what was acknowledged: the end of a connection overtakes what its channels send. */
  async close(): Promise<void> {
    await this.#channel?.close();
  }

  #end(error: unknown): void {
    this.#fault ??= error;
    this.#wake();
  }

  async #openChannel(): Promise<Channel> {
    const channel = await this.#connection.createChannel();
    const end = (error?: unknown) => {
      if (channel === this.#channel) this.#end(error ?? new Error('the channel was closed'));
    };
    this.#channel = channel.on('error', end).on('close', end);
    return channel;
  }

  async #consume(channel: Channel): Promise<void> {
    await channel.prefetch(this.#prefetch.count);
    // The broker shares a queue out among its readers: with a second one, its order would be lost.
    await channel.consume(this.#settings.queue, (message) => this.#take(message), { exclusive: true });
  }

  /**
   * The connection is always read, also while a commit takes long: RabbitMQ ends one of which nothing is read for 30 s (3.10, tried), and its answers and heartbeats come
   * behind the messages. It bounds what it sends by the number of messages alone, whatever their size; so what is too much is read and let go.
   */
  #take(message: ConsumeMessage | null): void {
    if (message === null) this.#end(new Error('the queue was deleted'));
    else if (this.#isChanging) this.#surplus++;
    else if (this.#heldBytes >= this.#context.limits.bridgeReadBytesMax) {
      this.#surplus++;
      this.#prefetch.overflowed(this.#held);
      this.#change();
    } else {
      this.#waiting.push(message);
      this.#held++;
      this.#heldBytes += message.content.byteLength;
      this.#wake();
    }
  }

  /**
   * A consumer keeps the bound that it began with: once all that is held was acknowledged, another takes its place, on a channel of its own. The end of a channel puts the
   * others back in their order; a quorum queue puts behind all others what is refused one by one, or is on its way when a consumer is canceled.
   */
  #change(): void {
    if (this.#isChanging) return;
    this.#isChanging = true;
    const change = async () => {
      if (this.#held > 0)
        await new Promise<void>((done) => {
          this.#emptied = done;
        });
      const ending = this.#channel;
      const channel = await this.#openChannel();
      await ending?.close();
      this.#surplus = 0;
      this.#isChanging = false;
      await this.#consume(channel);
    };
    change().catch((error: unknown) => this.#end(error));
  }

  #batch(messages: readonly ConsumeMessage[]): SourceBatch {
    const events: CloudEvent[] = [];
    const rejected: RejectedMessage[] = [];
    for (const message of messages) {
      const decoded = this.#context.decode(this.#messageOf(message));
      if ('letter' in decoded) rejected.push(decoded as RejectedMessage);
      else events.push(decoded as CloudEvent);
    }
    return {
      ...{ events, rejected, position: {} },
      acknowledge: async () => {
        if (this.#fault) throw this.#fault;
        this.#channel!.ack(messages.at(-1)!, true); // and all before it
        const bytes = messages.reduce((sum, { content }) => sum + content.byteLength, 0);
        this.#held -= messages.length;
        this.#heldBytes -= bytes;
        if (this.#prefetch.passed(messages.length, bytes)) this.#change();
        if (this.#held === 0) this.#emptied();
      },
    };
  }

  #messageOf({ content, properties, fields }: ConsumeMessage): IncomingMessage {
    const { messageId, contentType, timestamp, headers = {} } = properties;
    const texts: Record<string, string> = {};
    for (const [name, value] of Object.entries(headers as Record<string, unknown>)) {
      const text = headerText(value);
      if (text !== undefined) texts[name] = text;
    }
    const { exchange, routingKey } = fields;
    return {
      // Without an id of its own nothing tells a message that comes again from another with the same body.
      id: String(messageId || randomUUID()),
      value: content,
      headers: texts,
      contentType: contentType as string | undefined,
      topic: this.#settings.queue,
      timeMs: typeof timestamp === 'number' ? timestamp * 1000 : undefined,
      position: { exchange, routingKey },
    };
  }
}
