import { AiosError, type Issue } from '../kernel/errors.ts';
import type {
  Comparison,
  OutcomePlan,
  RolloutGuards,
  RolloutKind,
  RolloutPlan,
  RolloutStep,
} from './rollout.ts';

/** A plan as it is asked for; what is left out takes its default. */
export interface PlanRequest {
  kind: RolloutKind;
  /** For one share without steps: of a canary 10 when left out, of an A/B test 50. */
  percent?: number | undefined;
  steps?: readonly RolloutStep[] | undefined;
  thenPromote?: boolean | undefined;
  comparison?: Partial<Comparison> | undefined;
  guards?: Partial<RolloutGuards> | undefined;
  outcome?: (Pick<OutcomePlan, 'name'> & Partial<OutcomePlan>) | undefined;
}

const GUARDS: RolloutGuards = {
  samplesMin: 50,
  windowSeconds: 300,
  errorRateMax: 0.05,
  latencyRatioMax: 2,
  latencyGraceMs: 5,
  disagreementMax: null, // versions are made to differ; how much is too much is for its owner to say
};
const OUTCOME = { higherIsBetter: true, alpha: 0.05, effect: 0.05, samplesMin: 100 };

/**
 * Fills in what a plan leaves out.
 *
 * @throws AiosError `models.rollout_invalid` with what does not fit
 * @example settlePlan({ kind: 'canary', percent: 5 }).steps // [{ percent: 5 }]
 */
export function settlePlan(request: PlanRequest): RolloutPlan {
  const issues = issuesOf(request);
  if (issues.length > 0) throw new AiosError('models.rollout_invalid', { issues });
  const { kind, steps, percent, thenPromote = false, comparison, guards, outcome } = request;
  const share = kind === 'shadow' ? 1 : 0.05;
  const plan: RolloutPlan = {
    kind,
    steps:
      kind === 'shadow' ? [{ percent: 0 }] : (steps ?? [{ percent: percent ?? (kind === 'ab' ? 50 : 10) }]),
    thenPromote,
    comparison:
      comparison || kind === 'shadow' || guards?.disagreementMax != null
        ? { share, tolerance: 0.05, ...comparison }
        : null,
    guards: { ...GUARDS, ...guards },
    outcome: outcome ? { ...OUTCOME, ...outcome } : null,
  };
  return JSON.parse(JSON.stringify(plan)); // as it is kept: without members that are undefined
}

function issuesOf({ kind, steps, percent, thenPromote, outcome }: PlanRequest): Issue[] {
  const issues: Issue[] = [];
  const refuse = (path: string, message: string) => void issues.push({ path, message });
  if (steps && percent !== undefined) refuse('/percent', 'give steps or one percent, not both');
  if (kind === 'shadow' && (steps || percent !== undefined))
    refuse('/steps', 'a shadow answers nobody: it has no share of the traffic');
  if (kind === 'ab' && steps)
    refuse('/steps', 'the shares of an A/B test stay as they are: give one percent');
  if (kind === 'ab' && !outcome) refuse('/outcome', 'an A/B test needs the outcome that it is about');
  if (kind !== 'ab' && outcome) refuse('/outcome', 'only an A/B test has an outcome');
  if (kind === 'ab' && (percent === 0 || percent === 100)) refuse('/percent', 'both arms need traffic');
  if (kind !== 'canary' && thenPromote) refuse('/thenPromote', 'only a canary is promoted by itself');
  for (const [i, step] of (steps ?? []).entries()) {
    if (i > 0 && step.percent <= steps![i - 1]!.percent)
      refuse(`/steps/${i}/percent`, 'each step gives the challenger more than the one before');
    if (thenPromote && step.waitSeconds === undefined)
      refuse(`/steps/${i}/waitSeconds`, 'a canary that is promoted by itself needs the time of each step');
  }
  return issues;
}
