import { AiosError } from '../../kernel/errors.ts';

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
