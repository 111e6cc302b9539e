import type { API, Connection, Consumer } from '@platformatic/kafka';

type Response = Awaited<ReturnType<Consumer['fetch']>>;
export type FetchedPartition = Response['responses'][number]['partitions'][number];
type FetchArguments = [
  maxWaitMs: number,
  minBytes: number,
  maxBytes: number,
  isolationLevel: number,
  sessionId: number,
  sessionEpoch: number,
  topics: object[],
  forgotten: object[],
  rackId: string,
];

interface Wanted {
  /** The broker that leads the partitions. */
  readonly node: number;
  readonly topic: string;
  readonly topicId: string;
  readonly offsets: readonly (readonly [partition: number, offset: bigint])[];
  readonly waitMs: number;
  readonly bytes: number;
}

const READ_COMMITTED = 1;
/** No session: each request names what it wants. */
const [SESSION, SESSION_EPOCH] = [0, -1];

/**
 * What a broker has of its partitions, up to the last stable offset, with its list of aborted transactions. Asked below the client's own `fetch`, which drops committed
 * records between two aborted transactions of one producer (2.12.1: it keeps one range for each producer, from the first to the last).
 */
export async function fetchPartitions(
  consumer: Consumer,
  { node, topic, topicId, offsets, waitMs, bytes }: Wanted,
): Promise<FetchedPartition[]> {
  const kafka = await import('@platformatic/kafka');
  const metadata = await consumer.metadata({ topics: [topic] });
  const connection = await new Promise<Connection>((done, fail) => {
    consumer[kafka.kGetConnection](metadata.brokers.get(node)!, (error, found) =>
      error ? fail(error) : done(found!),
    );
  });
  const api = await new Promise<API<FetchArguments, Response>>((done, fail) => {
    consumer[kafka.kGetApi]<FetchArguments, Response>('Fetch', (error, found) =>
      error ? fail(error) : done(found!),
    );
  });
  const partitions = offsets.map(([partition, fetchOffset]) => ({
    ...{ partition, fetchOffset, currentLeaderEpoch: -1, lastFetchedEpoch: -1 },
    partitionMaxBytes: bytes,
  }));
  const topics = [{ topicId, partitions }];
  const { responses } = await api.async(
    connection,
    ...([waitMs, 1, bytes, READ_COMMITTED, SESSION, SESSION_EPOCH, topics, [], ''] as FetchArguments),
  );
  return responses.flatMap((one) => one.partitions);
}
