import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { AiosError } from '../kernel/errors.ts';

/** Networks that an outside system cannot be in: private, local, shared, reserved, and tunnels into them (IANA special-purpose registries). */
const BLOCKED = {
  ipv4: [
    '0.0.0.0/8',
    '10.0.0.0/8',
    '100.64.0.0/10',
    '127.0.0.0/8',
    '169.254.0.0/16', // link-local, and the metadata service of clouds
    '172.16.0.0/12',
    '192.0.0.0/24',
    '192.0.2.0/24',
    '192.88.99.0/24',
    '192.168.0.0/16',
    '198.18.0.0/15',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '224.0.0.0/4',
    '240.0.0.0/4',
  ],
  // ::ffff:0:0/96 is not here: BlockList holds mapped addresses to the rules of IPv4.
  ipv6: [
    '::/96',
    '64:ff9b::/96',
    '64:ff9b:1::/48',
    '100::/64',
    '2001::/23',
    '2001:db8::/32',
    '2002::/16',
    '3fff::/20',
    'fc00::/7',
    'fe80::/10',
    'fec0::/10',
    'ff00::/8',
  ],
} as const;

const blocked = new BlockList();
for (const family of ['ipv4', 'ipv6'] as const) {
  for (const network of BLOCKED[family]) {
    const [address = '', bits] = network.split('/');
    blocked.addSubnet(address, Number(bits), family);
  }
}

/** @example isPrivateAddress('169.254.169.254') // true */
export function isPrivateAddress(address: string): boolean {
  const family = isIP(address);
  return family === 0 || blocked.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** Whether an allowance, `host` or `host:port` in small letters, means this host and port. */
export function namesHost(name: string, hostname: string, port: number): boolean {
  const host = hostname.toLowerCase();
  return name === host || name === `${host}:${port}` || name === `[${host}]:${port}`;
}

/** The part of `dns.lookup` that is used. */
export type Resolve = (
  hostname: string,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

const systemResolve: Resolve = (hostname, done) => dnsLookup(hostname, { all: true }, done);

export interface GuardOptions {
  /** Whether a host may be reached although its address is private. */
  isAllowed(hostname: string, port: number): boolean;
  connectionsMax: number;
  connectTimeoutMs: number;
  resolve?: Resolve;
}

/**
 * The only way out: a dispatcher that checks, when it connects, every address that a name resolves to, and connects to those and no others (a name
 * cannot change its address in between). Redirects are not followed.
 *
 * @example createGuardedAgent({ isAllowed: () => false, connectionsMax: 16, connectTimeoutMs: 5_000 })
 */
export function createGuardedAgent(options: GuardOptions): Agent {
  const { connectionsMax, connectTimeoutMs, resolve = systemResolve } = options;
  const shared = { allowH2: false, timeout: connectTimeoutMs };
  const open = buildConnector({ ...shared, lookup: guardedLookup(resolve, () => false) });
  const guarded = buildConnector({ ...shared, lookup: guardedLookup(resolve, isPrivateAddress) });
  return new Agent({
    connections: connectionsMax,
    pipelining: 1,
    keepAliveTimeout: 4_000, // below the 5 s of Node's own servers, so that they do not close first
    connect(target, callback) {
      const hostname = target.hostname.replace(/^\[|\]$/g, '');
      const port = Number(target.port) || (target.protocol === 'https:' ? 443 : 80);
      if (options.isAllowed(hostname, port)) return open(target, callback);
      // Sockets do not look up an address that is written as one.
      if (isIP(hostname) !== 0 && isPrivateAddress(hostname)) return callback(refused(hostname), null);
      return guarded(target, callback);
    },
  });
}

function guardedLookup(resolve: Resolve, isBlocked: (address: string) => boolean): LookupFunction {
  return (hostname, options, done) => {
    resolve(hostname, (error, addresses) => {
      if (error) return done(error, '');
      const wanted = addresses.filter(({ family }) => !options.family || options.family === family);
      // One private address among public ones is refused too: which of them is used is not ours to choose.
      if (addresses.some(({ address }) => isBlocked(address))) return done(refused(hostname), '');
      const [first] = wanted;
      if (!first)
        return done(Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' }), '');
      return options.all ? done(null, wanted) : done(null, first.address, first.family);
    });
  };
}

/**
 * The addresses of a host, checked, for protocols that connect by themselves: to these and no others.
 *
 * @param isAllowed whether it may be reached although its address is private
 * @throws AiosError `connectors.egress_refused`, `connectors.unreachable` for a name without an address
 * @example await guardedAddresses('broker.example.org', false) // [{ address: '93.184.216.34', family: 4 }]
 */
export async function guardedAddresses(
  hostname: string,
  isAllowed: boolean,
  resolve: Resolve = systemResolve,
): Promise<LookupAddress[]> {
  const family = isIP(hostname);
  if (family !== 0) {
    if (!isAllowed && isPrivateAddress(hostname)) throw refused(hostname);
    return [{ address: hostname, family }];
  }
  const lookup = guardedLookup(resolve, isAllowed ? () => false : isPrivateAddress);
  return new Promise((done, fail) =>
    lookup(hostname, { all: true }, (error, addresses) => {
      if (!error) done(addresses as LookupAddress[]);
      else if (error instanceof AiosError) fail(error);
      else fail(new AiosError('connectors.unreachable', { detail: error.message, cause: error }));
    }),
  );
}

function refused(hostname: string): AiosError {
  return new AiosError('connectors.egress_refused', {
    detail: `${hostname} is a private address, or a name for one, and is not in allowPrivate.`,
  });
}
