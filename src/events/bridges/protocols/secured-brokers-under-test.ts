import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect as connectNats } from '@nats-io/transport-node';
import { Admin } from '@platformatic/kafka';
import { connect as connectAmqp } from 'amqplib';
import type { JsonObject } from '../../../kernel/json.ts';
import { debianPackages } from '../../../testing/debian.ts';
import { kafkaJars, startKafka } from '../../../testing/kafka.ts';
import { rabbitPackages, startRabbit } from '../../../testing/rabbitmq.ts';
import { ServerUnderTest } from '../../../testing/server.ts';
import type { BridgeProtocol } from '../port/protocol.ts';
import { amqpProtocol } from './amqp/amqp-protocol.ts';
import { kafkaProtocol } from './kafka/kafka-protocol.ts';
import { mqttProtocol } from './mqtt/mqtt-protocol.ts';
import { natsProtocol } from './nats/nats-protocol.ts';

/** The certificate of a server, for `server.test` and 127.0.0.1, and its key, in PEM. */
interface Certificate {
  readonly key: string;
  readonly cert: string;
  /** Of it clients have to show a certificate; no password is asked for then. */
  readonly clientAuthority?: string;
}

/** A broker with TLS alone, at `server.test`, whose user `guest` has the password `secret`. */
export interface SecuredBroker {
  readonly settings: JsonObject;
  readonly sink: JsonObject;
  readonly source: JsonObject;
  login(way: string, password: string): JsonObject;
  /** Settings that reach it by another name. */
  at(host: string): JsonObject;
  close(): Promise<void>;
}

interface Kind {
  readonly name: string;
  readonly protocol: BridgeProtocol;
  readonly isHere: boolean;
  /** Why it is not. */
  readonly reason: string;
  /** The ways to log in. */
  readonly logins: readonly string[];
  start(certificate: Certificate): Promise<SecuredBroker>;
}

const run = promisify(execFile);
const [jars, rabbit, nats, mosquitto] = await Promise.all([
  kafkaJars(),
  rabbitPackages(),
  debianPackages(['nats-server']),
  debianPackages(['mosquitto']),
]);

export const KAFKA: Kind = {
  name: 'Kafka',
  protocol: kafkaProtocol,
  isHere: jars !== undefined,
  reason: 'no java and mvn here, or no Maven Central',
  logins: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
  async start(certificate) {
    const kafka = await startKafka(jars!, {
      ...(certificate.clientAuthority ? {} : { user: { name: 'guest', password: 'secret' } }),
      ...{ certificate, clientAuthority: certificate.clientAuthority },
    });
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [kafka.address] });
    for (const topic of this.logins)
      await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
    await admin.close();
    const sasl = (mechanism: string, password: string) => ({ mechanism, username: 'guest', password });
    return {
      settings: {
        ...{ brokers: [kafka.securedAddress], topic: 'PLAIN', tls: true },
        ...(certificate.clientAuthority ? {} : { sasl: sasl('PLAIN', 'secret') }),
      },
      sink: {},
      source: {},
      login: (way, password) => ({ topic: way, sasl: sasl(way, password) }),
      at: (host) => ({ brokers: [kafka.securedAddress.replace('server.test', host)] }),
      close: () => kafka.close(),
    };
  },
};

export const AMQP: Kind = {
  name: 'RabbitMQ',
  protocol: amqpProtocol,
  isHere: rabbit !== undefined,
  reason: 'no Debian to take rabbitmq-server from',
  logins: ['PLAIN'],
  async start(certificate) {
    const broker = await startRabbit(rabbit!, certificate);
    const username = certificate.clientAuthority ? 'server' : 'guest';
    const connection = await connectAmqp({
      ...{ hostname: broker.host, port: broker.port, username, password: 'guest' },
    });
    await (await connection.createChannel()).assertQueue('in', { durable: true });
    await connection.close();
    const password = (told: string) => (told === 'secret' ? 'guest' : told); // its user comes with it
    return {
      settings: { host: 'server.test', port: broker.tlsPort, tls: true },
      sink: { queue: 'in' },
      source: { queue: 'in' },
      login: (_, told) => ({ username: 'guest', password: password(told) }),
      at: (host) => ({ host }),
      close: () => broker.close(),
    };
  },
};

