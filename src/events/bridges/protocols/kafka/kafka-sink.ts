import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageToProduce, Producer } from '@platformatic/kafka';
import type { LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { AiosError } from '../../../../kernel/errors.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import type { Delivered, EventSink, Handing } from '../../port/event-source.ts';
import type { SinkContext } from '../../port/protocol.ts';
import { KafkaClients } from './kafka-client.ts';
import { isKafkaError } from './kafka-failure.ts';
import { withValues } from './kafka-schemas.ts';

type Outgoing = MessageToProduce<Buffer, Buffer, Buffer, Buffer>;

/** A record batch is refused whole when it is over `max.message.bytes`, by default 1 MiB; less where a topic has refused one. */
const SEND_BYTES = 512 * 1024;
/** Another process took the partition over. */
const FENCED = [
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_TXN_STATE',
  'INVALID_PRODUCER_ID_MAPPING',
  'TRANSACTION_COORDINATOR_FENCED',
];

/** A broker says these for a while after it began, when a transaction of the same name is just then ended, and when partitions move to another broker. */
const NOT_YET = [
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  'CONCURRENT_TRANSACTIONS',
];
/** For how long it is asked again before the bridge says that it fails, and how often. */
const PATIENCE_MS = 10_000;
const AGAIN_MS = 250;

const TOO_LARGE = ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'];
/** What is wrong with a message itself: one without a key in a topic that is compacted, one that a check of the broker refuses. */
const INVALID = ['INVALID_RECORD', 'INVALID_TIMESTAMP'];

/** Messages that a broker refuses together for what they are. */
class RefusedChunk extends Error {
  readonly events: readonly LoggedEvent[];
  readonly bytes: number;

  constructor({ events, bytes }: Chunk, cause: unknown) {
    super('The broker refuses messages.', { cause });
    this.events = events;
    this.bytes = bytes;
  }
}

interface Chunk {
  readonly events: LoggedEvent[];
  readonly messages: Outgoing[];
  bytes: number;
}

/**
 * Writes events to a topic in transactions. Each partition of the log is a transactional producer of its own, whose transactions hold its messages and, as committed
 * offset of a consumer group, the place in the log after them: who takes the partition over fences the one before and goes on from there. Readers
 * with `isolation.level=read_committed` see each event once.
 */
export function kafkaSink(context: SinkContext, settings: JsonObject): EventSink {
  return withValues(context, settings, (encoding) => transactionalSink(encoding, settings));
}

function transactionalSink(context: SinkContext, settings: JsonObject): EventSink {
  const topic = new TopicWriter(context, settings);
  return {
    group: context.group,
    async deliver(events, handing) {
      const byPartition = Map.groupBy(events, ({ partition }) => (handing === 'again' ? -1 : partition));
      const settled = await Promise.allSettled(
        [...byPartition].map(([partition, run]) => topic.deliver(partition, run, handing)),
      );
      context.answered();
      return outcomeOf(settled, [...byPartition.values()]);
    },
    close: () => topic.close(),
  };
}

type Refused = NonNullable<Delivered['refused']>[number];

/** The producers of a topic, one for each partition of the log. */
class TopicWriter {
  readonly #context: SinkContext;
  readonly #clients: KafkaClients;
  readonly #writers = new Map<number, Promise<PartitionWriter>>();
  /** What the topic takes at once, as far as it has refused more. */
  #sendBytes = SEND_BYTES;

  constructor(context: SinkContext, settings: JsonObject) {
    this.#context = context;
    this.#clients = new KafkaClients(context, settings);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#writers.keys()].map((partition) => this.#forget(partition)));
  }

  /** @throws AiosError for what is of the broker, rather than of one event */
  async deliver(
    partition: number,
    events: readonly LoggedEvent[],
    handing: Handing | undefined,
  ): Promise<Delivered> {
    const isAgain = handing === 'again';
    try {
      await this.#sendPatiently(partition, events, isAgain);
      return { undone: [] };
    } catch (error) {
      const failure = this.#clients.failureOf(error);
      if (!(error instanceof RefusedChunk)) throw failure;
      return this.#deliverAround(partition, events, handing, { chunk: error, failure });
    }
  }

  async #deliverAround(
    partition: number,
    events: readonly LoggedEvent[],
    handing: Handing | undefined,
    { chunk, failure }: { chunk: RefusedChunk; failure: AiosError },
  ): Promise<Delivered> {
    const [one, other] = chunk.events as [LoggedEvent, LoggedEvent?];
    const at = events.indexOf(one);
    if (other === undefined) {
      const error = new AiosError('bridges.message_refused', { detail: failure.message, cause: chunk });
      const around = [events.slice(0, at), events.slice(at + 1)] as const;
      return this.#inParts(partition, around, handing, { event: one, error });
    }
    if (isKafkaError(chunk, ...TOO_LARGE)) {
      this.#sendBytes = Math.floor(chunk.bytes / 2);
      return this.deliver(partition, events, handing);
    }
    // Any of them: the halves, down to the event.
    const middle = at + Math.ceil(chunk.events.length / 2);
    return this.#inParts(partition, [events.slice(0, middle), events.slice(middle)], handing);
  }

  /** What is before and behind something that is refused, and that. The numbers of a producer are out of step after a refusal, so that each part begins with a new one. */
  async #inParts(
    partition: number,
    [before, behind]: readonly [readonly LoggedEvent[], readonly LoggedEvent[]],
    handing: Handing | undefined,
    between?: Refused,
  ): Promise<Delivered> {
    const deliver = async (part: readonly LoggedEvent[]): Promise<Delivered> =>
      part.length > 0 ? this.deliver(partition, part, handing) : { undone: [] };
    const first = await deliver(before);
    const isHeld = handing === 'strict' && (first.refused ?? []).length > 0;
    if (isHeld) {
      const waiting = between ? [between.event, ...behind] : behind;
      return { undone: [...first.undone, ...waiting], refused: first.refused! };
    }
    const refused = [...(first.refused ?? []), ...(between ? [between] : [])];
    if (handing === 'strict' && between) return { undone: [...first.undone, ...behind], refused };
    const after = await deliver(behind);
    return { undone: [...first.undone, ...after.undone], refused: [...refused, ...(after.refused ?? [])] };
  }

  /** What is sent anew is known by its place. */
  async #sendPatiently(partition: number, events: readonly LoggedEvent[], isAgain: boolean): Promise<void> {
    const untilMs = performance.now() + PATIENCE_MS;
    for (let wasFenced = false; ; )
      try {
        return await this.#send(partition, events, isAgain);
      } catch (error) {
        if (isKafkaError(error, ...FENCED) && !wasFenced) wasFenced = true;
        else if (isKafkaError(error, ...NOT_YET) && performance.now() < untilMs) await sleep(AGAIN_MS);
        else throw error;
      }
  }

  async #send(partition: number, events: readonly LoggedEvent[], isAgain: boolean): Promise<void> {
    try {
      await (await this.#writerOf(partition)).write(events, isAgain);
    } catch (error) {
      await this.#forget(partition); // a transaction that is open is aborted by the next producer of that name
      throw error;
    }
  }

  #writerOf(partition: number): Promise<PartitionWriter> {
    const known = this.#writers.get(partition);
    if (known) return known;
    const opening = openWriter(this.#clients, this.#context, partition, () => this.#sendBytes);
    this.#writers.set(partition, opening);
    return opening;
  }

  async #forget(partition: number): Promise<void> {
    const gone = this.#writers.get(partition);
    this.#writers.delete(partition);
    await gone?.then((writer) => writer.close()).catch(() => {});
  }
}

