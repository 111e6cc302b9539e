import { randomUUID } from 'node:crypto';
import type { MqttClient } from 'mqtt';
import { isObject, type Json } from '../../../../kernel/json.ts';

/**
 * How far each partition of the log was sent, as the broker has it: a retained message at `aios-<group>/<partition>`. A broker takes what comes over a connection in
 * order, so that a place is there only with all that was sent before it.
 *
 * @example await places.open(client); if (offset > places.of(3)) …; places.sent(client, 3, offset)
 */
export class PlacesOfSink {
  readonly #topic: string;
  readonly #space: string;
  readonly #last = new Map<number, number>();
  readonly #untold = new Map<number, number>();

  /** @param space of the log whose offsets these are; what another one left counts for nothing */
  constructor(group: string, space: string) {
    this.#topic = `aios-${group}`;
    this.#space = space;
  }

  /** The last offset that the broker has; -1 where it has none. */
  of(partition: number): number {
    return this.#last.get(partition) ?? -1;
  }

  /** Reads what is there, and from then on what other processes tell. */
  async open(client: MqttClient): Promise<void> {
    const marker = randomUUID();
    const read = new Promise<void>((done) => {
      client.on('message', (topic, payload) => {
        const name = topic.slice(this.#topic.length + 1);
        if (name === 'read') {
          if (payload.toString() === marker) done();
        } else this.#take(Number(name), payload);
      });
    });
    await client.subscribeAsync(`${this.#topic}/+`, { qos: 1 });
    // What is retained was on its way before it.
    await client.publishAsync(`${this.#topic}/read`, marker, { qos: 1 });
    await read;
  }

  /** Told after all that is sent in this moment, so that many events cost one message. */
  sent(client: MqttClient, partition: number, offset: number): void {
    if (this.#untold.size === 0) process.nextTick(() => this.#tell(client));
    this.#untold.set(partition, offset);
  }

  /** Resolves when the broker has what it was told of these partitions. */
  async tell(client: MqttClient, partitions: Iterable<number>): Promise<void> {
    for (const partition of partitions)
      await client.publishAsync(...this.#message(partition, this.of(partition)), { qos: 1, retain: true });
  }

  /** The broker has said that it has it. */
  taken(partition: number, offset: number): void {
    if (offset > this.of(partition)) this.#last.set(partition, offset);
  }

  #tell(client: MqttClient): void {
    for (const [partition, offset] of this.#untold)
      client.publish(...this.#message(partition, offset), { qos: 0, retain: true }, () => {}); // the end of the connection is told
    this.#untold.clear();
  }

  #message(partition: number, offset: number): [topic: string, payload: string] {
    return [`${this.#topic}/${partition}`, JSON.stringify({ space: this.#space, offset })];
  }

  #take(partition: number, payload: Buffer): void {
    const place = parsed(payload);
    if (isObject(place) && place.space === this.#space && typeof place.offset === 'number')
      this.taken(partition, place.offset);
  }
}

function parsed(payload: Buffer): Json {
  try {
    return JSON.parse(payload.toString()) as Json;
  } catch {
    return null; // of somebody else
  }
}
