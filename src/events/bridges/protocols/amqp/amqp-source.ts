import { randomUUID } from 'node:crypto';
import type { Channel, ConsumeMessage } from 'amqplib';
import type { CloudEvent } from '../../../../kernel/cloudevent.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import type { EventSource, RejectedMessage, SourceBatch } from '../../port/event-source.ts';
import type { IncomingMessage, SourceContext } from '../../port/protocol.ts';
import { type AmqpServer, amqpFailure, closeAmqp, connectAmqp, HeldReading } from './amqp-connection.ts';

interface Settings extends AmqpServer {
  readonly queue: string;
  readonly prefetch?: number;
}

const PREFETCH = 500;
/** How often the broker is asked how many messages wait. */
const DEPTH_MS = 2_000;

/**
 * A queue. A message is acknowledged once its event is committed: what was read before a crash comes again, and the log knows it by the id of the event, or of the
 * message. No more is read than was acknowledged, but for `prefetch` messages, and for `bridgeReadBytesMax` of them and one message more.
 */
export function amqpSource(context: SourceContext, settings: JsonObject): EventSource {
  const server = settings as unknown as Settings;
  return {
    name: context.name,
    async *read(_from, signal) {
      const connection = await connectAmqp(context, server);
      const reading = new HeldReading(connection);
      try {
        const channel = await connection.createChannel();
        const reader = new QueueReader(channel, server, context, reading);
        await reader.askDepth(await connection.createChannel());
        yield* reader.read(signal);
      } catch (error) {
        throw amqpFailure(error, server.queue, server.tls);
      } finally {
        reading.end();
        await closeAmqp(connection);
      }
    },
  };
}

class QueueReader {
  readonly #channel: Channel;
  readonly #settings: Settings;
  readonly #context: SourceContext;
  readonly #reading: HeldReading;
  #waiting: ConsumeMessage[] = [];
  #fault: unknown;
  /** Messages that the broker has handed over and that are not acknowledged. */
  #unacknowledged = 0;
  /** Of their bodies. */
  #unacknowledgedBytes = 0;
  #wake: () => void = () => {};

  constructor(channel: Channel, settings: Settings, context: SourceContext, reading: HeldReading) {
    this.#reading = reading;
    this.#channel = channel;
    this.#settings = settings;
    this.#context = context;
  }

  /** Tells how many messages the queue holds, now and then, until the channel ends: the broker may not say it to everybody. */
  async askDepth(channel: Channel): Promise<void> {
    const ask = async () => {
      const { messageCount } = await channel.checkQueue(this.#settings.queue);
      this.#context.behind(messageCount + this.#unacknowledged);
    };
    const asking = setInterval(() => void ask().catch(() => clearInterval(asking)), DEPTH_MS).unref();
    channel.on('error', () => {}).on('close', () => clearInterval(asking));
    await ask().catch(() => clearInterval(asking));
  }

  async *read(signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const { queue, prefetch = PREFETCH } = this.#settings;
    const end = (error?: unknown) => {
      this.#fault ??= error ?? new Error('the channel was closed');
      this.#wake();
    };
    this.#channel.on('error', end).on('close', end);
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    await this.#channel.prefetch(prefetch);
    const take = (message: ConsumeMessage | null) => {
      if (message === null) return end(new Error('the queue was deleted'));
      this.#waiting.push(message);
      this.#unacknowledged++;
      this.#unacknowledgedBytes += message.content.byteLength;
      if (this.#isFull()) this.#reading.hold();
      this.#wake();
    };
    // The broker shares a queue out among its readers: with a second one, its order would be lost.
    await this.#channel.consume(queue, take, { exclusive: true });
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

  #isFull(): boolean {
    return this.#unacknowledgedBytes >= this.#context.limits.bridgeReadBytesMax;
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
        this.#channel.ack(messages.at(-1)!, true); // and all before it
        this.#unacknowledged -= messages.length;
        for (const { content } of messages) this.#unacknowledgedBytes -= content.byteLength;
        if (!this.#isFull()) this.#reading.goOn();
      },
    };
  }

  #messageOf({ content, properties, fields }: ConsumeMessage): IncomingMessage {
    const { messageId, contentType, timestamp, headers = {} } = properties;
    const texts = Object.entries(headers as Record<string, unknown>).map(([name, value]) => [
      name,
      typeof value === 'object' ? JSON.stringify(value) : String(value),
    ]);
    const { exchange, routingKey } = fields;
    return {
      // Without an id of its own nothing tells a message that comes again from another with the same body.
      id: String(messageId ?? randomUUID()),
      value: content,
      headers: Object.fromEntries(texts) as Record<string, string>,
      contentType: contentType as string | undefined,
      topic: this.#settings.queue,
      timeMs: typeof timestamp === 'number' ? timestamp * 1000 : undefined,
      position: { exchange, routingKey },
    };
  }
}
