import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Clock } from '../../../kernel/clock.ts';
import { AiosError } from '../../../kernel/errors.ts';
import type { JsonObject } from '../../../kernel/json.ts';

/** By what a bridge proves to a broker who it is; texts are PEM. */
interface ClientCertificate {
  /** That of the bridge, then those of the authorities between it and the one that the broker knows. */
  readonly certificate: string;
  readonly key: string;
  /** Of the key, where it is encrypted. */
  readonly passphrase?: string;
}

/** Whether a connection is one of TLS, and the certificate that it shows where brokers ask for one. */
export type TlsSetting = boolean | ClientCertificate;

// A definition is kept and shown for ever: it names the secret.
const SECRET: JsonObject = { type: 'string', pattern: '\\$\\{secrets\\.' };

/** The setting `tls` of a bridge, as JSON Schema. */
export const TLS_SETTING: JsonObject = {
  description:
    'Whether the connection is one of TLS; an object with the certificate of the bridge where the broker asks for one.',
  type: ['boolean', 'object'],
  additionalProperties: false,
  required: ['certificate', 'key'],
  properties: {
    certificate: { type: 'string', minLength: 1 },
    key: SECRET,
    passphrase: SECRET,
  },
};

/** What Node's TLS takes. */
interface ShownCertificate {
  readonly cert: string;
  readonly key: string;
  readonly passphrase?: string;
}

/**
 * The certificate that a connection shows: its members go into the options of Node's TLS; none where the setting has no certificate.
 *
 * @throws AiosError `bridges.client_certificate_invalid` where it cannot be read, is not of the key, or is over: the broker would say less
 * @example connect({ host, port, servername, ...shownCertificate(settings.tls, 'kafka.example.org:9093', clock) })
 */
export function shownCertificate(
  tls: TlsSetting | undefined,
  place: string,
  clock: Pick<Clock, 'now'>,
): ShownCertificate | undefined {
  if (typeof tls !== 'object') return undefined;
  const { passphrase } = tls;
  const [cert, key] = [lines(tls.certificate), lines(tls.key)];
  const invalid = (detail: string, cause?: unknown) =>
    new AiosError('bridges.client_certificate_invalid', { detail: `${place}: ${detail}`, cause });
  const certificate = read(
    () => new X509Certificate(cert),
    (error) => invalid('`certificate` is no certificate in PEM.', error),
  );
  const secret = read(
    () => createPrivateKey({ key, ...(passphrase === undefined ? {} : { passphrase }) }),
    (error) => invalid('`key` is no private key in PEM, or `passphrase` does not open it.', error),
  );
  if (!certificate.checkPrivateKey(secret)) throw invalid('`key` is not the key of `certificate`.');
  if (clock.now() > certificate.validToDate.getTime())
    throw invalid(`\`certificate\` ended on ${certificate.validToDate.toISOString()}.`);
  return { cert, key, ...(passphrase === undefined ? {} : { passphrase }) };
}

/** A file of secrets has one line for each: line ends of PEM are written there as `\n`. */
function lines(pem: string): string {
  return pem.replaceAll('\\n', '\n');
}

function read<Value>(work: () => Value, fault: (error: unknown) => AiosError): Value {
  try {
    return work();
  } catch (error) {
    throw fault(error);
  }
}
