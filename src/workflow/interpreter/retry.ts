import { type FlowError, matchesError } from '../catalog/flow-errors.ts';
import type { RetryPolicy, TryNode } from '../language/flow.ts';
import type { Scope } from '../language/templates.ts';

/** Whether one more attempt is allowed after attempt number `attempt` (from 0) has failed. */
export function shouldRetry(policy: RetryPolicy, attempt: number, vars: Scope): boolean {
  if (attempt >= policy.attemptsMax) return false;
  if (policy.when && !policy.when(vars)) return false;
  return !policy.exceptWhen?.(vars);
}

/**
 * How long to wait after attempt number `attempt` (from 0), jitter included, in milliseconds; at most a day.
 *
 * @example retryDelayMs({ backoff: 'exponential', delayMs: 1000, multiplier: 2, … }, 2, Math.random) // 4000
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: () => number): number {
  const { backoff, delayMs, incrementMs, multiplier, jitterMs } = policy;
  let delay = delayMs;
  if (backoff === 'linear') delay += incrementMs * attempt;
  // Far out the power is infinite, and infinitely often no delay is not a number.
  if (backoff === 'exponential' && delay > 0) delay *= multiplier ** attempt;
  if (jitterMs) delay += jitterMs[0] + random() * (jitterMs[1] - jitterMs[0]);
  return Math.min(86_400_000, Math.round(delay));
}

/** Whether a `try` takes an error, given the variables of its conditions. */
export function catches(step: TryNode, caught: FlowError, vars: Scope): boolean {
  if (!matchesError(step.filter, caught.body)) return false;
  if (step.catchWhen && !step.catchWhen(vars)) return false;
  return !step.catchExceptWhen?.(vars);
}
