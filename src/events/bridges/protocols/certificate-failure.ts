import { AiosError } from '../../../kernel/errors.ts';
import type { TlsSetting } from './client-certificate.ts';

/** Codes of Node and OpenSSL for a certificate that is not of a trusted authority, not of that name, or over. */
const CODES =
  /^(CERT_|CRL_|DEPTH_ZERO_|ERROR_IN_C|ERR_TLS_CERT_|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|PATH_LENGTH_|SELF_SIGNED_|UNABLE_TO_)/;
/** What a server says of the certificate that it was shown, or was not: alerts of TLS, by the names that OpenSSL of any version has for them. */
const CLIENT_REFUSED =
  /_ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(REVOKED|EXPIRED|UNKNOWN)|UNKNOWN_CA|ACCESS_DENIED)$/;
const CLIENT_REQUIRED = /_ALERT_CERTIFICATE_REQUIRED$/;
/** Advice of Node's to people who start it themselves. */
const ADVICE = /; if the root CA is installed locally.*$/;

/**
 * What a library threw because the certificate of the other side does not hold, or because the other side does not take ours, however deep it wrapped it;
 * undefined for all else.
 *
 * @param tls as the bridge sets it
 * @example certificateFailure(error, 'kafka.example.org:9093', true) // AiosError bridges.certificate_refused: kafka.example.org:9093: certificate has expired
 */
export function certificateFailure(
  error: unknown,
  place: string,
  tls: TlsSetting | undefined,
): AiosError | undefined {
  const found = findFault(error, 0);
  if (!found) return undefined;
  const detail = `${place}: ${found.message.replace(ADVICE, '')} (${found.code})`;
  return new AiosError(codeOf(found.code, typeof tls === 'object'), { detail, cause: error });
}

/** Where no certificate was shown, some brokers say that it is bad. */
function codeOf(code: string, isShown: boolean) {
  if (CLIENT_REQUIRED.test(code)) return 'bridges.client_certificate_required';
  if (!CLIENT_REFUSED.test(code)) return 'bridges.certificate_refused';
  return isShown ? 'bridges.client_certificate_refused' : 'bridges.client_certificate_required';
}

interface Fault extends Error {
  readonly code: string;
}

/** Libraries wrap a handful of times. */
const DEPTH_MAX = 16;

function isOfCertificates(code: string): boolean {
  return CODES.test(code) || CLIENT_REFUSED.test(code) || CLIENT_REQUIRED.test(code);
}

function findFault(error: unknown, depth: number): Fault | undefined {
  if (!(error instanceof Error) || depth > DEPTH_MAX) return undefined;
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && isOfCertificates(code)) return error as Fault;
  const inner = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  for (const one of [error.cause, ...inner]) {
    const found = findFault(one, depth + 1);
    if (found) return found;
  }
  return undefined;
}
