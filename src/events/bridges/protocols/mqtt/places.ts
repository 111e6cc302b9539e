import { randomUUID } from 'node:crypto';
import type { MqttClient } from 'mqtt';
import { isObject, type Json } from '../../../../kernel/json.ts';

/** Offsets of the log with the packet ids that their messages have. */
export type PacketIds = readonly (readonly [offset: number, packetId: number])[];

/** What a message of QoS 2 is in, beside the place: its packets may be in the session whatever became of us. */
export interface InSession {
  /** The broker may have them, and has passed none on. */
  readonly sending?: PacketIds;
  /** The broker has them, may have passed them on, and is to pass on the others. The place is behind them. */
  readonly releasing?: PacketIds;
}

interface Place extends InSession {
  readonly offset: number;
}

/** Topics of what is sent only to come back. */
const READ = 'read/';

/**
 * How far each partition of the log was sent, as the broker has it: a retained message at `aios-<group>/<space>/<partition>`. A broker takes what comes over a connection in
 * order, so that a place is there only with all that was sent before it.
 *
 * @example await places.open(client); if (offset > places.of(3)) …; places.sent(client, 3, offset)
 */
export class PlacesOfSink {
  readonly #topic: string;
  readonly #last = new Map<number, Place>();
  /** What the broker said last; this process may know better. */
  readonly #said = new Map<number, number>();
  readonly #untold = new Map<number, number>();
  readonly #reads = new Map<string, () => void>();

  /** @param space of the log whose offsets these are: another database has topics of its own */
  constructor(group: string, space: string) {
    this.#topic = `aios-${group}/${space}`;
  }

  /** A topic that nobody reads. */
  get nobody(): string {
    return `${this.#topic}/to/nobody`;
  }

  /** The last offset that the broker has; -1 where it has none. */
  of(partition: number): number {
    return this.#last.get(partition)?.offset ?? -1;
  }

  inSession(partition: number): InSession {
    return this.#last.get(partition) ?? {};
  }

  /** Whether the broker has gone back behind what it had: it was started again with an older state, its sessions among it. */
  isOutdated(partition: number): boolean {
    return (this.#said.get(partition) ?? -1) < this.of(partition);
  }

  /** Reads what is there, and from then on what other processes tell. */
  async open(client: MqttClient): Promise<void> {
    this.#said.clear();
    client.on('message', (topic, payload) => {
      const name = topic.slice(this.#topic.length + 1);
      if (name.startsWith(READ)) this.#reads.get(name.slice(READ.length))?.();
      else this.#take(Number(name), payload);
    });
    // What this connection tells does not come back to it, where the broker can be told so (MQTT 5).
    await client.subscribeAsync({
      [`${this.#topic}/+`]: { qos: 1, nl: true },
      [`${this.#topic}/${READ}+`]: { qos: 1 },
    });
    await this.read(client);
  }

  /** Resolves when all is known that was told before: it was on its way before what comes back now. */
  async read(client: MqttClient): Promise<void> {
    const marker = randomUUID();
    const read = new Promise<void>((done) => this.#reads.set(marker, done));
    await client.publishAsync(`${this.#topic}/${READ}${marker}`, '', { qos: 1 });
    await read;
    this.#reads.delete(marker);
  }

  /** Told after all that is sent in this moment, so that many events cost one message. */
  sent(client: MqttClient, partition: number, offset: number): void {
    if (this.#untold.size === 0) process.nextTick(() => this.#tell(client));
    this.#untold.set(partition, offset);
  }

  /** The broker has said that it has it. */
  taken(partition: number, offset: number): void {
    this.#said.set(partition, offset);
    if (offset > this.of(partition)) this.#last.set(partition, { offset });
  }

  /** Sets a place back, or what is in the session: the broker has lost that, or never took it. */
  back(partition: number, offset: number): void {
    this.#said.set(partition, offset);
    this.#last.set(partition, { offset });
  }

  #tell(client: MqttClient): void {
    for (const [partition, offset] of this.#untold)
      client.publish(...this.message(partition, { offset }), { qos: 0, retain: true }, () => {}); // the end of the connection is told
    this.#untold.clear();
  }

  message(partition: number, place: Place): [topic: string, payload: string] {
    return [`${this.#topic}/${partition}`, JSON.stringify(place)];
  }

  #take(partition: number, payload: Buffer): void {
    const place = parsed(payload);
    if (!isObject(place) || typeof place.offset !== 'number') return;
    const { offset, sending, releasing } = place as unknown as Place;
    this.#said.set(partition, offset);
    if (offset >= this.of(partition))
      this.#last.set(partition, { offset, ...(sending && { sending }), ...(releasing && { releasing }) });
  }
}

function parsed(payload: Buffer): Json {
  try {
    return JSON.parse(payload.toString()) as Json;
  } catch {
    return null; // of somebody else
  }
}