export const NATS: Kind = {
  name: 'NATS',
  protocol: natsProtocol,
  isHere: nats !== undefined,
  reason: 'no Debian to take nats-server from',
  logins: ['password'],
  async start(certificate) {
    const server = await ServerUnderTest.start(
      ({ port, folder }) => [
        join(nats!.root, 'usr/sbin/nats-server'),
        ...['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', folder],
        ...['--tls', '--tlscert', join(folder, 'cert.pem'), '--tlskey', join(folder, 'key.pem')],
        ...(certificate.clientAuthority
          ? ['--tlsverify', '--tlscacert', join(folder, 'clients.pem')]
          : ['--user', 'guest', '--pass', 'secret']),
      ],
      nats!.env,
      (one) => certified(one, certificate),
    );
    await addStream(server, certificate).catch(async (error: unknown) => {
      await server.close();
      throw error;
    });
    return {
      settings: {
        ...{ servers: [`server.test:${server.port}`], tls: true },
        ...(certificate.clientAuthority ? {} : { user: 'guest', password: 'secret' }),
      },
      sink: { subject: 'in' },
      source: { stream: 'in' },
      login: (_, password) => ({ password }),
      at: (host) => ({ servers: [`${host}:${server.port}`] }),
      close: () => server.close(),
    };
  },
};

export const MQTT: Kind = {
  name: 'MQTT',
  protocol: mqttProtocol,
  isHere: mosquitto !== undefined,
  reason: 'no Debian to take mosquitto from',
  logins: ['password'],
  async start(certificate) {
    const { root, env } = mosquitto!;
    const server = await ServerUnderTest.start(
      ({ folder }) => [join(root, 'usr/sbin/mosquitto'), '-c', join(folder, 'mosquitto.conf')],
      env,
      async (one) => {
        const at = (name: string) => join(one.folder, name);
        await certified(one, certificate);
        const user = ['-b', '-c', at('passwords'), 'guest', 'secret'];
        await run(join(root, 'usr/bin/mosquitto_passwd'), user, { env: { ...process.env, ...env } });
        const lines = [
          ...['user root', `listener ${one.port} 127.0.0.1`, 'allow_anonymous false'],
          ...[`certfile ${at('cert.pem')}`, `keyfile ${at('key.pem')}`],
          ...(certificate.clientAuthority
            ? [`cafile ${at('clients.pem')}`, 'require_certificate true', 'use_identity_as_username true']
            : [`password_file ${at('passwords')}`]),
        ];
        await writeFile(at('mosquitto.conf'), lines.join('\n'));
      },
    );
    const broker = (host: string) => `${host}:${server.port}`;
    return {
      settings: {
        ...{ broker: broker('server.test'), tls: true },
        ...(certificate.clientAuthority ? {} : { username: 'guest', password: 'secret' }),
      },
      sink: { topic: 'in' },
      source: { topics: ['in'] },
      login: (_, password) => ({ password }),
      at: (host) => ({ broker: broker(host) }),
      close: () => server.close(),
    };
  },
};

async function addStream(
  { port }: ServerUnderTest,
  { key, cert, clientAuthority }: Certificate,
): Promise<void> {
  const tls: object = { servername: 'server.test', ...(clientAuthority ? { key, cert } : {}) };
  const login = clientAuthority ? {} : { user: 'guest', pass: 'secret' };
  const connection = await connectNats({ servers: `127.0.0.1:${port}`, tls, ...login });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: 'in', subjects: ['in.*'] });
  await connection.close();
}

async function certified(
  { folder }: ServerUnderTest,
  { key, cert, clientAuthority }: Certificate,
): Promise<void> {
  await writeFile(join(folder, 'key.pem'), key);
  await writeFile(join(folder, 'cert.pem'), cert);
  if (clientAuthority) await writeFile(join(folder, 'clients.pem'), clientAuthority);
}
