import { AiosError } from '../../kernel/errors.ts';
import { type RunFailed, type ServerBusy, ServerFailed } from '../runtimes/runtime.ts';

const RETRY_AFTER_MS_MIN = 10;

/** A full queue: the caller is told to come back when it should be empty. */
export function overloaded(
  label: string,
  waiting: number,
  drainMs: number,
  limit: { readonly limitName: string; readonly limit: number },
): AiosError {
  return new AiosError('request.overloaded', {
    detail: `${waiting} requests wait for ${label}.`,
    extensions: { ...limit, retryAfterMs: RETRY_AFTER_MS_MIN + Math.ceil(drainMs) },
  });
}

/**
 * The deadline of a request has passed. Where its caller gave it less time than a batch of the version may take, it says so (`deadlineOf`): that tells nothing of
 * the version, and counts against none.
 *
 * @param waitedMs since the request came
 * @param timeoutMs of the version
 */
export function deadlinePassed(label: string, waitedMs: number, timeoutMs: number): AiosError {
  return new AiosError('serving.timeout', {
    detail: `${label}: the deadline has passed.`,
    ...(waitedMs < timeoutMs && { extensions: OF_THE_CALLER }),
  });
}

/** Of a `serving.timeout`: its caller had less patience than the model may take. */
export const OF_THE_CALLER = { deadlineOf: 'caller' } as const;

/** No replica can be started: the reason stays what it is, with the model before it. */
export function unavailable(label: string, reason: Error): AiosError {
  const own = reason instanceof AiosError ? reason : undefined;
  return new AiosError(own?.code ?? 'serving.unavailable', {
    detail: `${label}: ${reason.message}`,
    cause: reason,
    ...(own && { extensions: own.extensions }),
  });
}

/** One request, alone in its batch, to which the model or the server that runs it said no. */
export function runFailed(label: string, error: RunFailed): AiosError {
  const detail = `${label}: ${error.message}`;
  if (!(error instanceof ServerFailed))
    return new AiosError('serving.model_failed', { detail, cause: error });
  const { upstreamStatus } = error;
  return new AiosError('serving.upstream_failed', {
    detail,
    cause: error,
    ...(upstreamStatus !== undefined && { extensions: { upstreamStatus } }),
  });
}

/** The server of the model takes no more for now; who waits is told when it wants to be asked again, where it says so. */
export function upstreamLimited(
  label: string,
  { message, upstreamStatus, retryAfterMs }: ServerBusy,
): AiosError {
  return new AiosError('serving.upstream_limited', {
    detail: `${label}: ${message}`,
    extensions: { upstreamStatus, ...(retryAfterMs !== undefined && { retryAfterMs }) },
  });
}

/** The second replica that ended under a request. */
export function replicaLost(label: string, reason: Error): AiosError {
  return new AiosError('serving.replica_lost', { detail: `${label}: ${reason.message}`, cause: reason });
}
