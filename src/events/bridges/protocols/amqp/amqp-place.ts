import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel } from 'amqplib';
import { isObject, type Json } from '../../../../kernel/json.ts';

/** Another process that reads a place at this moment has it for a round trip: then the queue looks empty. */
const LOOKS = 5;
const LOOK_AGAIN_MS = 40;

/**
 * How far each partition of the log was sent, as the broker has it: a message in a queue of its own for each, of which only the newest is kept. It is written in
 * the transaction of what it tells.
 *
 * @example const offset = await places.read(3); places.write(channel, 3, 250)
 */
export class PlacesOfSink {
  /** Not that of transactions: there a message that was looked at would come back only with a commit. */
  readonly #reader: Channel;
  readonly #group: string;
  readonly #space: string;
  readonly #known = new Map<number, number>();
  readonly #declared = new Set<number>();

  /** @param space of the log whose offsets these are: another database has queues of its own */
  constructor(reader: Channel, group: string, space: string) {
    this.#reader = reader;
    this.#group = group;
    this.#space = space;
  }

  /** @returns the last offset that was sent; -1 where none was */
  async read(partition: number): Promise<number> {
    const queue = this.#queueOf(partition);
    if (!this.#declared.has(partition)) {
      await this.#reader.assertQueue(queue, { durable: true, arguments: { 'x-max-length': 1 } });
      this.#declared.add(partition);
    }
    for (let look = 1; look <= LOOKS; look++) {
      const message = await this.#reader.get(queue);
      if (message) {
        this.#reader.reject(message, true); // back to where it was
        const offset = offsetOf(message.content);
        this.#known.set(partition, offset);
        return offset;
      }
      if (look < LOOKS) await sleep(LOOK_AGAIN_MS);
    }
    return this.#known.get(partition) ?? -1;
  }

  /** Joins the transaction of the channel. */
  write(channel: Channel, partition: number, offset: number): void {
    this.#known.set(partition, offset);
    const content = Buffer.from(JSON.stringify({ offset }));
    const properties = { persistent: true, contentType: 'application/json' };
    channel.sendToQueue(this.#queueOf(partition), content, properties);
  }

  #queueOf(partition: number): string {
    return `aios-${this.#group}-${this.#space}-${partition}`;
  }
}

function offsetOf(content: Buffer): number {
  const place = JSON.parse(content.toString('utf8')) as Json;
  return isObject(place) && typeof place.offset === 'number' ? place.offset : -1;
}
