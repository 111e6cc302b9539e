import type { IClientPublishOptions, MqttClient, Packet } from 'mqtt';
import type { LoggedEvent } from '../../../../kernel/cloudevent.ts';
import type { SinkContext } from '../../port/protocol.ts';
import { hurryAnswers } from './awaited-answers.ts';
import { connectMqtt, endMqtt, isVersion5, type MqttServer } from './connection.ts';
import type { PacketIds, PlacesOfSink } from './places.ts';
import { isOfMessage } from './refused-message.ts';

/** An event as it is published. */
export interface OutgoingPacket {
  readonly logged: LoggedEvent;
  readonly topic: string;
  readonly value: Buffer;
  readonly options: IClientPublishOptions;
}

export interface RefusedPacket {
  readonly logged: LoggedEvent;
  readonly reasonCode: number;
}

interface Parts {
  readonly settings: MqttServer;
  readonly context: SinkContext;
  readonly partition: number;
  readonly places: PlacesOfSink;
  /** The connection over which places are read. */
  readonly reader: MqttClient;
}

type Answer = { readonly cmd: string; readonly messageId?: number; readonly reasonCode?: number };

/** A session whose process is gone is kept for so long. */
const SESSION_EXPIRY_SECONDS = 7 * 24 * 60 * 60;
const FAILED = 0x80;
const PACKET_ID_MAX = 65_535;

/** The library asks for an id in the order of what is published. */
class GivenIds {
  readonly #given: number[] = [];
  #last = 0;

  give(id: number): void {
    this.#given.push(id);
  }

  allocate(): number {
    this.#last = this.#given.shift() ?? 0;
    return this.#last;
  }

  getLastAllocated(): number {
    return this.#last;
  }

  register(): boolean {
    return true;
  }

  deallocate(): void {}

  clear(): void {}
}

/**
 * Messages of one partition with QoS 2, each passed on once whatever dies here. They go out in a session that the broker keeps, in two steps: it gets a batch, of which it passes none on
 * (PUBLISH, PUBREC); then it is told the place behind the batch, and to pass it on (PUBREL, PUBCOMP). Before the first step it is told the packet ids. So who takes over
 * the session, which ends the connection of the one before, knows from the place what may be in it: what was to be passed on is, and what was not goes out again under the same packet ids, by which the broker knows
 * it.
 *
 * It depends on a broker that keeps its sessions. One that has lost this session gets again what was being passed on.
 */
export class ExactSession {
  readonly #parts: Parts;
  readonly #client: MqttClient;
  readonly #ids: GivenIds;
  readonly #lost: Promise<never>;
  /** What the broker may have from before, by offset. */
  readonly #hanging = new Map<number, number>();
  readonly #waiting = new Map<string, (answer: Answer) => void>();
  #lastId = 0;
  isOver = false;

