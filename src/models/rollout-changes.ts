import { randomUUID } from 'node:crypto';
import type { Actor } from './candidate.ts';
import type { Rollout, RolloutStatus } from './rollout.ts';
import type { RolloutFigures } from './rollout-figures.ts';

/** What happened to a rollout, as the audit log names it. */
type RolloutAction =
  | 'rollout-started'
  | 'rollout-step'
  | 'rollout-paused'
  | 'rollout-resumed'
  | 'rollout-concluded'
  | 'rollout-promoted'
  | 'rollout-rolled-back';

/** A change of a rollout, for the audit log: its writes are committed with the change. */
export interface RolloutChange {
  readonly action: RolloutAction;
  readonly rollout: Rollout;
  readonly by: Actor;
  readonly at: number;
  readonly reason: string | null;
  /** What was known then; null at the start. */
  readonly figures: RolloutFigures | null;
}

/** The rollout with a change made to it. */
export function changed(rollout: Rollout, change: Partial<Rollout>): Rollout {
  return { ...rollout, ...change, change: randomUUID(), revision: rollout.revision + 1 };
}

/** The share of a step, or a share by hand. */
export function stepped(
  rollout: Rollout,
  to: { step: number; percent: number },
  requests: number,
  now: number,
): Rollout {
  return changed(rollout, { ...to, status: 'running', stepStartedAt: now, stepRequests: requests });
}

export function ended(
  rollout: Rollout,
  status: Extract<RolloutStatus, 'promoted' | 'rolled-back'>,
  { by, at, reason, figures }: Pick<RolloutChange, 'by' | 'at' | 'reason' | 'figures'>,
): Rollout {
  return changed(rollout, { status, endedAt: at, endedBy: by, reason, figures });
}

/** What the schedule of a canary asks for next. */
export type Due = { readonly kind: 'step'; readonly step: number } | { readonly kind: 'promote' };

/**
 * What is due: a step ends when its time is over and the guards could have spoken about it, that is when the challenger has answered
 * `samplesMin` requests in it.
 *
 * @param requests that the challenger has answered since the rollout began
 */
export function dueOf(rollout: Rollout, requests: number, now: number): Due | undefined {
  const { plan, status, step, stepStartedAt, stepRequests } = rollout;
  const wait = plan.steps[step]?.waitSeconds;
  if (status !== 'running' || wait === undefined || now < stepStartedAt + wait * 1000) return undefined;
  if (requests - stepRequests < plan.guards.samplesMin) return undefined;
  if (step + 1 < plan.steps.length) return { kind: 'step', step: step + 1 };
  return plan.thenPromote ? { kind: 'promote' } : undefined;
}
