import type { Actor } from './candidate.ts';
import type { RolloutFigures } from './rollout-figures.ts';
import type { Conclusion } from './sequential-test.ts';

/**
 * `canary`: a share of the keys is answered by the challenger. `shadow`: all are answered by the champion, and the challenger gets a sampled copy.
 * `ab`: a fixed share, and a sequential test on outcomes that are reported later.
 */
export type RolloutKind = 'canary' | 'shadow' | 'ab';

/** One step of a canary: a share, and how long it lasts; without a wait it lasts until somebody goes on. */
export interface RolloutStep {
  readonly percent: number;
  readonly waitSeconds?: number | undefined;
}

/** When a challenger is taken back by itself. A bound that is null is not watched. */
export interface RolloutGuards {
  /** Nothing is judged on fewer samples than this of the challenger; latency on four times as many of each version. */
  readonly samplesMin: number;
  /** What is judged is what was counted in this time. */
  readonly windowSeconds: number;
  /** The share of failed requests, 0 to 1, when it is above the champion's too. */
  readonly errorRateMax: number | null;
  /** The p95 as a multiple of the champion's, when it is `latencyGraceMs` above it too. */
  readonly latencyRatioMax: number | null;
  readonly latencyGraceMs: number;
  /** The share of compared rows on which the two disagree, 0 to 1. */
  readonly disagreementMax: number | null;
}

/** A sampled copy of requests goes to the other version too, off the path of the answer, and the two answers are compared. */
export interface Comparison {
  /** 0 to 1. */
  readonly share: number;
  /** How far two results without a class may lie apart and still agree; absolute, in the unit of the result. */
  readonly tolerance: number;
}

/** The outcome of an A/B test: what callers report for a key, once the truth is known. */
export interface OutcomePlan {
  readonly name: string;
  readonly higherIsBetter: boolean;
  /** The chance of a false finding that is accepted, however often one looks. */
  readonly alpha: number;
  /** The difference that the test is tuned to find soonest, in the unit of the outcome. */
  readonly effect: number;
  /** Per arm, before anything is concluded: the test rests on means being close to normal. */
  readonly samplesMin: number;
}

/** What a rollout does, settled: every default is filled in. */
export interface RolloutPlan {
  readonly kind: RolloutKind;
  /** At least one; a shadow has the one step of 0 percent. */
  readonly steps: readonly RolloutStep[];
  /** Whether the alias moves to the challenger when the last step has ended. */
  readonly thenPromote: boolean;
  readonly comparison: Comparison | null;
  readonly guards: RolloutGuards;
  readonly outcome: OutcomePlan | null;
}

export type RolloutStatus = 'running' | 'paused' | 'promoted' | 'rolled-back';

/** A rollout of a model's alias: another version is tried under it. */
export interface Rollout {
  readonly id: string;
  readonly model: string;
  readonly alias: string;
  /** The version that the alias means as long as the rollout lasts. */
  readonly champion: number;
  readonly challenger: number;
  readonly plan: RolloutPlan;
  readonly status: RolloutStatus;
  /** The share of the keys, 0 to 100, that the challenger answers now. */
  readonly percent: number;
  /** The position of the step in the plan. A share set by hand leaves it where it is. */
  readonly step: number;
  readonly stepStartedAt: number;
  /** What the challenger had answered when the step began. */
  readonly stepRequests: number;
  readonly startedAt: number;
  readonly startedBy: Actor;
  /** It was started although calls of the alias do not fit the challenger. */
  readonly isForced: boolean;
  readonly conclusion: Conclusion | null;
  readonly endedAt: number | null;
  readonly endedBy: Actor | null;
  /** Why it ended. */
  readonly reason: string | null;
  /** What was known when it ended. */
  readonly figures: RolloutFigures | null;
  /** The id of its last change. */
  readonly change: string;
  /** Counts its changes: a change is made only to what its maker saw. */
  readonly revision: number;
}