  private constructor(parts: Parts, client: MqttClient, ids: GivenIds, ended: Promise<unknown>) {
    this.#parts = parts;
    this.#client = client;
    this.#ids = ids;
    this.#lost = ended.then((error) => {
      this.isOver = true;
      throw error;
    });
    this.#lost.catch(() => {}); // told to who waits
    client.on('packetreceive', (packet: Packet) => this.#answered(packet as Answer));
    hurryAnswers(client, parts.places.nobody, () => this.#waiting.size > 0);
  }

  /** @throws what `connectMqtt` does */
  static async open(parts: Parts): Promise<ExactSession> {
    const { partition, places, reader } = parts;
    let { session, isKept } = await ExactSession.#connect(parts);
    // From here on nobody else moves the place: their connection has ended, and what they told came before.
    await session.#unlessLost(places.read(reader));
    // What the session of an older state holds goes by packet ids that nobody knows any more, and takes the room of others.
    if (isKept && places.isOutdated(partition)) {
      await session.#drop();
      ({ session, isKept } = await ExactSession.#connect(parts));
    }
    await session.#takeOver(isKept);
    return session;
  }

  /** @returns whether the broker had kept the session */
  static async #connect(parts: Parts) {
    const { settings, context, partition } = parts;
    const ids = new GivenIds();
    const { client, connack, ended } = await connectMqtt(
      settings,
      context,
      {
        clientId: sessionOf(parts.context, partition),
        clean: false,
        messageIdProvider: ids,
        ...(isVersion5(settings) ? { properties: { sessionExpiryInterval: SESSION_EXPIRY_SECONDS } } : {}),
      },
      keepReleases,
    );
    return { session: new ExactSession(parts, client, ids, ended), isKept: connack.sessionPresent };
  }

  get client(): MqttClient {
    return this.#client;
  }

  /** Whether the broker has room for the first of them beside what it may have from before: one that is sent more than it takes at once ends the connection. */
  hasRoomFor(packets: readonly OutgoingPacket[], window: number, isStrict: boolean): boolean {
    const first = packets.slice(0, batchMax(window, isStrict)).map(({ logged }) => logged.offset);
    return new Set([...this.#hanging.keys(), ...first]).size <= batchMax(window, false);
  }

  /** A session without what this one holds: that was not to be passed on yet, and what of it is still to be sent goes out anew. */
  async renewed(): Promise<ExactSession> {
    const { partition, places, reader } = this.#parts;
    const place = { offset: places.of(partition) };
    // Whoever comes next finds no session, which is no loss then.
    await reader.publishAsync(...places.message(partition, place), { qos: 1, retain: true });
    places.back(partition, place.offset);
    await this.#drop();
    return ExactSession.open(this.#parts);
  }

  /** Ends the session with the connection. */
  async #drop(): Promise<void> {
    const { settings, context, partition } = this.#parts;
    endMqtt(this.#client);
    const clientId = sessionOf(context, partition);
    const { client } = await connectMqtt(settings, context, { clientId, clean: true });
    endMqtt(client);
  }

  /** @returns those that the broker refuses, with its reason; what comes behind one that the place has to stay before goes out with the next call */
  async write(
    packets: readonly OutgoingPacket[],
    window: number,
    isStrict: boolean,
  ): Promise<RefusedPacket[]> {
    const refused: RefusedPacket[] = [];
    const size = batchMax(window, isStrict);
    for (let from = 0; from < packets.length; from += size) {
      refused.push(...(await this.#unlessLost(this.#batch(packets.slice(from, from + size), isStrict))));
      if (refused.some((one) => isHolding(one, isStrict))) break;
    }
    return refused;
  }

  async #batch(packets: readonly OutgoingPacket[], isStrict: boolean): Promise<RefusedPacket[]> {
    const { partition, places } = this.#parts;
    const before = places.of(partition);
    const offsets = packets.map(({ logged }) => logged.offset);
    const last = offsets.at(-1)!;
    for (const { logged } of packets)
      if (!this.#hanging.has(logged.offset)) this.#hanging.set(logged.offset, this.#freeId());
    this.#tell({ offset: before, sending: [...this.#hanging] });
    const answers = await Promise.all(packets.map((packet) => this.#publish(packet)));
    const refused = answers.flatMap(({ reasonCode = 0 }, at) =>
      reasonCode < FAILED ? [] : [{ logged: packets[at]!.logged, reasonCode }],
    );
    for (const { logged } of refused) this.#hanging.delete(logged.offset);
    // What is refused for now comes again, and all behind it.
    const held = refused.find((one) => isHolding(one, isStrict))?.logged.offset;
    const offset = held === undefined ? last : (offsets.findLast((one) => one < held) ?? before);
    // Also what an earlier definition had selected, and this one has not.
    const releasing = [...this.#hanging].filter(([one]) => one <= offset);
    const sending = [...this.#hanging].filter(([one]) => one > offset);
    await this.#tellSafely({ offset, releasing, sending });
    await this.#release(releasing);
    for (const [one] of releasing) this.#hanging.delete(one);
    places.taken(partition, offset);
    return refused;
  }

  async #takeOver(isKept: boolean): Promise<void> {
    const { partition, places } = this.#parts;
    const { sending = [], releasing = [] } = places.inSession(partition);
    if (isKept) {
      for (const [offset, id] of sending) this.#hanging.set(offset, id);
      await this.#unlessLost(this.#release(releasing));
    } else if (releasing.length > 0)
      places.back(partition, Math.min(...releasing.map(([offset]) => offset)) - 1);
  }

  async #publish({ logged: { offset }, topic, value, options }: OutgoingPacket): Promise<Answer> {
    const id = this.#hanging.get(offset)!;
    const answer = this.#answer('pubrec', id);
    this.#ids.give(id);
    this.#client.publish(topic, value, { ...options, qos: 2 }, () => {}); // its answers are waited for one by one
    return answer;
  }

  /** Those that it does not know the broker has passed on already. */
  async #release(packetIds: PacketIds): Promise<void> {
    await Promise.all(
      packetIds.map(([, messageId]) => {
        const answer = this.#answer('pubcomp', messageId);
        releaseOf(this.#client)({ cmd: 'pubrel', messageId });
        return answer;
      }),
    );
  }

  /** In front of what is sent after it: a broker takes what comes over a connection in order. */
  #tell(place: Parameters<PlacesOfSink['message']>[1]): void {
    const { partition, places } = this.#parts;
    this.#client.publish(...places.message(partition, place), { qos: 0, retain: true }, () => {});
  }

  async #tellSafely(place: Parameters<PlacesOfSink['message']>[1]): Promise<void> {
    const { partition, places } = this.#parts;
    this.#ids.give(this.#freeId());
    await this.#client.publishAsync(...places.message(partition, place), { qos: 1, retain: true });
  }

  #freeId(): number {
    const used = new Set(this.#hanging.values());
    do this.#lastId = (this.#lastId % PACKET_ID_MAX) + 1;
    while (used.has(this.#lastId));
    return this.#lastId;
  }

  #answer(cmd: 'pubrec' | 'pubcomp', id: number): Promise<Answer> {
    return new Promise((done) => this.#waiting.set(`${cmd} ${id}`, done));
  }

  #answered(packet: Answer): void {
    const key = `${packet.cmd} ${packet.messageId}`;
    this.#waiting.get(key)?.(packet);
    this.#waiting.delete(key);
  }

  #unlessLost<Result>(work: Promise<Result>): Promise<Result> {
    return Promise.race([work, this.#lost]);
  }
}

/** How many go out at once: the place is a message, too. */
function batchMax(window: number, isStrict: boolean): number {
  return isStrict ? 1 : Math.max(1, window - 1);
}

function sessionOf({ group, space }: SinkContext, partition: number): string {
  return `aios-${group}-${space}-${partition}`;
}

/** Whether what comes behind it has to wait: the broker refuses it for now, or for what it is where nothing may be passed over. */
function isHolding({ reasonCode }: RefusedPacket, isStrict: boolean): boolean {
  return isStrict || !isOfMessage(reasonCode);
}

/** The way of every packet that a client sends; the library has no other place to say when a message is to be passed on. */
interface Sending {
  _sendPacket(packet: Packet, ...more: unknown[]): void;
}

const releases = new WeakMap<MqttClient, (packet: Packet) => void>();

/** Keeps the library from releasing a message as soon as the broker has it. */
function keepReleases(client: MqttClient): void {
  const sending = client as unknown as Sending;
  const send = sending._sendPacket.bind(client);
  releases.set(client, (packet) => send(packet, undefined, undefined, true));
  sending._sendPacket = (packet, ...more) => {
    if (packet.cmd !== 'pubrel') send(packet, ...more);
  };
}

function releaseOf(client: MqttClient): (packet: Packet) => void {
  return releases.get(client)!;
}
