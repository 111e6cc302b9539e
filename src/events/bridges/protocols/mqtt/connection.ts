import { connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { IClientOptions, IConnackPacket, MqttClient } from 'mqtt';
import { AiosError } from '../../../../kernel/errors.ts';
import type { BridgeContext } from '../../port/protocol.ts';
import { certificateFailure } from '../certificate-failure.ts';
import { shownCertificate, type TlsSetting } from '../client-certificate.ts';

export interface MqttServer {
  /** `host:port`. */
  readonly broker: string;
  readonly tls?: TlsSetting;
  readonly username?: string;
  readonly password?: string;
  /** 5 when left out; 3.1.1 has no headers, so no binary mode. */
  readonly version?: '5' | '3.1.1';
}

export interface MqttConnection {
  readonly client: MqttClient;
  readonly connack: IConnackPacket;
  /** Settles with what ended the connection. Never rejects. */
  readonly ended: Promise<unknown>;
}

const CONNECT_MS = 5_000;
/** One that says nothing for one and a half of these is gone. */
const KEEPALIVE_S = 20;
/** Reason codes of CONNACK, PUBACK and SUBACK that trying again alone will not mend: credentials and rights (4 and 5 are those of 3.1.1). */
const REFUSED = new Set([4, 5, 0x80, 0x85, 0x86, 0x87, 0x8a, 0x8c, 0x8f, 0x90, 0xa2]);

/**
 * One connection, without reconnecting: the runner of bridges knows when to try again, and from where.
 *
 * @param prepare is handed the client before the first packet can arrive
 * @throws AiosError `bridges.unreachable`, `bridges.refused`, `connectors.egress_refused`
 */
export async function connectMqtt(
  server: MqttServer,
  { egress, clock }: Pick<BridgeContext, 'egress' | 'clock'>,
  options: IClientOptions,
  prepare: (client: MqttClient) => void = () => {},
): Promise<MqttConnection> {
  const { broker, tls, username, password, version } = server;
  const { hostname, port: digits } = new URL(`mqtt://${broker}`);
  const host = hostname.replace(/^\[|\]$/g, '');
  const port = Number(digits) || (tls ? 8883 : 1883);
  const [to] = await egress.addresses(host, port);
  const { MqttClient } = await import('mqtt');
  const at = { host: to!.address, port, noDelay: true };
  const secured = { ...at, ...shownCertificate(tls, broker, clock) };
  const client = new MqttClient(
    () => (tls ? connectTls(isIP(host) === 0 ? { ...secured, servername: host } : secured) : connectTcp(at)),
    {
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      protocolVersion: version === '3.1.1' ? 4 : 5,
      reconnectPeriod: 0,
      resubscribe: false,
      connectTimeout: CONNECT_MS,
      keepalive: KEEPALIVE_S,
      ...options,
    },
  );
  const ended = new Promise<unknown>((done) => {
    client.on('error', done);
    client.on('disconnect', (packet) =>
      done(Object.assign(new Error('The broker ended the connection'), { code: packet.reasonCode })),
    );
    client.on('close', () => done(new Error('The connection was closed.')));
  });
  prepare(client);
  const connected = new Promise<IConnackPacket>((done) => client.once('connect', done));
  const first = await Promise.race([connected, ended.then((error) => ({ error }))]);
  if ('error' in first) {
    endMqtt(client);
    throw mqttError(first.error, server);
  }
  return { client, connack: first, ended };
}

export function isVersion5({ version = '5' }: Pick<MqttServer, 'version'>): boolean {
  return version === '5';
}

/** At once: what a session holds stays with the broker. */
export function endMqtt(client: MqttClient): void {
  client.on('error', () => {}); // what comes after the end is nobody's
  client.end(true);
  client.stream?.destroy();
}

/** What the broker or the connection said, as an error of ours. */
export function mqttError(error: unknown, { broker, tls }: Pick<MqttServer, 'broker' | 'tls'>): AiosError {
  if (error instanceof AiosError) return error;
  const untrusted = certificateFailure(error, broker, tls);
  if (untrusted) return untrusted;
  const { code, message } = error as { code?: unknown; message?: string };
  const said = message || String(code ?? error);
  const detail = `${broker}: ${said}${typeof code === 'number' ? ` (reason code ${code})` : ''}`;
  const isRefusal = typeof code === 'number' && REFUSED.has(code);
  return new AiosError(isRefusal ? 'bridges.refused' : 'bridges.unreachable', { detail, cause: error });
}
