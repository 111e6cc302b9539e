import { setTimeout as sleep } from 'node:timers/promises';
import type { Consumer } from '@platformatic/kafka';
import type { CloudEvent } from '../../../../kernel/cloudevent.ts';
import { AiosError } from '../../../../kernel/errors.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import type { EventSource, RejectedMessage, SourceBatch } from '../../port/event-source.ts';
import type { IncomingMessage, SourceContext, Unpacker } from '../../port/protocol.ts';
import { KafkaClients } from './kafka-client.ts';
import { isKafkaError } from './kafka-failure.ts';
import { fetchPartitions } from './kafka-fetch.ts';
import { readPartition } from './kafka-records.ts';
import { kafkaUnpacker } from './kafka-schemas.ts';

/** The offsets that come next, and of which topic: one that was deleted and made again has another id. */
interface Place {
  readonly topic: string;
  readonly topicId: string;
  readonly offsets: Map<number, bigint>;
}

const FETCH_WAIT_MS = 500;
/** Messages of one commit at most. */
const BATCH_MAX = 500;
const [LATEST, EARLIEST] = [-1n, -2n];

/**
 * A topic. Its partitions are read without a consumer group: their offsets are the place, which is committed with the events, so that none is taken twice or
 * left out. Transactions that were aborted are not read.
 */
export function kafkaSource(context: SourceContext, settings: JsonObject): EventSource {
  const clients = new KafkaClients(context, settings);
  const unpack = kafkaUnpacker(context, settings);
  return {
    name: context.name,
    async *read(from, signal) {
      const consumer = await clients.consumer(`aios-${context.name}`);
      const end = () => void consumer.close(true).catch(() => {}); // what it waits for ends with it
      signal.addEventListener('abort', end, { once: true });
      try {
        yield* new TopicReader(consumer, clients.topic, context, unpack).read(placeOf(from), signal);
      } catch (error) {
        if (!signal.aborted) throw clients.failureOf(error);
      } finally {
        signal.removeEventListener('abort', end);
        await consumer.close(true).catch(() => {}); // its connections may be gone
      }
    },
  };
}

function placeOf(from: JsonObject | undefined): Place | undefined {
  if (from === undefined) return undefined;
  const offsets = Object.entries(from.offsets as Record<string, number>);
  return {
    topic: String(from.topic),
    topicId: String(from.topicId),
    offsets: new Map(offsets.map(([partition, offset]) => [Number(partition), BigInt(offset)])),
  };
}

class TopicReader {
  readonly #consumer: Consumer;
  readonly #topic: string;
  readonly #context: SourceContext;
  readonly #unpack: Unpacker | undefined;
  #place: Place = { topic: '', topicId: '', offsets: new Map() };
  /** Where what may be read of each partition ends. */
  readonly #ends = new Map<number, bigint>();

  constructor(consumer: Consumer, topic: string, context: SourceContext, unpack: Unpacker | undefined) {
    this.#unpack = unpack;
    this.#consumer = consumer;
    this.#topic = topic;
    this.#context = context;
  }

