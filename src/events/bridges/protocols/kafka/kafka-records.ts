import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from '../../port/protocol.ts';
import type { FetchedPartition } from './kafka-fetch.ts';

type Batch = NonNullable<FetchedPartition['records']>[number];
type KafkaRecord = Batch['records'][number];

/** Bits of a batch's attributes (Kafka's protocol, "Record Batch"). */
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
/** The type of a control record, the second 16 bits of its key. */
const ABORT = 0;

/** A message with the offset that comes after it. */
interface Read {
  readonly message: IncomingMessage;
  readonly next: bigint;
}

/**
 * The messages of a partition from an offset on, those of aborted transactions left out, and the offset after all of it: the broker's list of aborted transactions is
 * followed as Kafka's own consumer does, from the beginning of each to its marker.
 */
export function readPartition(
  { partitionIndex, records, abortedTransactions }: FetchedPartition,
  { topic, topicId, from }: { topic: string; topicId: string; from: bigint },
): { messages: Read[]; next: bigint } {
  const aborted = [...(abortedTransactions ?? [])].sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1));
  const aborting = new Set<bigint>();
  const messages: Read[] = [];
  let next = from;
  for (const batch of records ?? []) {
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta);
    while (aborted.length > 0 && aborted[0]!.firstOffset <= last) aborting.add(aborted.shift()!.producerId);
    if (batch.attributes & CONTROL) {
      if (batch.records[0]?.key?.readInt16BE(2) === ABORT) aborting.delete(batch.producerId);
    } else if (!(batch.attributes & TRANSACTIONAL && aborting.has(batch.producerId))) {
      for (const record of batch.records) {
        const offset = batch.firstOffset + BigInt(record.offsetDelta);
        // A batch is sent whole, though it begins before what was asked for.
        if (offset < from) continue;
        const at = { topic, topicId, partition: partitionIndex, offset };
        const timestamp = batch.firstTimestamp + record.timestampDelta;
        messages.push({ message: messageOf(record, timestamp, at), next: offset + 1n });
      }
    }
    if (last >= next) next = last + 1n;
  }
  return { messages, next };
}

interface Place {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly offset: bigint;
}

function messageOf(
  { key, value, headers }: KafkaRecord,
  timestamp: bigint,
  { topic, topicId, partition, offset }: Place,
): IncomingMessage {
  const named: Record<string, string> = {};
  for (const [name, text] of headers) if (name) named[name.toString('utf8')] = text?.toString('utf8') ?? '';
  return {
    // The id of the topic, not its name: one that is made anew begins at 0 again. With the time: a partition that lost its end gives the same offsets to others.
    id: `${topicId}:${partition}:${offset}:${timestamp}`,
    key: key ? (isUtf8(key) && !key.includes(0) ? key.toString('utf8') : key) : undefined,
    value: value ?? { json: null },
    headers: named,
    contentType: named['content-type'],
    topic,
    timeMs: timestamp >= 0n ? Number(timestamp) : undefined,
    position: { partition, offset: Number(offset) },
  };
}
