import { hash } from 'node:crypto';
import type { Json } from '../kernel/json.ts';
import type { Validator } from '../kernel/schema.ts';
import type { ReviewRules, Route } from './review-rules.ts';

/** Where a case goes, and why: recorded on the step. */
export interface Routing {
  readonly route: Route;
  /** Which band of the queue, from 0. */
  readonly band: number;
  readonly confidence: number | null;
  readonly reason: string;
  /** Answered automatically, and looked at by a person all the same, afterwards. */
  readonly sampled: boolean;
}

export interface Routed {
  readonly confidence: number | undefined;
  readonly suggestion: Json | undefined;
  /** What the case is: the same case is sampled or not, however often it is replayed. */
  readonly caseKey: string;
}

/**
 * Where the confidence in a suggestion leads. Without a confidence, or without a suggestion that the form accepts, nothing is ever answered automatically.
 *
 * @example routeByConfidence(rules, validate, { confidence: 0.97, suggestion: { decision: 'approve' }, caseKey: 'order-1' }).route // 'auto'
 */
export function routeByConfidence(
  rules: Pick<ReviewRules, 'bands' | 'seed'>,
  validate: Validator,
  { confidence, suggestion, caseKey }: Routed,
): Routing {
  const { bands, seed } = rules;
  const known = confidence !== undefined && confidence >= 0 && confidence <= 1 ? confidence : null;
  const last = bands.length - 1;
  const found = bands.findIndex(({ atLeast }) => atLeast !== undefined && known !== null && known >= atLeast);
  const band = found === -1 ? last : found;
  const { atLeast, route, sample } = bands[band]!;
  const told = { band, confidence: known, sampled: false };
  if (known === null) return { ...told, route, reason: 'There is no confidence between 0 and 1.' };
  const where = atLeast === undefined ? `under ${lowest(rules)}` : `at least ${atLeast}`;
  if (route !== 'auto') return { ...told, route, reason: `Confidence ${known} is ${where}.` };
  const instead = bands.slice(band + 1).find((next) => next.route !== 'auto')!.route;
  if (suggestion === undefined || suggestion === null)
    return {
      ...told,
      route: instead,
      reason: `Confidence ${known} is ${where}, but there is no suggestion.`,
    };
  if (validate(suggestion).length > 0)
    return {
      ...told,
      route: instead,
      reason: `Confidence ${known} is ${where}, but the form does not accept the suggestion.`,
    };
  const sampled = chance(seed, String(band), caseKey) < sample;
  const checked = sampled ? ' A person checks it afterwards.' : '';
  return { ...told, route, reason: `Confidence ${known} is ${where}.${checked}`, sampled };
}

function lowest({ bands }: Pick<ReviewRules, 'bands'>): number {
  return Math.min(...bands.flatMap(({ atLeast }) => (atLeast === undefined ? [] : [atLeast])), 1);
}

/** At least 0, less than 1; the same for the same words. Each band draws for itself: the sample is stratified by band. */
function chance(...words: readonly string[]): number {
  const digest = hash('sha256', words.map((word) => `${word.length}:${word}`).join(''), 'buffer');
  return digest.readUIntBE(0, 6) / 2 ** 48;
}