  async *read(from: Place | undefined, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    this.#consumer.topics.trackAll(this.#topic);
    if (await this.#begin(from)) yield this.#batch([]);
    this.#context.answered();
    while (!signal.aborted) {
      if (await this.#takeNewPartitions()) yield this.#batch([]);
      try {
        yield* this.#fetch();
      } catch (error) {
        if (!isKafkaError(error, 'OFFSET_OUT_OF_RANGE')) throw error;
        await this.#passGaps();
        yield this.#batch([]);
      }
    }
  }

  /** Where it goes on, or begins; true where that is a place that is not committed yet. */
  async #begin(from: Place | undefined): Promise<boolean> {
    const { id } = await this.#metadata();
    if (from?.topic === this.#topic && from.topicId === id) {
      this.#place = from;
      return false;
    }
    if (from?.topic === this.#topic)
      this.#context.report(
        new AiosError('bridges.gap', {
          detail: `The topic ${this.#topic} was deleted and made again; it is read from its beginning.`,
        }),
      );
    const isNew = from?.topic !== this.#topic;
    const offsets = await this.#offsets(isNew && this.#context.start === 'latest' ? LATEST : EARLIEST);
    this.#place = { topic: this.#topic, topicId: id, offsets };
    return true;
  }

  async #metadata() {
    const metadata = await this.#consumer.metadata({ topics: [this.#topic] });
    return metadata.topics.get(this.#topic)!;
  }

  async #offsets(timestamp: bigint): Promise<Map<number, bigint>> {
    const found = await this.#consumer.listOffsets({ topics: [this.#topic], timestamp });
    return new Map(found.get(this.#topic)!.entries());
  }

  /** A topic may get partitions while it is read: from their beginning. */
  async #takeNewPartitions(): Promise<boolean> {
    const { id, partitionsCount } = await this.#metadata();
    if (id !== this.#place.topicId) throw new Error(`The topic ${this.#topic} was made again meanwhile.`); // read anew
    let isNew = false;
    for (let partition = 0; partition < partitionsCount; partition++) {
      if (this.#place.offsets.has(partition)) continue;
      this.#place.offsets.set(partition, 0n);
      isNew = true;
    }
    return isNew;
  }

  /** What the brokers that lead the partitions have, as batches of a commit each. */
  async *#fetch(): AsyncGenerator<SourceBatch> {
    const { partitions } = await this.#metadata();
    const byLeader = Map.groupBy(this.#place.offsets, ([partition]) => partitions[partition]?.leader ?? -1);
    const bytes = Math.ceil(this.#context.limits.bridgeReadBytesMax / byLeader.size);
    const waits = byLeader.size > 1 ? FETCH_WAIT_MS / 5 : FETCH_WAIT_MS;
    if (byLeader.has(-1)) await sleep(FETCH_WAIT_MS); // has no leader at the moment
    const responses = await Promise.all(
      [...byLeader].flatMap(([node, offsets]) =>
        node < 0 ? [] : [this.#fetchFrom(node, offsets, { waitMs: waits, bytes })],
      ),
    );
    for (const { partitionIndex, lastStableOffset } of responses.flat())
      this.#ends.set(partitionIndex, lastStableOffset);
    this.#tellBehind();
    for (const partition of responses.flat()) {
      const { partitionIndex } = partition;
      const from = this.#place.offsets.get(partitionIndex)!;
      const { messages, next } = readPartition(partition, { ...this.#place, from });
      for (let start = 0; start < messages.length; ) {
        const taken = messages.slice(start, start + Math.min(BATCH_MAX, this.#context.batchMax()));
        start += taken.length;
        this.#place.offsets.set(partitionIndex, taken.at(-1)!.next);
        const came = taken.map(({ message }) => message);
        yield this.#batch(this.#unpack ? await this.#unpack(came) : came);
        this.#tellBehind();
      }
      // Ends of transactions and what was aborted are passed with the next batch. A broker fills its answer in the order in which it is asked: the others come first then.
      if (next > from) this.#place.offsets.delete(partitionIndex);
      this.#place.offsets.set(partitionIndex, next);
    }
    this.#tellBehind();
  }

  #tellBehind(): void {
    let behind = 0;
    for (const [partition, end] of this.#ends)
      behind += Math.max(0, Number(end - (this.#place.offsets.get(partition) ?? end)));
    this.#context.behind(behind);
  }

  #fetchFrom(node: number, offsets: readonly [number, bigint][], more: { waitMs: number; bytes: number }) {
    const { topic, topicId } = this.#place;
    return fetchPartitions(this.#consumer, { node, topic, topicId, offsets, ...more });
  }

  /** What the topic keeps no more cannot be read; told once, because the place is committed at once. */
  async #passGaps(): Promise<void> {
    const [earliest, latest] = [await this.#offsets(EARLIEST), await this.#offsets(LATEST)];
    for (const [partition, offset] of this.#place.offsets) {
      const first = earliest.get(partition) ?? 0n;
      if (offset >= first && offset <= (latest.get(partition) ?? 0n)) continue;
      this.#place.offsets.set(partition, first);
      this.#context.report(
        new AiosError('bridges.gap', {
          detail: `${this.#topic}, partition ${partition}: offset ${offset} was to be read, and ${first} is the first that is there.`,
          extensions: { partition, offset: Number(offset), first: Number(first) },
        }),
      );
    }
  }

  #batch(messages: readonly IncomingMessage[]): SourceBatch {
    const events: CloudEvent[] = [];
    const rejected: RejectedMessage[] = [];
    for (const message of messages) {
      const decoded = this.#context.decode(message);
      if ('letter' in decoded) rejected.push(decoded as RejectedMessage);
      else events.push(decoded as CloudEvent);
    }
    const { topic, topicId, offsets } = this.#place;
    const numbers = [...offsets].map(([partition, offset]): [string, number] => [
      String(partition),
      Number(offset),
    ]);
    return { events, rejected, position: { topic, topicId, offsets: Object.fromEntries(numbers) } };
  }
}
