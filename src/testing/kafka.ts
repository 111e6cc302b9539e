import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';
import { madeOnce } from './made-once.ts';

/*
 * Apache Kafka itself against our clients: its jars from Maven Central lie in a temporary folder and are used again by the next run; a broker is one JVM in KRaft
 * mode, on a free port of the loopback, with its data in a folder that goes with it.
 */
const run = promisify(execFile);
const VERSION = '4.1.0';
const FETCH_MS = 300_000;
const START_MS = 90_000;
const JAVA = 'java';
const KEY_STORE = 'server.pem';
const TRUST_STORE = 'clients.pem';
/** Short-lived and small: compiling further costs more than it brings. */
const JVM = ['-Xmx384m', '-Xms128m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto'];

/**
 * Where Kafka's jars are; nothing where there is no java, no mvn, or Maven Central does not answer: then the test is skipped, with the reason in its name.
 *
 * @example const jars = await kafkaJars(); describe.skipIf(!jars)(`Kafka${jars ? '' : ' (skipped: no java and mvn here, or no Maven Central)'}`, …)
 */
export async function kafkaJars(): Promise<string | undefined> {
  const folder = await madeOnce('kafka', [VERSION], async (building) => {
    await run(JAVA, ['-version'], { timeout: FETCH_MS });
    const dependency = `<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${VERSION}</version>`;
    await writeFile(
      join(building, 'pom.xml'),
      `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>jars</groupId><artifactId>jars</artifactId>
       <version>1</version><dependencies><dependency>${dependency}</dependency></dependencies></project>`,
    );
    const output = `-DoutputDirectory=${join(building, 'jars')}`;
    await run('mvn', ['-q', '-B', 'dependency:copy-dependencies', output], {
      cwd: building,
      timeout: FETCH_MS,
    });
  });
  return folder && join(folder, 'jars');
}

export interface KafkaUnderTest {
  /** `127.0.0.1:…` */
  readonly address: string;
  /** Where clients have to log in by SASL/PLAIN, if there is a user. */
  readonly loginAddress: string;
  /** `server.test:…`, which is 127.0.0.1: TLS, and a login by SASL PLAIN or SCRAM, if there is a certificate. */
  readonly securedAddress: string;
  /** The folder of its partitions, a folder each. */
  readonly data: string;
  /** Ends the broker at once, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again with its data. */
  start(): Promise<void>;
  /** Ends it and puts its data away. */
  close(): Promise<void>;
}

interface Settings {
  readonly user?: { readonly name: string; readonly password: string };
  /** PEM: the certificate is for `server.test`. */
  readonly certificate?: { readonly key: string; readonly cert: string };
  /** PEM: clients have to show a certificate that it signed. */
  readonly clientAuthority?: string | undefined;
}

/** For clients of tests: a broker that has just begun says for a while that it is still loading, and to ask again. */
export const PATIENT = { retries: 100, retryDelay: 200 };

/** @example const kafka = await startKafka(jars); … ; await kafka.close() */
export async function startKafka(jars: string, settings: Settings = {}): Promise<KafkaUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'aios-kafka-broker-'));
  const ports = {
    clients: await freePort(),
    controller: await freePort(),
    login: await freePort(),
    secured: await freePort(),
  };
  const file = join(folder, 'server.properties');
  await writeFile(file, propertiesOf(folder, ports, settings).join('\n'));
  if (settings.certificate)
    await writeFile(join(folder, KEY_STORE), settings.certificate.key + settings.certificate.cert);
  if (settings.clientAuthority) await writeFile(join(folder, TRUST_STORE), settings.clientAuthority);
  const java = (main: string, args: readonly string[]) => [...JVM, '-cp', join(jars, '*'), main, ...args];
  const format = ['format', '-t', 'AAAAAAAAAAAAAAAAAAAAAQ', '-c', file, ...scramOf(settings)];
  await run(JAVA, java('kafka.tools.StorageTool', format), { timeout: START_MS, cwd: folder });
  let broker: ChildProcess | undefined;
  const kill = async () => {
    const ending = broker;
    broker = undefined;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    const ended = new Promise((done) => ending.once('exit', done));
    ending.kill('SIGKILL');
    await ended;
  };
  const start = async () => {
    broker = spawn(JAVA, java('kafka.Kafka', [file]), { cwd: folder, stdio: 'ignore' });
    await reachable(ports.clients, broker);
  };
  await start();
  return {
    address: `127.0.0.1:${ports.clients}`,
    loginAddress: `127.0.0.1:${ports.login}`,
    securedAddress: `server.test:${ports.secured}`,
    data: join(folder, 'data'),
    kill,
    start,
    async close() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Users of SCRAM are part of what a broker's storage is formatted with. */
function scramOf({ user }: Settings): string[] {
  return user
    ? ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
        '--add-scram',
        `${mechanism}=[name=${user.name},password=${user.password}]`,
      ])
    : [];
}

