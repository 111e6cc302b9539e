import { AiosError } from '../../kernel/errors.ts';
import { RunFailed, ServerBusy, ServerFailed } from '../runtimes/runtime.ts';

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

/** Why a request is not answered: what the model or its server said to it, or that the second replica ended under it. */
export function batchFailed(label: string, error: Error): AiosError {
  const why = { detail: `${label}: ${error.message}`, cause: error };
  if (error instanceof ServerBusy) {
    const { upstreamStatus, retryAfterMs } = error;
    const extensions = { upstreamStatus, ...(retryAfterMs !== undefined && { retryAfterMs }) };
    return new AiosError('serving.upstream_limited', { ...why, extensions });
  }
  if (error instanceof ServerFailed) {
    const { upstreamStatus } = error;
    const extensions = upstreamStatus === undefined ? {} : { upstreamStatus };
    return new AiosError('serving.upstream_failed', { ...why, extensions });
  }
  return new AiosError(error instanceof RunFailed ? 'serving.model_failed' : 'serving.replica_lost', why);
}
