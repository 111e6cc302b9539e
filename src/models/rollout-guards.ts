import type { RolloutGuards } from './rollout.ts';
import type { RolloutFigures } from './rollout-figures.ts';

/** Latency needs more samples than the rest: a p95 of 50 requests is made of the two or three slowest, which a busy machine slows by chance. */
const LATENCY_SAMPLES_FACTOR = 4;

/** Why a challenger is taken back. */
export interface Breach {
  readonly guard: 'errors' | 'latency' | 'disagreement';
  /** For people, with the figures. */
  readonly reason: string;
}

/**
 * Holds the figures of the guards' window against the guards; undefined when all is well or too little is known.
 *
 * @example breachOf(rollout.plan.guards, figuresOf(counts))?.guard // 'errors'
 */
export function breachOf(guards: RolloutGuards, figures: RolloutFigures): Breach | undefined {
  return ofErrors(guards, figures) ?? ofLatency(guards, figures) ?? ofDisagreement(guards, figures);
}

function ofErrors(
  { errorRateMax, samplesMin }: RolloutGuards,
  { champion, challenger }: RolloutFigures,
): Breach | undefined {
  const rate = challenger.errorRate ?? 0;
  // Callers who send both versions what neither can answer are no fault of the challenger.
  const isWorse = rate > (champion.errorRate ?? 0);
  if (errorRateMax === null || challenger.requests < samplesMin || rate <= errorRateMax || !isWorse) return;
  return {
    guard: 'errors',
    reason: `${percent(rate)} of ${challenger.requests} requests failed on the challenger; ${percent(errorRateMax)} are allowed, the champion failed on ${percent(champion.errorRate ?? 0)}.`,
  };
}

function ofLatency(
  { latencyRatioMax, latencyGraceMs, samplesMin }: RolloutGuards,
  { champion, challenger }: RolloutFigures,
): Breach | undefined {
  if (
    latencyRatioMax === null ||
    Math.min(challenger.requests, champion.requests) < LATENCY_SAMPLES_FACTOR * samplesMin
  )
    return;
  const [slow, usual] = [challenger.p95Ms, champion.p95Ms];
  if (slow === null || usual === null) return;
  // Below the grace a ratio says nothing: 0.6 ms against 0.2 ms is a matter of what else the machine did.
  if (slow <= latencyRatioMax * usual || slow - usual <= latencyGraceMs) return;
  return {
    guard: 'latency',
    reason: `The challenger's p95 is ${slow.toFixed(1)} ms, the champion's ${usual.toFixed(1)} ms; ${latencyRatioMax} times that is allowed.`,
  };
}

function ofDisagreement(
  { disagreementMax, samplesMin }: RolloutGuards,
  { comparison: { compared, agreement } }: RolloutFigures,
): Breach | undefined {
  if (disagreementMax === null || compared < samplesMin || agreement === null) return;
  if (1 - agreement <= disagreementMax) return;
  return {
    guard: 'disagreement',
    reason: `The versions disagree on ${percent(1 - agreement)} of ${compared} rows; ${percent(disagreementMax)} are allowed.`,
  };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
