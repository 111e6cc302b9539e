import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelModel } from 'amqplib';
import { AiosError } from '../../../../kernel/errors.ts';
import type { BridgeContext } from '../../port/protocol.ts';
import { certificateFailure } from '../certificate-failure.ts';
import { shownCertificate, type TlsSetting } from '../client-certificate.ts';

export interface AmqpServer {
  readonly host: string;
  readonly port?: number;
  readonly tls?: TlsSetting;
  readonly vhost?: string;
  readonly username?: string;
  readonly password?: string;
}

const CONNECT_MS = 10_000;
/** One that says nothing for two of these is gone. */
const HEARTBEAT_S = 10;
const CLOSE_MS = 2_000;
/** All that the library says where the broker answers the opening of a virtual host with the end of the connection. */
const VHOST_REFUSED = /ConnectionOpenOk.*ConnectionClose/;

/**
 * A connection to an address that was checked. A certificate without a user name logs in by itself (SASL EXTERNAL). What goes wrong with it later is told by its channels and its end.
 *
 * @throws AiosError `bridges.unreachable`, `bridges.refused`, `bridges.certificate_refused`, `connectors.egress_refused`
 */
export async function connectAmqp(
  { egress, clock }: BridgeContext,
  server: AmqpServer,
): Promise<ChannelModel> {
  const { host, tls = false, port = tls ? 5671 : 5672, vhost = '/' } = server;
  const [first] = await egress.addresses(host, port);
  const shown = shownCertificate(tls, `${host}:${port}`, clock);
  const { connect, credentials } = await import('amqplib');
  const { username = 'guest', password = 'guest' } = server;
  const isNamedByCertificate = shown !== undefined && server.username === undefined;
  const to = { hostname: first!.address, port, vhost, heartbeat: HEARTBEAT_S };
  try {
    const connection = await connect(
      { ...to, protocol: tls ? 'amqps' : 'amqp' },
      {
        ...{ timeout: CONNECT_MS, noDelay: true, ...shown },
        ...(tls && isIP(host) === 0 ? { servername: host } : {}),
        credentials: isNamedByCertificate ? credentials.external() : credentials.plain(username, password),
      },
    );
    connection.on('error', () => {}); // its end is told, too
    return connection;
  } catch (error) {
    throw amqpFailure(error, `${host}:${port}`, tls);
  }
}

/** Ends a connection, after what is to be ended before it, whether or not the broker answers. */
export async function closeAmqp(
  connection: ChannelModel,
  before: Promise<void> = Promise.resolve(),
): Promise<void> {
  const closed = before
    .catch(() => {}) // it may be gone
    .then(() => connection.close())
    .catch(() => {});
  await Promise.race([closed, sleep(CLOSE_MS, undefined, { ref: false })]);
  (connection.connection as unknown as { stream: Duplex }).stream.destroy(
    new Error('The connection was closed.'),
  );
}

/** Whether RabbitMQ has carried a transaction out but for what a queue has refused. */
export function isPartial(error: unknown): boolean {
  return /partial tx completion/.test((error as Error).message ?? '');
}

/** What the library threw, as AIOS tells it. */
export function amqpFailure(error: unknown, place: string, tls: TlsSetting | undefined): AiosError {
  if (error instanceof AiosError) return error;
  const untrusted = certificateFailure(error, place, tls);
  if (untrusted) return untrusted;
  const { message = String(error), code } = error as { message?: string; code?: unknown };
  const detail = `${place}: ${message || String(code)}`;
  if (isPartial(error)) {
    const full = `${place}: a queue takes no more, and refuses what comes (x-overflow: reject-publish).`;
    return new AiosError('bridges.failed', { detail: full, cause: error });
  }
  if (/RESOURCE[_-]LOCKED/.test(message)) {
    const locked = `${place}: the queue is exclusive: it belongs to the connection that declared it, and goes away with that. Declare one that is not, and bind it to the same exchange.`;
    return new AiosError('bridges.refused', { detail: locked, cause: error });
  }
  if (/exclusive use|\b404\b|\b406\b/.test(message))
    return new AiosError('bridges.failed', { detail, cause: error });
  if (VHOST_REFUSED.test(message)) {
    const denied = `${place}: the broker refuses the virtual host: there is none of this name, or the user has no right to it.`;
    return new AiosError('bridges.refused', { detail: denied, cause: error });
  }
  if (/ACCESS[_-]REFUSED|\b403\b/.test(message))
    return new AiosError('bridges.refused', { detail, cause: error });
  if (typeof code === 'string' || /closed|ended|timed? ?out|heartbeat/i.test(message))
    return new AiosError('bridges.unreachable', { detail, cause: error });
  return new AiosError('bridges.failed', { detail, cause: error });
}
