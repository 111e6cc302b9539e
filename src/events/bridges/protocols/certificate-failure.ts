import { AiosError } from '../../../kernel/errors.ts';

/** Codes of Node and OpenSSL for a certificate that is not of a trusted authority, not of that name, or over. */
const CODES =
  /^(CERT_|CRL_|DEPTH_ZERO_|ERROR_IN_C|ERR_TLS_CERT_|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|PATH_LENGTH_|SELF_SIGNED_|UNABLE_TO_)/;
/** Advice of Node's to people who start it themselves. */
const ADVICE = /; if the root CA is installed locally.*$/;

/**
 * What a library threw because the certificate of the other side does not hold, however deep it wrapped it; undefined for all else.
 *
 * @example certificateFailure(error, 'kafka.example.org:9093') // AiosError bridges.certificate_refused: kafka.example.org:9093: certificate has expired
 */
export function certificateFailure(error: unknown, place: string): AiosError | undefined {
  const found = findFault(error, 0);
  if (!found) return undefined;
  const detail = `${place}: ${found.message.replace(ADVICE, '')} (${found.code})`;
  return new AiosError('bridges.certificate_refused', { detail, cause: error });
}

interface Fault extends Error {
  readonly code: string;
}

/** Libraries wrap a handful of times. */
const DEPTH_MAX = 16;

function findFault(error: unknown, depth: number): Fault | undefined {
  if (!(error instanceof Error) || depth > DEPTH_MAX) return undefined;
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && CODES.test(code)) return error as Fault;
  const inner = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  for (const one of [error.cause, ...inner]) {
    const found = findFault(one, depth + 1);
    if (found) return found;
  }
  return undefined;
}
