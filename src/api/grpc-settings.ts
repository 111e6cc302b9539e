import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { AiosError } from '../kernel/errors.ts';

/** What the gRPC door shows its clients, and whose it takes; all PEM. */
export interface GrpcTls {
  /** The server's own, then those up to its authority. */
  readonly certificates: Buffer;
  readonly key: Buffer;
  /** Authorities one of which has to have signed a client's certificate; without them no client needs one. */
  readonly clientAuthorities?: Buffer | undefined;
}

/** Where gRPC is served, and how. */
export interface GrpcSettings {
  /** That of HTTP when left out. */
  readonly host?: string | undefined;
  /** 0 takes a free one. */
  readonly port: number;
  /** True for a port that nobody asked for: when it is taken, a free one will do. */
  readonly isPortDefault?: boolean | undefined;
  /** Without it the door is plain HTTP/2. */
  readonly tls?: GrpcTls | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const CERTIFICATE = 'AIOS_GRPC_TLS_CERT_FILE';
const KEY = 'AIOS_GRPC_TLS_KEY_FILE';
const CLIENT_AUTHORITIES = 'AIOS_GRPC_TLS_CLIENT_CA_FILE';
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * The settings of the gRPC door: `AIOS_GRPC_PORT` (the port after that of HTTP when left out, as other inference servers have it; `off` for no
 * door), `AIOS_GRPC_HOST`, and the files of TLS, which are read here.
 *
 * @throws AiosError `start.setting`, naming the variable: no port, a file that is missing or holds something else, a key of another certificate
 * @example grpcSettings({ AIOS_GRPC_PORT: '9001' }, 7700) // { host: undefined, port: 9001, isPortDefault: false, tls: undefined }
 */
export function grpcSettings(env: Environment, httpPort: number): GrpcSettings | undefined {
  const named = env.AIOS_GRPC_PORT;
  if (named === 'off') return undefined;
  const followingPort = httpPort === 0 || httpPort === 65_535 ? 0 : httpPort + 1;
  return {
    host: env.AIOS_GRPC_HOST,
    port: named === undefined ? followingPort : portNamed(named),
    isPortDefault: named === undefined,
    tls: tlsOf(env),
  };
}

function portNamed(named: string): number {
  const port = Number(named);
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port;
  throw new AiosError('start.setting', { detail: `AIOS_GRPC_PORT: “${named}” is not a port; off for none.` });
}

function tlsOf(env: Environment): GrpcTls | undefined {
  const given = [CERTIFICATE, KEY, CLIENT_AUTHORITIES].filter((name) => env[name]);
  if (given.length === 0) return undefined;
  for (const name of [CERTIFICATE, KEY]) {
    if (env[name]) continue;
    const detail = `${given.join(' and ')} ${given.length > 1 ? 'are' : 'is'} set, and ${name} is not: TLS needs the certificate and its key.`;
    throw new AiosError('start.setting', { detail });
  }
  const certificates = readPem(env, CERTIFICATE, checkCertificates);
  const key = readPem(env, KEY, createPrivateKey);
  if (!new X509Certificate(certificates).checkPrivateKey(createPrivateKey(key))) {
    const detail = `${KEY} ${env[KEY]} is not the key of the first certificate in ${CERTIFICATE} ${env[CERTIFICATE]}.`;
    throw new AiosError('start.setting', { detail });
  }
  if (!env[CLIENT_AUTHORITIES]) return { certificates, key };
  return { certificates, key, clientAuthorities: readPem(env, CLIENT_AUTHORITIES, checkCertificates) };
}

function readPem(env: Environment, name: string, check: (pem: Buffer) => unknown): Buffer {
  const file = env[name] as string;
  try {
    const pem = readFileSync(file);
    check(pem);
    return pem;
  } catch (error) {
    throw new AiosError('start.setting', { detail: `${name} ${file}: ${(error as Error).message}` });
  }
}

function checkCertificates(pem: Buffer): void {
  const found = pem.toString('latin1').match(PEM_CERTIFICATE);
  if (!found) throw new Error('It holds no certificate in PEM.');
  for (const certificate of found) void new X509Certificate(certificate);
}
