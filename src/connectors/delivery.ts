import { setTimeout as sleep } from 'node:timers/promises';
import type { CircuitBreakerPolicy } from 'cockatiel';
import type { Dispatcher } from 'undici';
import { AiosError } from '../kernel/errors.ts';
import { retryAfterMs } from '../kernel/retry-after.ts';
import type { Connector, Operation } from './connector.ts';
import { type ExchangeRequest, type ExchangeResponse, exchange } from './http-exchange.ts';

/** The way to one outside system. */
export interface Line {
  readonly connector: Connector;
  readonly agent: Dispatcher;
  readonly breaker: CircuitBreakerPolicy;
}

export interface Delivered {
  readonly response: ExchangeResponse;
  readonly attempts: number;
}

/**
 * Sends until there is an answer: again only when nothing can have happened yet, or the receiver honours the idempotency key. Pauses
 * double, with jitter; a Retry-After is respected up to the longest pause.
 */
export async function deliver(
  line: Line,
  operation: Operation,
  request: ExchangeRequest,
): Promise<Delivered> {
  const { connector, breaker, agent } = line;
  /** An attempt that may have been done: one without an answer before one with a server's error. */
  let open: AiosError | undefined;
  for (let attempts = 1; ; attempts++) {
    try {
      const response = await breaker.execute(async () => check(operation, await exchange(agent, request)));
      return { response, attempts };
    } catch (error) {
      const pauseMs = pauseBefore(error, operation, connector, attempts);
      if (pauseMs === undefined)
        throw withAttempts(open && !settles(error, open) ? stillUnknown(open, error) : error, attempts);
      if (mayHaveHappened(error) && open?.code !== 'connectors.outcome_unknown') open = error as AiosError;
      await sleep(pauseMs, undefined, { signal: request.signal }).catch(() => {
        const canceled = new AiosError('connectors.canceled');
        throw withAttempts(open ? stillUnknown(open, canceled) : canceled, attempts);
      });
    }
  }
}

const TOO_MANY_REQUESTS = 429;

/** Silence after sending, and a server's error: it may have done the work before it failed. */
function mayHaveHappened(error: unknown): boolean {
  if (!(error instanceof AiosError)) return false;
  if (error.code === 'connectors.outcome_unknown') return true;
  return error.code === 'connectors.failed' && error.extensions.remoteStatus !== TOO_MANY_REQUESTS;
}

/**
 * Refusals that do not speak of the call: who asks (401, 403, 407), an earlier one under the same key that is still under way (409) or was another
 * (422, draft-ietf-httpapi-idempotency-key-header section 2.7), a redirect.
 */
const UNSETTLING = new Set([401, 403, 407, 409, 422]);

/** Whether the last answer settles what an earlier attempt left open: only one about the call itself does, silence never. */
function settles(error: unknown, open: AiosError): boolean {
  if (!(error instanceof AiosError)) return false;
  // A server's error after a server's error is as open as the first, and says so itself.
  if (error.code === 'connectors.failed') return mayHaveHappened(error) && open.code === error.code;
  if (error.code !== 'connectors.refused') return error.code.startsWith('connectors.response_');
  const status = Number(error.extensions.remoteStatus);
  return status >= 400 && !UNSETTLING.has(status);
}

/** What a caller is told when a later attempt found out nothing: the call may have been done, and how the last attempt ended. */
function stillUnknown(open: AiosError, last: unknown): AiosError {
  const ended = last instanceof Error ? last.message : String(last);
  return new AiosError('connectors.outcome_unknown', {
    detail: `An earlier attempt may have been done (${open.message}); the last one: ${ended}`,
    extensions: open.extensions,
    cause: last,
  });
}

/** Milliseconds to wait before the next attempt; undefined when there must be none. */
function pauseBefore(
  error: unknown,
  { idempotent }: Operation,
  connector: Connector,
  attempts: number,
): number | undefined {
  if (!(error instanceof AiosError) || attempts >= connector.attemptsMax) return undefined;
  const nothingHappened =
    error.code === 'connectors.unreachable' || error.extensions.remoteStatus === TOO_MANY_REQUESTS;
  if (!nothingHappened && !(mayHaveHappened(error) && idempotent)) return undefined;
  const { backoffInitialMs, backoffMaxMs } = connector;
  const pauseMs = Math.min(backoffMaxMs, backoffInitialMs * 2 ** (attempts - 1)) * (0.5 + Math.random() / 2);
  const asked = Number(error.extensions.retryAfterMs ?? 0);
  return asked > backoffMaxMs ? undefined : Math.max(pauseMs, asked);
}

/** A status after which the same request may go better later. */
export function mayPass(status: number): boolean {
  return status >= 500 || status === 429 || status === 408;
}

/** How much of an outside system's answer an error shows. */
export const BODY_SHOWN_LENGTH = 500;

/** @throws AiosError `connectors.failed` for what may go better later, `connectors.refused` for the rest */
function check(operation: Operation, response: ExchangeResponse): ExchangeResponse {
  const { status, headers, text } = response;
  if (operation.isSuccess(status)) return response;
  const waitMs = retryAfterMs(headers['retry-after']);
  throw new AiosError(mayPass(status) ? 'connectors.failed' : 'connectors.refused', {
    detail: `Status ${status}${status >= 300 && status < 400 ? ' (redirects are not followed)' : ''}: ${text.slice(0, BODY_SHOWN_LENGTH)}`,
    extensions: { remoteStatus: status, ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }) },
  });
}

/** What counts against the breaker: the system is away, not: it says no. */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof AiosError)) return false;
  if (error.code === 'connectors.unreachable') return true;
  if (error.code === 'connectors.outcome_unknown') return error.extensions.canceled !== true;
  return error.code === 'connectors.failed' && Number(error.extensions.remoteStatus) >= 500;
}

function withAttempts(error: unknown, attempts: number): unknown {
  if (!(error instanceof AiosError)) return error;
  return new AiosError(error.code, {
    detail: error.message,
    issues: [...error.issues],
    cause: error.cause,
    extensions: { ...error.extensions, attempts },
  });
}
