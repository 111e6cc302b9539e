import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type DebianPackages, debianPackages } from './debian.ts';
import { freePort } from './free-port.ts';

/*
 * RabbitMQ itself against our client, from Debian's packages: an Erlang VM and its port mapper, both children of the test, on free ports of the loopback, with their
 * data in a folder that goes with them.
 */
const run = promisify(execFile);
const START_MS = 90_000;
const STARTS_MAX = 3;
const SAID_KEPT = 1_500; // characters

/** The packages; nothing where they cannot be had: then the test is skipped, with the reason in its name. */
export function rabbitPackages(): Promise<DebianPackages | undefined> {
  return debianPackages(['rabbitmq-server']);
}

export interface RabbitUnderTest {
  readonly host: string;
  readonly port: number;
  /** Of TLS, if there is a certificate. */
  readonly tlsPort: number;
  /** Ends the broker at once, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again with its data. */
  start(): Promise<void>;
  /** Has it do what `rabbitmqctl` is told. */
  control(...told: string[]): Promise<void>;
  /** Ends it and puts its data away. */
  close(): Promise<void>;
}

/** PEM. */
interface RabbitCertificate {
  readonly key: string;
  readonly cert: string;
  /** Clients have to show a certificate that it signed; one of the name `server` may log in by it. */
  readonly clientAuthority?: string | undefined;
}

/**
 * A port that was free may be taken before the broker listens there, beside many other tests: where it ends at once, another one begins on other ports.
 *
 * @param more lines of its settings
 * @example const rabbit = await startRabbit(packages); … amqp://guest:guest@127.0.0.1:port …; await rabbit.close()
 */
export async function startRabbit(
  packages: DebianPackages,
  certificate?: RabbitCertificate,
  more: readonly string[] = [],
): Promise<RabbitUnderTest> {
  for (let left = STARTS_MAX - 1; ; left--) {
    try {
      return await startOnce(packages, certificate, more);
    } catch (error) {
      if (left === 0 || !(error instanceof EndedAtOnce)) throw error;
    }
  }
}

class EndedAtOnce extends Error {}

async function startOnce(
  packages: DebianPackages,
  certificate: RabbitCertificate | undefined,
  more: readonly string[],
): Promise<RabbitUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'aios-rabbitmq-'));
  const [port, mapperPort, nodePort] = [await freePort(), await freePort(), await freePort()];
  const tlsPort = await freePort();
  const erlang = join(packages.root, 'usr/lib/erlang');
  await mkdir(join(folder, 'log'));
  await writeFile(join(folder, 'plugins'), '[rabbitmq_auth_mechanism_ssl].');
  await configure(folder, { tlsPort, certificate, more });
  // Debian's own says where Erlang is installed, and it is not.
  const bin = join(erlang, (await readdir(erlang)).find((name) => name.startsWith('erts-'))!, 'bin');
  await mkdir(join(folder, 'bin'));
  const erl = `#!/bin/sh\nexport ROOTDIR=${erlang} BINDIR=${bin} EMU=beam PROGNAME=erl\nexec ${bin}/erlexec "$@"\n`;
  await writeFile(join(folder, 'bin', 'erl'), erl, { mode: 0o755 });
  const env = {
    ...process.env,
    ...packages.env,
    HOME: folder, // of the cookie
    PATH: `${join(folder, 'bin')}:${bin}:${process.env.PATH}`,
    ERL_EPMD_PORT: String(mapperPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_ALLOW_INPUT: 'true', // one process, which ends with its input
    RABBITMQ_NODENAME: `aios${port}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(nodePort),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    RABBITMQ_CONF_ENV_FILE: join(folder, 'none'),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none',
  };
  const stdio: ['pipe', 'ignore', 'ignore'] = ['pipe', 'ignore', 'ignore'];
  const mapper = spawn(join(bin, 'epmd'), ['-port', String(mapperPort), '-address', '127.0.0.1'], {
    ...{ env, cwd: folder, stdio },
  });
  const [release] = await readdir(join(packages.root, 'usr/lib/rabbitmq/lib'));
  const program = (name: string) => join(packages.root, 'usr/lib/rabbitmq/lib', release!, 'sbin', name);
  let broker: ChildProcess | undefined;
  const start = async () => {
    broker = spawn(program('rabbitmq-server'), [], { env, cwd: folder, stdio: 'pipe' });
    await answering(port, broker);
  };
  const kill = async () => {
    await ended(broker);
    broker = undefined;
  };
  const close = async () => {
    await Promise.all([kill(), ended(mapper)]);
    await rm(folder, { recursive: true, force: true });
  };
  const control = async (...told: string[]) => {
    await run(program('rabbitmqctl'), told, { env, cwd: folder });
  };
  await start().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return {
    ...{ host: '127.0.0.1', port, tlsPort, kill, start, control, close },
  };
}

async function configure(
  folder: string,
  {
    tlsPort,
    certificate,
    more,
  }: { tlsPort: number; certificate: RabbitCertificate | undefined; more: readonly string[] },
) {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const authority = join(folder, 'clients.pem');
  const lines = certificate
    ? [
        `listeners.ssl.default = 127.0.0.1:${tlsPort}`,
        `ssl_options.certfile = ${cert}`,
        `ssl_options.keyfile = ${key}`,
        ...(certificate.clientAuthority
          ? [
              `ssl_options.cacertfile = ${authority}`,
              ...['ssl_options.verify = verify_peer', 'ssl_options.fail_if_no_peer_cert = true'],
              ...['auth_mechanisms.1 = PLAIN', 'auth_mechanisms.2 = EXTERNAL'],
              ...['ssl_cert_login_from = common_name', 'default_user = server'],
            ]
          : ['ssl_options.verify = verify_none']),
      ]
    : [];
  if (certificate) {
    await writeFile(key, certificate.key);
    await writeFile(cert, certificate.cert);
    if (certificate.clientAuthority) await writeFile(authority, certificate.clientAuthority);
  }
  await writeFile(join(folder, 'rabbitmq.conf'), `${[...lines, ...more].join('\n')}\n`);
}

async function ended(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGKILL');
  await gone;
}

/** Answers in its protocol: the port is open a while before. */
async function answering(port: number, broker: ChildProcess): Promise<void> {
  let said = '';
  for (const output of [broker.stdout, broker.stderr])
    output?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-SAID_KEPT);
    });
  const lateMs = performance.now() + START_MS;
  while (performance.now() < lateMs) {
    if (broker.exitCode !== null)
      throw new EndedAtOnce(`RabbitMQ ended with ${broker.exitCode} before it was there.\n${said}`);
    const isThere = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1', () => socket.write('AMQP\u0000\u0000\u0009\u0001'));
      socket.setTimeout(2_000, () => done(false));
      socket
        .once('data', () => done(true))
        .on('error', () => done(false))
        .on('close', () => done(false));
    }).catch(() => false);
    if (isThere) return;
    await sleep(100);
  }
  throw new Error(`RabbitMQ was not there within ${START_MS} ms.`);
}
