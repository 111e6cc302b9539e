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

/** A record batch is refused whole when it is over `max.message.bytes`, by default 1 MiB. */
const SEND_BYTES = 512 * 1024;
/** Another process took the partition over. */
const FENCED = [
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_TXN_STATE',
  'INVALID_PRODUCER_ID_MAPPING',
  'TRANSACTION_COORDINATOR_FENCED',
];

const TOO_LARGE = ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'];

/**
 * Writes events to a topic in transactions. Each partition of the log is a transactional producer of its own, whose transactions hold its messages and, as committed
 * offset of a consumer group, the place in the log after them: who takes the partition over fences the one before and goes on from there. Readers
 * with `isolation.level=read_committed` see each event once.
 */
export function kafkaSink(context: SinkContext, settings: JsonObject): EventSink {
  return withValues(context, settings, (encoding) => transactionalSink(encoding, settings));
}

function transactionalSink(context: SinkContext, settings: JsonObject): EventSink {
  const clients = new KafkaClients(context, settings);
  const writers = new Map<number, Promise<PartitionWriter>>();
  const writerOf = (partition: number) => {
    const known = writers.get(partition);
    if (known) return known;
    const opening = openWriter(clients, context, partition);
    writers.set(partition, opening);
    return opening;
  };
  const forget = async (partition: number) => {
    const gone = writers.get(partition);
    writers.delete(partition);
    await gone?.then((writer) => writer.close()).catch(() => {});
  };
  const send = async (partition: number, events: readonly LoggedEvent[], isAgain: boolean) => {
    try {
      return await (await writerOf(partition)).write(events, isAgain);
    } catch (error) {
      await forget(partition); // a transaction that is open is aborted by the next producer of that name
      throw error;
    }
  };
  const deliverPartition = async (
    partition: number,
    events: readonly LoggedEvent[],
    handing: Handing | undefined,
  ): Promise<Delivered> => {
    const isAgain = handing === 'again';
    try {
      await send(partition, events, isAgain).catch((error: unknown) => {
        if (isKafkaError(error, ...FENCED)) return send(partition, events, isAgain);
        throw error;
      });
      return { undone: [] };
    } catch (error) {
      const failure = clients.failureOf(error);
      if (!isKafkaError(error, ...TOO_LARGE)) throw failure;
      if (events.length === 1) {
        const { message: detail } = failure;
        const problem = new AiosError('bridges.message_refused', { detail, cause: error });
        return { undone: [], refused: [{ event: events[0]!, error: problem }] };
      }
      // The halves, down to the event: the producer's numbers are out of step after a refusal, so that each begins with a new one.
      const middle = Math.ceil(events.length / 2);
      const [before, behind] = [events.slice(0, middle), events.slice(middle)];
      const { undone, refused = [] } = await deliverPartition(partition, before, handing);
      if (handing === 'strict' && refused.length > 0) return { undone: [...undone, ...behind], refused };
      const after = await deliverPartition(partition, behind, handing);
      return { undone: after.undone, refused: [...refused, ...(after.refused ?? [])] };
    }
  };
  return {
    group: context.group,
    async deliver(events, handing) {
      const byPartition = Map.groupBy(events, ({ partition }) => (handing === 'again' ? -1 : partition));
      const settled = await Promise.allSettled(
        [...byPartition].map(([partition, run]) => deliverPartition(partition, run, handing)),
      );
      context.answered();
      return outcomeOf(settled, [...byPartition.values()]);
    },
    async close() {
      await Promise.all([...writers.keys()].map(forget));
    },
  };
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
    return new PartitionWriter(producer, encode, { group: id, topic: clients.topic, coordinatorId, next });
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
  /** The offset of the log that comes next, as the topic knows it; -1 where it knows of none. */
  #next: number;

  constructor(
    producer: Producer,
    encode: SinkContext['encode'],
    place: { group: string; topic: string; coordinatorId: number; next: number },
  ) {
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
    try {
      for (const messages of this.#chunks(fresh)) await transaction.send({ messages });
    } catch (error) {
      // Left open it would hold up the readers until its time is over, or until the next producer of that name.
      if (isKafkaError(error, ...TOO_LARGE)) await transaction.abort();
      throw error;
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

  *#chunks(events: readonly LoggedEvent[]): Generator<Outgoing[]> {
    let messages: Outgoing[] = [];
    let bytes = 0;
    for (const { event } of events) {
      const message = this.#messageOf(event);
      bytes += message.value!.byteLength;
      if (messages.length > 0 && bytes > SEND_BYTES) {
        yield messages;
        messages = [];
        bytes = message.value!.byteLength;
      }
      messages.push(message);
    }
    yield messages;
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
