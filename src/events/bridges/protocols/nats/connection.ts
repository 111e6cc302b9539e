import { isIP } from 'node:net';
import type { NatsConnection } from '@nats-io/transport-node';
import { AiosError } from '../../../../kernel/errors.ts';
import type { BridgeContext } from '../../port/protocol.ts';
import { certificateFailure } from '../certificate-failure.ts';
import { shownCertificate, type TlsSetting } from '../client-certificate.ts';

export interface NatsServers {
  /** `host:port`, tried in this order. */
  readonly servers: readonly string[];
  readonly tls?: TlsSetting;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
}

const CONNECT_MS = 5_000;
const NATS_PORT = 4222;

/**
 * One connection to the first server that answers, without reconnecting: what was sent on it arrived up to a point and nothing after it, which is what
 * the sink builds on; and servers that a cluster tells of would go around the guard of what leaves.
 *
 * @throws AiosError `bridges.unreachable` with what each server said, `bridges.refused`, `connectors.egress_refused`
 */
export async function connectNats(
  settings: NatsServers,
  { egress, clock }: Pick<BridgeContext, 'egress' | 'clock'>,
): Promise<NatsConnection> {
  const { connect } = await import('@nats-io/transport-node');
  const { tls, user, password, token } = settings;
  const faults: string[] = [];
  let refused: AiosError | undefined;
  for (const server of settings.servers) {
    const { hostname, port: digits } = new URL(`nats://${server}`);
    const host = hostname.replace(/^\[|\]$/g, '');
    const port = Number(digits) || NATS_PORT;
    // The library passes the members of `tls` on to Node, though its types name only files. Whom the certificate has to name: a host, or an address.
    const named = isIP(host) === 0 ? { servername: host } : { host };
    const secure: { tls?: object } = tls
      ? { tls: { ...named, ...shownCertificate(tls, server, clock) } }
      : {};
    try {
      // Within: the name of a server that is down may be gone with it, as that of a pod is.
      const [to] = await egress.addresses(host, port);
      return await connect({
        ...secure,
        servers: `${to!.family === 6 ? `[${to!.address}]` : to!.address}:${port}`,
        name: 'aios',
        reconnect: false,
        ignoreClusterUpdates: true,
        timeout: CONNECT_MS,
        ...(user === undefined ? {} : { user }),
        ...(password === undefined ? {} : { pass: password }),
        ...(token === undefined ? {} : { token }),
      });
    } catch (error) {
      if (isRefusal(error)) throw natsError(error, server);
      refused ??= certificateFailure(error, server, tls) ?? ownRefusal(error);
      faults.push(`${server}: ${messageOf(error)}`);
    }
  }
  throw refused ?? new AiosError('bridges.unreachable', { detail: faults.join('; ') });
}

/** That of the guard, which says more than that nothing answers. */
function ownRefusal(error: unknown): AiosError | undefined {
  return error instanceof AiosError && error.code === 'connectors.egress_refused' ? error : undefined;
}

/** What the server or the connection said, as an error of ours. */
export function natsError(error: unknown, what: string): AiosError {
  if (error instanceof AiosError) return error;
  const code = isRefusal(error) ? 'bridges.refused' : 'bridges.unreachable';
  return new AiosError(code, { detail: `${what}: ${messageOf(error)}`, cause: error });
}

/** What trying again alone will not mend: credentials, rights, and what JetStream's API answers with a number. */
function isRefusal(error: unknown): boolean {
  const { name, code, cause } = error as { name?: string; code?: unknown; cause?: unknown };
  return (
    ['AuthorizationError', 'PermissionViolationError', 'UserAuthenticationExpiredError'].includes(
      name ?? '',
    ) ||
    name === 'JetStreamNotEnabled' ||
    typeof code === 'number' ||
    (cause instanceof Error && isRefusal(cause))
  );
}

function messageOf(error: unknown): string {
  const { message, cause } = error as Error;
  const why = cause instanceof Error && cause.message ? ` (${cause.message})` : '';
  return `${message || String(error)}${why}`;
}
