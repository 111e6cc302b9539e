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

/** How the library reads frames: it has no other way to let them wait. */
interface Receiving {
  readonly stream: Duplex;
  recvFrame(): unknown;
  /** Whether anything was read since the last look; two looks without it end the connection. */
  recvSinceLastCheck: boolean;
}

/**
 * Holds up what a connection reads: all that the broker sends waits in the network, its answers and heartbeats with it. RabbitMQ bounds what it sends by the number of
 * messages alone, and sends that many at once, whatever their size. It ends a connection of which nothing is read for 30 s (3.10, tried): what was not acknowledged by
 * then comes again.
 *
 * @example const reading = new HeldReading(connection); reading.hold(); … ; reading.goOn()
 */
export class HeldReading {
  readonly #receiving: Receiving;
  #isHeld = false;
  #isEnded = false;

  constructor({ connection }: ChannelModel) {
    const receiving = connection as unknown as Receiving;
    this.#receiving = receiving;
    const receive = receiving.recvFrame.bind(receiving);
    receiving.recvFrame = () => (this.#isHeld ? false : receive());
    let hasRead = receiving.recvSinceLastCheck;
    Object.defineProperty(receiving, 'recvSinceLastCheck', {
      get: () => hasRead || this.#isHeld, // a broker is not gone because nobody listens to it
      set: (now: boolean) => {
        hasRead = now;
      },
    });
  }

  hold(): void {
    this.#isHeld = !this.#isEnded;
  }

  goOn(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#receiving.stream.emit('readable');
  }

  /** Reads on for good, up to the broker's last answer. */
  end(): void {
    this.#isEnded = true;
    this.goOn();
  }
}

/** Ends a connection, whether or not the broker answers. */
export async function closeAmqp(connection: ChannelModel): Promise<void> {
  const closed = connection.close().catch(() => {}); // it may be gone
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
