import { once } from 'node:events';
import { mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Aedes } from 'aedes';
import mqtt from 'mqtt';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../kernel/clock.ts';
import type { CloudEvent } from '../../../kernel/cloudevent.ts';
import { readDocument } from '../../../kernel/document.ts';
import type { AiosError } from '../../../kernel/errors.ts';
import { Definitions, definitionMigrations } from '../../../store/definitions.ts';
import { write } from '../../../store/lane.ts';
import { createTestDatabase } from '../../../testing/database.ts';
import { EventConsumers } from '../../consumers.ts';
import { EventLog } from '../../log.ts';
import { eventMigrations } from '../../migrations.ts';
import { bridgeKind } from '../definition/bridge-kind.ts';
import { Bridges } from '../running/bridges.ts';
import { BRIDGE_PROTOCOLS } from './protocols.ts';

const kind = bridgeKind({ protocols: BRIDGE_PROTOCOLS, checkTemplate: () => {} });
const parse = (text: string) => kind.parse(readDocument(`name: a\n${text}`, 'bridges/a.yaml'), new Map());

describe('a bridge', () => {
  it.each([
    'from: { nats: { servers: [a:4222, b], stream: S, subject: "in.>", tls: true, user: u, password: "${secrets.NATS}" } }',
    'to: { nats: { servers: ["[::1]:4222"], subject: out.orders } }\nformat: binary',
    'from: { mqtt: { broker: a, topics: [a/+/b, c/#], version: "3.1.1" } }\nevents: { type: "\'t\'" }',
    'to: { mqtt: { broker: a:1883, topicOf: "event.type", qos: 2, retain: true } }',
    'from: { files: { folder: /in, pattern: "*.csv", delimiter: ";", after: keep } }',
    'to: { files: { folder: /out, format: parquet, everySeconds: 60 } }\nformat: raw',
    'to: { kafka: { brokers: [a], topic: t, tls: { certificate: "${env.C}", key: "${secrets.K}" } } }',
    'to: { amqp: { host: a, queue: q, tls: { certificate: "${secrets.C}", key: "${secrets.K}", passphrase: "${secrets.P}" } } }',
  ])('is %s', (text) => {
    expect(parse(text).name).toBe('a');
  });

  it.each([
    ['from: { nats: { servers: [], stream: S } }', '/from/nats/servers'],
    ['from: { nats: { servers: [a], stream: S.T } }', '/from/nats/stream'],
    ['from: { nats: { servers: [nats://a], stream: S } }', '/from/nats/servers/0'],
    ['from: { nats: { servers: [a], stream: S, token: plain } }', '/from/nats/token'],
    ['to: { mqtt: { broker: a, topic: a, username: u, password: plain } }', '/to/mqtt/password'],
    ['to: { nats: { servers: [a], subject: "out.*" } }', '/to/nats/subject'],
    ['from: { mqtt: { broker: mqtt://a, topics: [a] } }', '/from/mqtt/broker'],
    ['from: { mqtt: { broker: a, topics: [a], version: "4" } }', '/from/mqtt/version'],
    ['to: { mqtt: { broker: a, topic: a/# } }', '/to/mqtt/topic'],
    ['to: { mqtt: { broker: a, topicOf: "event.(" } }', '/to/mqtt/topicOf'],
    ['to: { mqtt: { broker: a, topic: a, qos: 0 } }', '/to/mqtt/qos'],
    ['from: { files: { folder: /in, format: xml } }', '/from/files/format'],
    ['to: { files: { folder: /out } }\nformat: binary', '/format'],
    ['to: { nats: { servers: [a], subject: s, tls: { certificate: c, key: plain } } }', '/to/nats/tls/key'],
    ['from: { mqtt: { broker: a, topics: [a], tls: { certificate: c } } }', '/from/mqtt/tls'],
  ])('is refused with the place in its file: %s', (text, path) => {
    try {
      parse(text);
      expect.unreachable();
    } catch (error) {
      expect((error as AiosError).issues).toContainEqual(
        expect.objectContaining({ path, file: 'bridges/a.yaml', line: expect.any(Number) }),
      );
    }
  });

  it('brings the rows of a file into the log, and others take them on to a broker and into files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aios-bridges-'));
    const database = await createTestDatabase(
      [...definitionMigrations, ...eventMigrations],
      'bridgePollMs=20,consumerPollMs=20,consumerPauseMs=1',
    );
    const broker = await Aedes.createBroker();
    const server = createServer(broker.handle).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const reader = await mqtt.connectAsync(`mqtt://${address}`);
    const received = new Map<string, CloudEvent>();
    reader.on('message', (topic, payload) =>
      received.set(topic, JSON.parse(payload.toString()) as CloudEvent),
    );
    await reader.subscribeAsync('orders/#', { qos: 1 });

    const definitions = new Definitions(database.db);
    const texts = {
      drop: `from: { files: { folder: ${folder}, settleSeconds: 0 } }
events: { type: "'order.placed'", subject: value.id, data: '{"amount": double(value.amount)}' }`,
      out: `to: { mqtt: { broker: "${address}", version: "3.1.1", topicOf: "'orders/' + event.subject" } }
filter: event.data.amount > 1.0
start: earliest`,
      archive: `to: { files: { folder: ${folder}, format: parquet, everySeconds: 1 } }
start: earliest`,
    };
    for (const [name, text] of Object.entries(texts)) {
      const { body } = kind.parse(readDocument(`name: ${name}\n${text}`, `bridges/${name}.yaml`), new Map());
      await database.commit.commit([
        definitions.put({ kind: 'bridge', name, body, source: text, createdBy: 'test' }),
      ]);
    }
    await definitions.reload();
    const log = new EventLog({ ...database, clock: systemClock });
    const consumers = new EventConsumers({ ...database, log });
    await consumers.start();
    const bridges = new Bridges({
      ...{ ...database, log, consumers, definitions, clock: systemClock, takesPart: true },
      ...{ protocols: BRIDGE_PROTOCOLS, folders: [folder] },
      schemaRegistry: () => ({
        byId: async () => undefined,
        latest: async () => undefined,
        register: async () => 0,
      }),
      contractSchema: () => undefined,
      addresses: async (host) => [{ address: host, family: 4 }],
      fill: (text) => ({ text, secrets: [], check: () => {} }),
      redact: (text) => text,
      check: () => undefined,
      quarantine: () => undefined,
      record: (change) => write({ name: 'kept', order: 98, write: async () => undefined }, change),
      onError: () => {},
    });
    await bridges.start();
    try {
      await writeFile(join(folder, '.a.csv'), 'id,amount\n1,0.5\n2,2.5\n3,broken,row\n4,7\n');
      await rename(join(folder, '.a.csv'), join(folder, 'a.csv'));
      await expect
        .poll(() => [...received.keys()].sort(), { timeout: 15_000 })
        .toEqual(['orders/2', 'orders/4']);
      expect(received.get('orders/4')).toMatchObject({ type: 'order.placed', data: { amount: 7 } });
      await expect
        .poll(() => bridges.get('drop'), { timeout: 15_000 })
        .toMatchObject({ passed: 3, rejected: 1, state: 'running', protocol: 'files' });
      expect((await bridges.get('drop')).position).toMatchObject({
        taken: [['a.csv', 39, expect.any(String)]],
      });
      const archived = async () =>
        (await readdir(folder, { recursive: true })).filter((name) => /^\d{4}-.*\.parquet$/.test(name));
      await expect.poll(archived, { timeout: 20_000 }).not.toEqual([]);
    } finally {
      await bridges.stop();
      await consumers.stop();
      await database.close();
      await reader.endAsync(true);
      await new Promise<void>((done) => broker.close(done));
      server.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
