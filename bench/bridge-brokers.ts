import { mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect as connectNats } from '@nats-io/transport-node';
import { Admin, Producer } from '@platformatic/kafka';
import { connect as connectAmqp } from 'amqplib';
import mqtt from 'mqtt';
import type { CloudEvent } from '../src/kernel/cloudevent.ts';
import type { JsonObject } from '../src/kernel/json.ts';
import { debianPackages } from '../src/testing/debian.ts';
import { kafkaJars, startKafka } from '../src/testing/kafka.ts';
import { startMosquitto } from '../src/testing/mosquitto.ts';
import { rabbitPackages, startRabbit } from '../src/testing/rabbitmq.ts';
import { ServerUnderTest } from '../src/testing/server.ts';
import { temporaryFolder } from './product.ts';

/** A broker with room for events, as the bench of bridges fills it. */
export interface Broker {
  readonly protocol: string;
  /** A place of this name that holds the events, and how a bridge reaches it. */
  prepare(
    name: string,
    events: readonly CloudEvent[],
  ): Promise<{ source: JsonObject; sink: JsonObject; folders: string[] }>;
  close(): Promise<void>;
}

const TYPE = 'application/cloudevents+json';
const CHUNK = 1_000;

/** Undefined where the broker cannot be had. */
export const BROKERS: Record<string, () => Promise<Broker | undefined>> = {
  kafka,
  amqp,
  nats,
  mqtt: mosquitto,
  files,
};

async function kafka(): Promise<Broker | undefined> {
  const jars = await kafkaJars();
  if (!jars) return undefined;
  const broker = await startKafka(jars);
  const base = { clientId: 'bench', bootstrapBrokers: [broker.address] };
  const [admin, producer] = [new Admin(base), new Producer(base)];
  return {
    protocol: 'kafka',
    async prepare(topic, events) {
      await admin.createTopics({ topics: [topic], partitions: 4, replicas: 1 });
      for (const chunk of chunks(events))
        await producer.send({
          acks: -1,
          messages: chunk.map((event) => ({
            topic,
            key: Buffer.from(event.subject!),
            value: Buffer.from(JSON.stringify(event)),
            headers: new Map([[Buffer.from('content-type'), Buffer.from(TYPE)]]),
          })),
        });
      const at = { kafka: { brokers: [broker.address], topic } };
      return { source: at, sink: at, folders: [] };
    },
    async close() {
      await Promise.allSettled([admin.close(), producer.close(true)]);
      await broker.close();
    },
  };
}

async function amqp(): Promise<Broker | undefined> {
  const packages = await rabbitPackages();
  if (!packages) return undefined;
  const broker = await startRabbit(packages);
  const connection = await connectAmqp({ hostname: broker.host, port: broker.port });
  const channel = await connection.createConfirmChannel();
  return {
    protocol: 'amqp',
    async prepare(queue, events) {
      await channel.assertQueue(queue, { durable: true });
      for (const chunk of chunks(events)) {
        for (const event of chunk) {
          const options = { contentType: TYPE, persistent: true };
          channel.sendToQueue(queue, Buffer.from(JSON.stringify(event)), options);
        }
        await channel.waitForConfirms();
      }
      const at = { amqp: { host: broker.host, port: broker.port, queue } };
      return { source: at, sink: at, folders: [] };
    },
    async close() {
      await connection.close();
      await broker.close();
    },
  };
}

async function nats(): Promise<Broker | undefined> {
  const debian = await debianPackages(['nats-server']);
  if (!debian) return undefined;
  const server = await ServerUnderTest.start(
    ({ port, folder }) => [
      join(debian.root, 'usr/sbin/nats-server'),
      ...['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', folder],
    ],
    debian.env,
  );
  const servers = [`127.0.0.1:${server.port}`];
  const connection = await connectNats({ servers });
  const manager = await jetstreamManager(connection);
  return {
    protocol: 'nats',
    async prepare(stream, events) {
      await manager.streams.add({ name: stream, subjects: [`${stream}.*`] });
      const client = jetstream(connection);
      for (const chunk of chunks(events))
        await Promise.all(chunk.map((event) => client.publish(`${stream}.in`, JSON.stringify(event))));
      return {
        source: { nats: { servers, stream } },
        sink: { nats: { servers, subject: stream } },
        folders: [],
      };
    },
    async close() {
      await connection.close();
      await server.close();
    },
  };
}

async function mosquitto(): Promise<Broker | undefined> {
  const debian = await debianPackages(['mosquitto']);
  if (!debian) return undefined;
  const server = await startMosquitto(debian, () => ['max_queued_messages 0']);
  const broker = `127.0.0.1:${server.port}`;
  return {
    protocol: 'mqtt',
    async prepare(topic, events) {
      // The session that the bridge goes on with has to be there before the messages.
      const session = { clientId: `aios-${topic}`, clean: false, properties: { sessionExpiryInterval: 600 } };
      const client = await mqtt.connectAsync(`mqtt://${broker}`, { protocolVersion: 5, ...session });
      await client.subscribeAsync(topic, { qos: 1 });
      await client.endAsync();
      const publisher = await mqtt.connectAsync(`mqtt://${broker}`, { protocolVersion: 5 });
      for (const chunk of chunks(events, 100))
        await Promise.all(
          chunk.map((event) => {
            const options = { qos: 1 as const, properties: { contentType: TYPE } };
            return publisher.publishAsync(topic, JSON.stringify(event), options);
          }),
        );
      await publisher.endAsync();
      return {
        source: { mqtt: { broker, topics: [topic], clientId: session.clientId } },
        sink: { mqtt: { broker, topic } },
        folders: [],
      };
    },
    close: () => server.close(),
  };
}

async function files(): Promise<Broker | undefined> {
  const folder = await temporaryFolder();
  return {
    protocol: 'files',
    async prepare(name, events) {
      const path = join(folder.path, name);
      await mkdir(path);
      if (events.length > 0) {
        const file = join(path, 'events.jsonl');
        await writeFile(file, events.map((event) => `${JSON.stringify(event)}\n`).join(''));
        await utimes(file, 0, 0); // as if it had settled
      }
      return {
        source: { files: { folder: path } },
        sink: { files: { folder: path, format: 'json-lines' } },
        folders: [folder.path],
      };
    },
    close: () => rm(folder.path, { recursive: true, force: true }),
  };
}

function chunks<T>(list: readonly T[], size = CHUNK): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, at) =>
    list.slice(at * size, (at + 1) * size),
  );
}