/** What failed comes again; all of it, and the failure is thrown. */
function outcomeOf(
  settled: readonly PromiseSettledResult<Delivered>[],
  runs: readonly (readonly LoggedEvent[])[],
): Delivered {
  const failures = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : []));
  if (failures.length === settled.length && failures[0]) throw failures[0];
  return {
    undone: settled.flatMap((one, index) => (one.status === 'rejected' ? runs[index]! : one.value.undone)),
    refused: settled.flatMap((one) => (one.status === 'fulfilled' ? (one.value.refused ?? []) : [])),
  };
}

async function openWriter(
  clients: KafkaClients,
  { group, space, encode, checkPlace }: SinkContext,
  partition: number,
  sendBytes: () => number,
): Promise<PartitionWriter> {
  // With the space: a bridge of this name in another database would fence this one, and take its place for its own.
  const id = `aios-${group}-${space}-${partition < 0 ? 'again' : partition}`;
  const [producer, consumer] = await Promise.all([clients.producer(id), clients.consumer(id)]);
  try {
    // Before the place is read: it ends what an older producer of that name had open.
    // Its numbers are the broker's to give: without these the client asks to go on as producer 0.
    const transaction = await producer.beginTransaction({ producerId: -1n, producerEpoch: -1 });
    await transaction.cancel();
    const committed = await consumer.listCommittedOffsets({
      topics: [{ topic: clients.topic, partitions: [0] }],
    });
    const coordinatorId = await consumer.findGroupCoordinator();
    const next = Number(committed.get(clients.topic)?.[0] ?? -1n);
    if (next > 0 && partition >= 0) await checkPlace(partition, next - 1);
    const place = { group: id, topic: clients.topic, coordinatorId, next };
    return new PartitionWriter(producer, encode, place, sendBytes);
  } catch (error) {
    await producer.close(true).catch(() => {});
    throw error;
  } finally {
    await consumer.close(true).catch(() => {}); // nothing is to be read on
  }
}