interface Ports {
  clients: number;
  controller: number;
  login: number;
  secured: number;
}

function propertiesOf(
  folder: string,
  ports: Ports,
  { user, certificate, clientAuthority }: Settings,
): string[] {
  const { clients, controller, login, secured } = ports;
  const served = [
    `CLIENTS://127.0.0.1:${clients}`,
    ...(user ? [`LOGIN://127.0.0.1:${login}`] : []),
    ...(certificate ? [`SECURED://127.0.0.1:${secured}`] : []),
  ];
  const advertised = served.map((one) => one.replace('SECURED://127.0.0.1', 'SECURED://server.test'));
  return [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.voters=1@127.0.0.1:${controller}`,
    `listeners=${[...served, `CONTROLLER://127.0.0.1:${controller}`].join(',')}`,
    `advertised.listeners=${advertised.join(',')}`,
    `listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT,SECURED:${user ? 'SASL_SSL' : 'SSL'}`,
    'controller.listener.names=CONTROLLER',
    'inter.broker.listener.name=CLIENTS',
    `log.dirs=${join(folder, 'data')}`,
    'offsets.topic.replication.factor=1',
    'offsets.topic.num.partitions=4',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'transaction.state.log.num.partitions=4',
    'group.initial.rebalance.delay.ms=0',
    ...(user ? [...loginOf(user), ...RIGHTS] : []),
    ...(certificate
      ? [
          'listener.name.secured.ssl.keystore.type=PEM',
          `listener.name.secured.ssl.keystore.location=${join(folder, KEY_STORE)}`,
        ]
      : []),
    ...(clientAuthority
      ? [
          'listener.name.secured.ssl.client.auth=required',
          'listener.name.secured.ssl.truststore.type=PEM',
          `listener.name.secured.ssl.truststore.location=${join(folder, TRUST_STORE)}`,
        ]
      : []),
  ];
}

/** Who does not log in may do all, and gives and takes the rights of the user, who has them unless something is said. */
const RIGHTS = [
  'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'super.users=User:ANONYMOUS',
  'allow.everyone.if.no.acl.found=true',
];

function loginOf({ name, password }: NonNullable<Settings['user']>): string[] {
  const modules = 'org.apache.kafka.common.security';
  const plain = `${modules}.plain.PlainLoginModule required user_${name}="${password}";`;
  const scram = `${modules}.scram.ScramLoginModule required;`;
  return [
    'sasl.enabled.mechanisms=PLAIN',
    'listener.name.secured.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    ...['login', 'secured'].map((listener) => `listener.name.${listener}.plain.sasl.jaas.config=${plain}`),
    ...['256', '512'].map((bits) => `listener.name.secured.scram-sha-${bits}.sasl.jaas.config=${scram}`),
  ];
}

async function reachable(port: number, broker: ChildProcess): Promise<void> {
  const lateMs = performance.now() + START_MS;
  while (performance.now() < lateMs) {
    if (broker.exitCode !== null) throw new Error(`Kafka ended with ${broker.exitCode} before it was there.`);
    const isThere = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1', () => done(true)).on('error', () => done(false));
      socket.on('connect', () => socket.destroy());
    });
    if (isThere) return;
    await sleep(100);
  }
  throw new Error(`Kafka was not there within ${START_MS} ms.`);
}
