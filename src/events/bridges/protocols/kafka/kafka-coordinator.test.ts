import { connect, createServer, type Server, type Socket } from 'node:net';
import { Admin } from '@platformatic/kafka';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaUnderTest, kafkaJars, startKafka } from '../../../../testing/kafka.ts';
import { bridgeContext } from '../context-under-test.ts';
import { logged, told } from '../told-under-test.ts';
import { kafkaProtocol } from './kafka-protocol.ts';
import { kafkaSink } from './kafka-sink.ts';

const jars = await kafkaJars();
const reason = jars ? '' : ' (skipped: no java and mvn here, or no Maven Central)';
/** Beside that of the broker, with its port: what the cluster says of itself leads here, too. */
const ADDRESS = '127.0.0.2';
const INIT_PRODUCER_ID = 22;
const COORDINATOR_LOAD_IN_PROGRESS = 14;
/** In a response: behind its length, the number of its request, no tags, and how long to wait. */
const ERROR_AT = 13;
/** More than the client asks by itself. */
const REFUSALS = 6;

/** Whole frames of a stream: a length in four bytes, and so many bytes. */
function frames(take: (frame: Buffer) => void): (bytes: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const end = 4 + rest.readUInt32BE(0);
      take(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
  };
}

describe.skipIf(!jars)(`Kafka, while its coordinator is loading${reason}`, () => {
  let kafka: KafkaUnderTest;
  let loading: Server;
  let refused = 0;
  const sockets = new Set<Socket>();

  /** The broker, which says so of the first questions for a transactional producer: one that began under load does. */
  const between = (client: Socket) => {
    const broker = connect(Number(kafka.address.split(':')[1]), '127.0.0.1');
    const asked = new Set<number>();
    const onRequest = frames((frame) => {
      if (frame.readInt16BE(4) === INIT_PRODUCER_ID) asked.add(frame.readInt32BE(8));
      broker.write(frame);
    });
    const onResponse = frames((frame) => {
      if (asked.delete(frame.readInt32BE(4)) && refused < REFUSALS) {
        refused++;
        frame.writeInt16BE(COORDINATOR_LOAD_IN_PROGRESS, ERROR_AT);
      }
      client.write(frame);
    });
    client.on('data', onRequest).on('close', () => broker.destroy());
    broker.on('data', onResponse).on('close', () => client.destroy());
    for (const socket of [client, broker]) sockets.add(socket.on('error', () => socket.destroy()));
  };

  beforeAll(async () => {
    kafka = await startKafka(jars!);
    loading = createServer(between);
    await new Promise<void>((done) => loading.listen(Number(kafka.address.split(':')[1]), ADDRESS, done));
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [kafka.address] });
    await admin.createTopics({ topics: ['loading'], partitions: 1, replicas: 1 });
    await admin.close();
  }, 120_000);
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    loading?.close();
    await kafka?.close();
  });

  it('hands over events when it has loaded, without a failure in between', async () => {
    const egress = { addresses: async () => [{ address: ADDRESS, family: 4 }] };
    const sink = kafkaSink(bridgeContext('out', kafkaProtocol, { egress }), {
      ...{ brokers: [kafka.address], topic: 'loading' },
    });
    expect(await told(sink, [logged(0), logged(1)])).toEqual([]);
    expect(refused).toBe(REFUSALS);
    await sink.close?.();
  }, 60_000);
});
