import { AiosError } from '../../../../kernel/errors.ts';
import { certificateFailure } from '../certificate-failure.ts';
import type { TlsSetting } from '../client-certificate.ts';

/** Names of Kafka's errors that say "not you". */
const REFUSED = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'ILLEGAL_SASL_STATE',
]);
/** Errors of Node's sockets and resolver, and those of the library for a broker that does not answer. */
const UNREACHABLE = /^(E[A-Z_]+|PLT_KFK_NETWORK|PLT_KFK_TIMEOUT)$/;

interface Settings {
  readonly topic: string;
  readonly tls?: TlsSetting;
}

interface Fault {
  readonly error: Error;
  /** Of the socket, the resolver or the library. */
  readonly code: string;
  /** Kafka's own name of it. */
  readonly apiId: string;
}

/** An error and all that it was caused by: the library wraps what a broker, a socket or the egress guard says. */
function faultsOf(error: unknown): Fault[] {
  if (!(error instanceof Error)) return [];
  const { code, apiId } = error as { code?: unknown; apiId?: unknown };
  const inner = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  return [
    { error, code: String(code ?? ''), apiId: String(apiId ?? '') },
    ...[...inner, error.cause].flatMap((one) => faultsOf(one)),
  ];
}

/** Whether a broker answered with this error. */
export function isKafkaError(error: unknown, ...names: readonly string[]): boolean {
  return faultsOf(error).some(({ apiId }) => names.includes(apiId));
}

/**
 * What a client of Kafka threw, as AIOS tells it.
 *
 * @example throw kafkaFailure(error, settings) // AiosError bridges.unreachable
 */
export function kafkaFailure(error: unknown, { topic, tls }: Settings): AiosError {
  const faults = faultsOf(error);
  const ours = faults.find((fault) => fault.error instanceof AiosError);
  if (ours) return ours.error as AiosError;
  const untrusted = certificateFailure(error, topic, tls);
  if (untrusted) return untrusted;
  const last = faults.findLast(({ code, apiId }) => apiId !== '' || UNREACHABLE.test(code)) ?? faults.at(-1);
  const detail = `${topic}: ${last ? last.error.message || last.code : String(error)}`;
  // A log-in that ends with the connection is no refusal: plain text that was sent to TLS, mostly.
  const isCut = faults.at(-1)?.code === 'PLT_KFK_NETWORK';
  const isRefused = ({ code, apiId }: Fault) =>
    (code === 'PLT_KFK_AUTHENTICATION' && !isCut) || REFUSED.has(apiId);
  if (faults.some(isRefused)) return new AiosError('bridges.refused', { detail, cause: error });
  if (faults.every(({ apiId }) => apiId === '') && faults.some(({ code }) => UNREACHABLE.test(code)))
    return new AiosError('bridges.unreachable', { detail, cause: error });
  return new AiosError('bridges.failed', { detail, cause: error });
}
