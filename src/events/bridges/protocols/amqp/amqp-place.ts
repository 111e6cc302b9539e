import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel } from 'amqplib';
import { isObject, type Json } from '../../../../kernel/json.ts';

/** Another process that reads a place at this moment has it for a round trip: then the queue looks empty. */
const LOOKS = 5;
const LOOK_AGAIN_MS = 40;
/** The queue of a life that is over goes after it. */
const LIFE_UNUSED_MS = 7 * 24 * 60 * 60 * 1000;

/** The one message of a queue, which stays there. */
async function lookAt(reader: Channel, queue: string): Promise<Buffer | undefined> {
  for (let look = 1; look <= LOOKS; look++) {
    const message = await reader.get(queue);
    if (message) {
      reader.reject(message, true); // back to where it was
      return message.content;
    }
    if (look < LOOKS) await sleep(LOOK_AGAIN_MS);
  }
  return undefined;
}

/**
 * How far each partition of the log was sent, as the broker has it: a message in a queue of its own for each, of which only the newest is kept. It is written in
 * the transaction of what it tells. A transaction of RabbitMQ is whole whatever becomes of us, but not over its own end: then the place may have been kept and the events before it
 * lost. So a place from before the broker was started counts for nothing, and the batch that the consumer group has next comes again.
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
  /** That of the places written here; known once a place was read. */
  #life: string | undefined;
  #beginning: Promise<string> | undefined;
  readonly #lives = new Map<string, Promise<boolean>>();

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
    const found = await lookAt(this.#reader, queue);
    if (!found) {
      this.#life ??= await this.#begun();
      return this.#known.get(partition) ?? -1;
    }
    const { offset, life } = placeIn(found);
    const isTrue = await this.#isOf(life);
    if (isTrue) this.#life ??= life;
    else this.#life ??= await this.#begun();
    this.#known.set(partition, isTrue ? offset : -1);
    return isTrue ? offset : -1;
  }

  /** Joins the transaction of the channel. */
  write(channel: Channel, partition: number, offset: number): void {
    this.#known.set(partition, offset);
    const content = Buffer.from(JSON.stringify({ offset, life: this.#life }));
    const properties = { persistent: true, contentType: 'application/json' };
    channel.sendToQueue(this.#queueOf(partition), content, properties);
  }

  #begun(): Promise<string> {
    this.#beginning ??= this.#begin();
    return this.#beginning;
  }

  /** A life of the broker, of a name of its own: a queue with a message that goes when the broker ends. Nobody takes it; that it is there is what counts. */
  async #begin(): Promise<string> {
    const life = randomUUID();
    await this.#countOf(life);
    this.#reader.sendToQueue(this.#queueOf(`life-${life}`), Buffer.from(''), { persistent: false });
    this.#lives.set(life, Promise.resolve(true));
    return life;
  }

  /** Whether the broker has not ended since. */
  #isOf(life: string): Promise<boolean> {
    if (life === '') return Promise.resolve(false);
    const known = this.#lives.get(life) ?? this.#countOf(life).then((count) => count > 0);
    this.#lives.set(life, known);
    return known;
  }

  async #countOf(life: string): Promise<number> {
    const { messageCount } = await this.#reader.assertQueue(this.#queueOf(`life-${life}`), {
      durable: true,
      arguments: { 'x-queue-type': 'classic', 'x-expires': LIFE_UNUSED_MS },
    });
    return messageCount;
  }

  #queueOf(what: number | string): string {
    return `aios-${this.#group}-${this.#space}-${what}`;
  }
}

function placeIn(content: Buffer): { offset: number; life: string } {
  const place = JSON.parse(content.toString('utf8')) as Json;
  const { offset, life } = isObject(place) ? place : {};
  return { offset: typeof offset === 'number' ? offset : -1, life: typeof life === 'string' ? life : '' };
}