class PartitionWriter {
  readonly #producer: Producer;
  readonly #encode: SinkContext['encode'];
  readonly #group: string;
  readonly #topic: string;
  readonly #coordinatorId: number;
  readonly #sendBytes: () => number;
  /** The offset of the log that comes next, as the topic knows it; -1 where it knows of none. */
  #next: number;

  constructor(
    producer: Producer,
    encode: SinkContext['encode'],
    place: { group: string; topic: string; coordinatorId: number; next: number },
    sendBytes: () => number,
  ) {
    this.#sendBytes = sendBytes;
    this.#producer = producer;
    this.#encode = encode;
    this.#group = place.group;
    this.#topic = place.topic;
    this.#coordinatorId = place.coordinatorId;
    this.#next = place.next;
  }

  async write(events: readonly LoggedEvent[], isAgain: boolean): Promise<void> {
    const fresh = isAgain ? events : events.filter(({ offset }) => offset >= this.#next);
    if (fresh.length === 0) return;
    const transaction = await this.#producer.beginTransaction();
    for (const chunk of this.#chunks(fresh))
      try {
        await transaction.send({ messages: chunk.messages });
      } catch (error) {
        if (!isKafkaError(error, ...TOO_LARGE, ...INVALID)) throw error;
        // Left open it would hold up the readers until its time is over, or until the next producer of that name.
        await transaction.abort();
        throw new RefusedChunk(chunk, error);
      }
    if (!isAgain) {
      const consumer = {
        groupId: this.#group,
        generationId: -1,
        memberId: '',
        coordinatorId: this.#coordinatorId,
      };
      await transaction.addConsumer(consumer as never);
      const offset = BigInt(fresh.at(-1)!.offset); // the client commits the one after it
      await transaction.addOffset({
        topic: this.#topic,
        partition: 0,
        offset,
        metadata: { consumer },
      } as never);
    }
    await transaction.commit();
    if (!isAgain) this.#next = fresh.at(-1)!.offset + 1;
  }

  *#chunks(events: readonly LoggedEvent[]): Generator<Chunk> {
    let chunk: Chunk = { events: [], messages: [], bytes: 0 };
    for (const event of events) {
      const message = this.#messageOf(event.event);
      const bytes = message.value!.byteLength;
      if (chunk.messages.length > 0 && chunk.bytes + bytes > this.#sendBytes()) {
        yield chunk;
        chunk = { events: [], messages: [], bytes: 0 };
      }
      chunk.events.push(event);
      chunk.messages.push(message);
      chunk.bytes += bytes;
    }
    yield chunk;
  }

  #messageOf(event: LoggedEvent['event']): Outgoing {
    const { key, value, headers, contentType } = this.#encode(event);
    const named = new Map(
      Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)]),
    );
    if (contentType) named.set(Buffer.from('content-type'), Buffer.from(contentType));
    // Its timestamp is that of writing: a topic keeps its messages by it, and would drop an old event at once.
    return {
      ...{ topic: this.#topic, value, headers: named },
      ...(key === undefined ? {} : { key: Buffer.from(key) }),
    };
  }

  close(): Promise<void> {
    return this.#producer.close(true);
  }
}
